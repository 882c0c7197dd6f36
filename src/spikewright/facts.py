"""What a graph remembers of its making, checked where it comes from a file and is believed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from spikewright.errors import ModelFileError
from spikewright.settings import fits

_LEVELS = list[int | float | None]
KNOWN: Mapping[str, Any] = {
    "preprocessing": str,
    "method": str,
    "source": str,
    "view": Literal["weights", "thresholds"],
    "readout": Literal["potential", "count"],
    "calibration_samples": int,
    "neurons": dict[str, Any],
    "changes": list[dict[str, Any]],
    "scales": dict[str, Any],
    "ceilings": dict[str, Any],
    "levels": dict[str, _LEVELS],
}
"""Facts that are read again after a graph comes from a file; others are only shown."""


def check_facts(meta: Mapping[str, Any]) -> None:
    """Refuse facts of a graph, from a file, that are not what the commands take them to be.

    Raises:
        ModelFileError: naming the fact.
    """
    for label, hint in KNOWN.items():
        if label in meta and not fits(meta[label], hint):
            raise ModelFileError(f"its fact '{label}' cannot be {meta[label]!s:.40}")
    for label in ("scales", "ceilings"):
        for name, values in meta.get(label, {}).items():
            if not _positive(values):
                raise ModelFileError(f"{label} of '{name}' cannot be {values!s:.40}")
    for name, pair in meta.get("levels", {}).items():
        if len(pair) != 2 or pair[1] is None or not (pair[0] is None or (type(pair[0]) is int and pair[0] > 0)):
            raise ModelFileError(f"levels of '{name}' cannot be {pair!s:.40}")


def _positive(values: Any) -> bool:
    """Whether this is a positive number, or an array of such as nested lists."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return bool(array.size and np.isfinite(array).all() and (array > 0).all())
