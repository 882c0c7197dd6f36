"""What a graph remembers of its making, checked where it comes from a file and is believed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from spikewright.errors import ModelFileError
from spikewright.settings import fits

KNOWN: Mapping[str, Any] = {
    "source": str,
    "model": str,
    "layout": str,
    "initialised": str,
    "answer": Literal["keep", "drop"],
    "changes": list[dict[str, Any]],
}
"""Facts that are read again after a graph comes from a file; others are only shown, none changes a result."""


def check_facts(meta: Mapping[str, Any]) -> None:
    """Refuse facts of a graph, from a file, that are not what the commands take them to be.

    Raises:
        ModelFileError: naming the fact.
    """
    for label, hint in KNOWN.items():
        if label in meta and not fits(meta[label], hint):
            raise ModelFileError(f"its fact '{label}' cannot be {meta[label]!s:.40}")
