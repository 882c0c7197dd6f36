"""What a data set says of each sample beside its values: a class, a number, a map; for one output or for several.

Targets flow through untouched; what they mean, their task decides (``spikewright.tasks``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.graph import Array

Targets = NDArray[Any] | Mapping[str, NDArray[Any]]
"""``(N, ...)``, whole numbers (int64) or floats; for several outputs one such array of each by name."""


def as_targets(y: Array | Mapping[str, Array], samples: int) -> Targets:
    """Targets as they are kept: bools and whole numbers as int64, floats as floats, a column of classes as a row.

    Args:
        y: of every sample ``(N, ...)``, or a mapping from the names of outputs to such arrays.
        samples: N.

    Raises:
        DataError: for text and the like, and for more or fewer targets than samples.
    """
    if isinstance(y, Mapping):
        if not y:
            raise DataError("labels by the names of outputs hold no output; give an array for each, or None")
        return {str(name): _one(np.asarray(part), samples, f"of output '{name}' ") for name, part in y.items()}
    return _one(np.asarray(y), samples, "")


def rows(targets: Targets | None, part: Any) -> Targets | None:
    """The targets of some samples.

    Args:
        targets: of all, or None.
        part: a slice, or indices ``(n,)``.
    """
    if isinstance(targets, Mapping):
        return {name: one[part] for name, one in targets.items()}
    return None if targets is None else targets[part]


def joined(parts: Sequence[Targets]) -> Targets | None:
    """Targets of batch after batch as one; None without a batch."""
    if not parts:
        return None
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: np.concatenate([part[name] for part in parts if isinstance(part, Mapping)]) for name in first}
    return np.concatenate([part for part in parts if not isinstance(part, Mapping)])


def _one(y: NDArray[Any], samples: int, whose: str) -> NDArray[Any]:
    if y.dtype.kind not in "buif":
        text = y.dtype.kind in "USO" and y.size and isinstance(y.flat[0], str | bytes)
        example = f" ({str(y.flat[0])[:40]!r})" if text else ""
        raise DataError(
            f"labels {whose}must be numbers, not {'text' if text else y.dtype}{example}: for classes give the index "
            "of each sample's class, counted from 0"
        )
    if not y.ndim or len(y) != samples:
        raise DataError(
            f"{samples} samples but {len(y) if y.ndim else 1} labels {whose}".rstrip() + "; they must be as many"
        )
    if y.dtype.kind == "f":
        return y
    if y.dtype.kind == "u" and y.size and int(y.max()) > np.iinfo(np.int64).max:
        raise DataError(f"label {int(y.max())} {whose}is too large to be a class")
    whole = y.astype(np.int64)
    return whole[:, 0] if whole.ndim == 2 and whole.shape[1] == 1 else whole
