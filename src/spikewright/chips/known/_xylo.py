"""What chips of the Xylo family share."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from spikewright.chips.chip import Xylo


def xylo(name: str, source: str, notes: tuple[str, ...] = (), **limits: Any) -> Xylo:
    """A chip of the family.

    Args:
        name: its own.
        source: of its numbers.
        notes: as for ``Chip``.
        limits: its numbers.
    """
    labels = {f.name for f in fields(Xylo)} - {"name", "sources", "notes"}
    rules = "github synsense/rockpool 42cee1c9 (Dec 2025): xylo/syns61201/xylo_mapper.py"
    sources = {**dict.fromkeys(labels, source), "layers_min": rules}
    unknown = {label: "no number is public" for label in ("fan_in_max", "weights_max") if limits.get(label) is None}
    return Xylo(name=name, sources={**sources, **unknown}, notes=notes, **limits)
