"""A graph as one safetensors file: arrays, and a JSON header that says how they hang together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from inspect import isabstract
from pathlib import Path
from typing import Any, get_type_hints

from spikewright.errors import ModelFileError, SpikewrightError
from spikewright.facts import check_facts
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import node_types
from spikewright.settings import fits
from spikewright.tensors import Kind, read_tensors, write_tensors
from spikewright.text import first_line

KEY = "spikewright-graph"
KIND = Kind(
    key=KEY,
    noun="Spikewright graph",
    contents="graph",
    format=1,
    facts=frozenset({"nodes", "meta"}),
    again="copy it again, or convert it first if it is a trained network",
)


def write_graph(path: Path, graph: Graph) -> None:
    """Write a graph; wrap it in ``atomic_path``."""
    write_tensors(path, KIND, {"nodes": entries(graph), "meta": dict(graph.meta)}, arrays_of(graph))


def entries(graph: Graph) -> list[dict[str, Any]]:
    """The nodes of a graph as JSON holds them, without their arrays."""
    return [entry(node) for node in graph]


def entry(node: Node) -> dict[str, Any]:
    """One node as JSON holds it, without its arrays."""
    return {"type": node.type, "name": node.name, "inputs": list(node.inputs), "settings": node.settings}


def arrays_of(nodes: Iterable[Node], before: str = "") -> dict[str, Array]:
    """The arrays of nodes, by the names that they have in a file."""
    return {f"{before}{node.name}/{label}": array for node in nodes for label, array in node.arrays.items()}


def load_graph(path: Path | str) -> Graph:
    """Read the file of a graph; nothing in it is executed.

    Raises:
        NotOurs: for a safetensors file that holds none.
        ModelFileError: for a file that is missing, damaged, or from a later version.
    """
    header, arrays = read_tensors(path, KIND)
    try:
        return graph_of(header["nodes"], header["meta"], arrays)
    except DAMAGE as error:
        raise ModelFileError(f"{path}: the graph inside is damaged: {damage(error)}") from error


DAMAGE = (SpikewrightError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What reading a damaged description may end in."""


def damage(error: Exception) -> str:
    """What is wrong with a description, in words; ``error`` is one of ``DAMAGE``."""
    if isinstance(error, SpikewrightError):
        return str(error)
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return f"a part of it is of another kind than it must be ({first_line(error)})"


def graph_of(nodes: Any, meta: Any, arrays: Mapping[str, Array]) -> Graph:
    """A graph from a description that a file held.

    Args:
        nodes: from ``entries``.
        meta: of the graph.
        arrays: of the nodes, as ``arrays_of`` names them.

    Raises:
        SpikewrightError, and what else is in ``DAMAGE``: where the description is damaged.
    """
    if not isinstance(meta, dict) or not isinstance(nodes, list):
        raise ModelFileError("its nodes are no list, or its facts no table")
    check_facts(meta)
    return Graph([node_of(entry, arrays) for entry in nodes], meta)


def node_of(entry: Any, arrays: Mapping[str, Array]) -> Node:
    """A node whose settings are of the kinds that its fields are declared to be."""
    if not isinstance(entry, dict) or not isinstance(entry["name"], str) or not fits(entry["inputs"], list[str]):
        raise ModelFileError("a node has no name, or reads what has none")
    name, where = entry["name"], f"{entry['type']} '{entry['name']}'"
    kind = node_types().get(entry["type"])
    if kind is None or isabstract(kind):
        raise ModelFileError(
            f"'{name}' is a {entry['type']!s:.40}, which this version does not know: a package that brings it may be "
            "missing here, or the file is of a later version"
        )
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
