"""Graphs and conversions as files: one safetensors file each, with nothing in it that could be executed."""

from __future__ import annotations

from pathlib import Path

from spikewright.conversion import Conversion
from spikewright.errors import ModelFileError, SettingsError
from spikewright.files import atomic_path, check_destination, shown
from spikewright.graph import Graph
from spikewright.storage.conversions import load_conversion, write_conversion
from spikewright.storage.graphs import load_graph, write_graph
from spikewright.tensors import NotOurs

SUFFIX = ".safetensors"


def save(network: Graph | Conversion, path: Path | str, force: bool = False) -> None:
    """Write a graph, trained or spiking, or a conversion.

    Args:
        network: what ``load`` gives back.
        path: of the file, which ends in ``.safetensors``.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        SettingsError: for a name that ``load`` would not take, or something else than a graph or conversion.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    if not isinstance(network, Graph | Conversion):
        raise SettingsError(f"a graph or a conversion is saved, not a {type(network).__name__}")
    check_save(path, force)
    with atomic_path(path, force) as temporary:
        if isinstance(network, Conversion):
            write_conversion(temporary, network)
        else:
            write_graph(temporary, network)


def check_save(path: Path | str, force: bool = False) -> None:
    """Refuse a place that ``save`` cannot write to, before any work is done; arguments and errors as there."""
    place = Path(path)
    if place.suffix.lower() != SUFFIX:
        advice = f"; 'export' writes {place.suffix}" if place.suffix.lower() == ".nir" else ""
        raise SettingsError(
            f"{shown(path)}: a network is written as {SUFFIX}, or it cannot be loaded: "
            f"give {shown(place.with_suffix(SUFFIX) if place.name else place / f'network{SUFFIX}')}{advice}"
        )
    check_destination(path, force)


def load_stored(path: Path | str) -> Graph | Conversion:
    """Read what ``save`` wrote; nothing in the file is executed.

    Raises:
        ModelFileError: for a file that is missing, damaged, not ours, or from a later version.
    """
    held = ""
    for load in (load_graph, load_conversion):
        try:
            return load(path)
        except NotOurs as error:
            held = error.held
    if held:
        raise ModelFileError(f"{path}: holds {held}, not a network; give what 'spikewright convert' or save(...) wrote")
    raise ModelFileError(
        f"{path}: holds bare weights, not a Spikewright graph; name the code too: FILE.py:FACTORY --weights {path}"
    )


__all__ = ["SUFFIX", "check_save", "load_conversion", "load_graph", "load_stored", "save"]
