"""Formats of synapses, one a file: the file's name is the format's."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from spikewright.errors import SettingsError
from spikewright.registry import Registry, class_of
from spikewright.synapse_graph.fan_outs import offsets
from spikewright.synapse_graph.writers.writer import (
    AtOnce,
    InParts,
    Parted,
    Piece,
    Writer,
    every_block,
    number,
)
from spikewright.worded import words_of

__all__ = [
    "AtOnce",
    "InParts",
    "Parted",
    "Piece",
    "Writer",
    "every_block",
    "formats",
    "number",
    "offsets",
    "writer",
]


def _held(module: ModuleType) -> dict[str, Writer]:
    found = {name: kind() for name, kind in class_of(Writer)(module).items()}
    for kind in found.values():
        if not isinstance(getattr(kind, "suffixes", None), tuple):
            raise SettingsError("its suffixes must be a tuple, such as ('.csv',)")
    return found


formats = Registry("spikewright.synapse_writers", "a format of synapses", _held, folder=__name__)
"""Every format by name."""


def writer(path: Path, name: str | None = None) -> Writer:
    """The format with a name, or the one that a path's suffix says.

    Args:
        path: where the graph will be.
        name: of the format, with its options: "hgr:grouped".

    Raises:
        SettingsError: for one that does not exist, or an option that it does not have.
    """
    if name is not None:
        words = words_of(name)
        if not words or words[0] not in formats():
            raise SettingsError(f"unknown format '{name[:40]}'; choose one of {', '.join(formats())}")
        return type(formats()[words[0]]).from_words(words[1:])
    for found in formats().values():
        if path.suffix.lower() in found.suffixes:
            return found
    known = ", ".join(suffix for found in formats().values() for suffix in found.suffixes)
    raise SettingsError(f"{path}: which format? End it with one of {known}, or name the format")
