"""Graphs handed on to other tools: one format a file, its name is the suffix of the files it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from spikewright.conversion import Conversion, spiking_graph
from spikewright.errors import SettingsError
from spikewright.files import check_destination, shown
from spikewright.graph import Graph
from spikewright.provenance import PROVENANCE, history
from spikewright.registry import Registry, function

exporters = Registry("spikewright.exporters", "an export format", function("export_"), folder=__name__)
"""The function that writes each format, by the format's name, which is the suffix of its files."""


def export(graph: Graph | Conversion, path: Path | str, *, force: bool = False, **options: Any) -> None:
    """Write a network in the format that the suffix of its path names.

    Args:
        graph: a conversion, of which the spiking network is written, or a graph.
        path: ends in the name of a format, such as ``.nir``.
        force: whether a file that stands there is replaced, once this one is whole.
        options: of the format: ``dt`` for NIR.

    Raises:
        UnsupportedModelError: with everything that the format has no word for; nothing is written then.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for an unknown suffix, or an option outside its domain.
    """
    check_export(path, force)
    write = exporters()[_format(path)]
    if PROVENANCE in signature(write).parameters:  # the format has a place for it
        made = graph.remembered if isinstance(graph, Conversion) else history(network=graph.fingerprint)
        options = {PROVENANCE: made, **options}
    write_by(write, spiking_graph(graph), path, force, options)


def write_by(write: Callable[..., None], value: Any, path: Path | str, force: bool, options: Mapping[str, Any]) -> None:
    """Write a value by the function of a format.

    Raises:
        SettingsError: for options that the format does not have.
    """
    try:
        signature(write).bind(value, path, force=force, **options)
    except TypeError as error:
        raise SettingsError(f"{shown(path)}: the format .{suffix_of(path)}: {error}") from error
    write(value, path, force=force, **options)


def suffix_of(path: Path | str) -> str:
    """The name of the format that a path asks for: its suffix in small letters, without the dot."""
    return Path(path).suffix.lower().removeprefix(".")


def check_export(path: Path | str, force: bool = False) -> None:
    """Refuse a place that ``export`` cannot write to, before any work is done; arguments and errors as there."""
    _format(path)
    check_destination(path, force)


def _format(path: Path | str) -> str:
    suffix = suffix_of(path)
    if suffix not in formats():
        known = ", ".join(f".{name}" for name in formats())
        raise SettingsError(f"{shown(path)}: no format is written under the suffix '.{suffix}'; give one of {known}")
    return suffix


def formats() -> tuple[str, ...]:
    """The formats that can be written."""
    return tuple(sorted(exporters()))


__all__ = ["check_export", "export", "exporters", "formats", "suffix_of", "write_by"]
