"""Graphs handed on to other tools: one format a file, its name is the suffix of the files it writes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from spikewright.errors import SettingsError
from spikewright.graph import Graph


def export(graph: Graph, path: Path | str, **options: Any) -> None:
    """Write a graph in the format that the suffix of its path names.

    Args:
        graph: most often a spiking one, from ``convert``.
        path: ends in ``.nir``.
        options: of the format: ``dt`` for NIR.

    Raises:
        UnsupportedModelError: with everything that the format has no word for; nothing is written then.
        StorageError: when the file cannot be written; what stood there before is untouched.
        SettingsError: for an unknown suffix, or an option outside its domain.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in formats():
        known = ", ".join(f".{name}" for name in formats())
        raise SettingsError(f"{path}: no format is written under the suffix '.{suffix}'; give one of {known}")
    module = import_module(f"{__name__}.{suffix}")
    getattr(module, f"export_{suffix}")(graph, path, **options)


def formats() -> tuple[str, ...]:
    """The formats that can be written."""
    return tuple(sorted(info.name for info in iter_modules(__path__) if not info.name.startswith("_")))


__all__ = ["export", "formats"]
