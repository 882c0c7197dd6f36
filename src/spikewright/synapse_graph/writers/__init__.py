"""Formats of synapses, one a file: the file's name is the format's."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from spikewright.errors import SettingsError
from spikewright.synapse_graph.writers.writer import AtOnce, InParts, Writer

__all__ = ["AtOnce", "InParts", "Writer", "formats", "writer"]


@cache
def formats() -> dict[str, Writer]:
    """Every format of this folder by name."""
    found: dict[str, Writer] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            own = isinstance(value, type) and issubclass(value, Writer) and value.__module__ == module.__name__
            if own and info.name != "writer":
                found[info.name] = value()
    return found


def writer(path: Path, name: str | None = None) -> Writer:
    """The format with a name, or the one that a path's suffix says.

    Raises:
        SettingsError: for one that does not exist.
    """
    if name is not None:
        if name not in formats():
            raise SettingsError(f"unknown format '{name}'; choose one of {', '.join(formats())}")
        return formats()[name]
    for found in formats().values():
        if path.suffix.lower() in found.suffixes:
            return found
    known = ", ".join(suffix for found in formats().values() for suffix in found.suffixes)
    raise SettingsError(f"{path}: which format? End it with one of {known}, or name the format")
