"""A graph as one safetensors file: arrays, and a JSON header that says how they hang together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from inspect import isabstract
from pathlib import Path
from typing import Any, get_type_hints

from spikewright.errors import ModelFileError, SettingsError, SpikewrightError
from spikewright.facts import check_facts
from spikewright.files import atomic_path, check_destination, shown
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import node_types
from spikewright.settings import fits
from spikewright.tensors import Kind, NotOurs, read_tensors, write_tensors

KEY = "spikewright-graph"
SUFFIX = ".safetensors"
KIND = Kind(
    key=KEY,
    noun="Spikewright graph",
    contents="graph",
    format=1,
    facts=frozenset({"nodes", "meta"}),
    again="copy it again, or convert it first if it is a trained network",
)


def save(graph: Graph, path: Path | str, force: bool = False) -> None:
    """Write a graph, analog or spiking.

    Args:
        graph: what ``load`` gives back.
        path: of the file, which ends in ``.safetensors``.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        SettingsError: for a name that ``load`` would not take.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
    """
    check_save(path, force)
    arrays = {f"{node.name}/{label}": array for node in graph for label, array in node.arrays.items()}
    nodes = [{"type": n.type, "name": n.name, "inputs": n.inputs, "settings": n.settings} for n in graph]
    with atomic_path(path, force) as temporary:
        write_tensors(temporary, KIND, {"nodes": nodes, "meta": dict(graph.meta)}, arrays)


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


def load_graph(path: Path | str) -> Graph:
    """Read what ``save`` wrote; nothing in the file is executed.

    Raises:
        ModelFileError: for a file that is missing, damaged, not ours, or from a later version.
    """
    try:
        header, arrays = read_tensors(path, KIND)
    except NotOurs:
        raise ModelFileError(
            f"{path}: holds bare weights, not a Spikewright graph; name the code too: FILE.py:FACTORY --weights {path}"
        ) from None
    entries, meta = header["nodes"], header["meta"]
    try:
        if not isinstance(meta, dict) or not isinstance(entries, list):
            raise ModelFileError("its nodes are no list, or its facts no table")
        check_facts(meta)
        return Graph([_node(entry, arrays) for entry in entries], meta)
    except (SpikewrightError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise ModelFileError(f"{path}: the graph inside is damaged: {error}") from error


def _node(entry: Any, arrays: Mapping[str, Array]) -> Node:
    """A node whose settings are of the kinds that its fields are declared to be."""
    if not isinstance(entry, dict) or not isinstance(entry["name"], str) or not fits(entry["inputs"], list[str]):
        raise ModelFileError("a node has no name, or reads what has none")
    name, where = entry["name"], f"{entry['type']} '{entry['name']}'"
    kind = node_types().get(entry["type"])
    if kind is None or isabstract(kind):
        raise ModelFileError(f"'{name}' is a {entry['type']}, which this version does not know")
    hints = get_type_hints(kind)
    own = {f.name: arrays[f"{name}/{f.name}"] for f in fields(kind) if f"{name}/{f.name}" in arrays}
    settings = {label: _tuples(value) for label, value in entry["settings"].items()}
    for label, value in (*settings.items(), *own.items()):
        if label not in hints or label in ("name", "inputs") or not fits(value, hints[label]):
            raise ModelFileError(f"{where}: {label} cannot be {str(value)[:60]}")
    missing = [
        f.name
        for f in fields(kind)
        if f.default is MISSING and f.default_factory is MISSING and f.name not in {"name", *settings, *own}
    ]
    if missing:
        raise ModelFileError(f"{where}: {', '.join(missing)} is missing")
    return kind(name=name, inputs=tuple(entry["inputs"]), **settings, **own)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
