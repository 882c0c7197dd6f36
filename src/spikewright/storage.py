"""A graph as one safetensors file: arrays, and a JSON header that says how they hang together."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from spikewright.errors import ModelFileError, SpikewrightError
from spikewright.files import atomic_path
from spikewright.graph import Graph, Node
from spikewright.nodes import node_types

FORMAT = 1
KEY = "spikewright-graph"


def save(graph: Graph, path: Path | str) -> None:
    """Write a graph, analog or spiking.

    Raises:
        StorageError: when the file cannot be written; what stood there before is untouched.
    """
    from safetensors.numpy import save_file

    arrays = {f"{node.name}/{label}": array for node in graph for label, array in node.arrays.items()}
    nodes = [{"type": n.type, "name": n.name, "inputs": n.inputs, "settings": n.settings} for n in graph]
    header = json.dumps({"format": FORMAT, "nodes": nodes, "meta": dict(graph.meta)})
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, {KEY: header})


def load_graph(path: Path | str) -> Graph:
    """Read what ``save`` wrote; nothing in the file is executed.

    Raises:
        ModelFileError: for a file that is missing, damaged, not ours, or from a later version.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            arrays = {key: file.get_tensor(key) for key in file.keys()} if text else {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        advice = "copy it again, or convert it first if it is a trained network"
        raise ModelFileError(f"{path}: not a readable Spikewright graph ({error}); {advice}") from error
    if text is None:
        raise ModelFileError(
            f"{path}: holds bare weights, not a Spikewright graph; name the code too: FILE.py:FACTORY --weights {path}"
        )
    header = json.loads(text)
    if header["format"] != FORMAT:
        raise ModelFileError(
            f"{path}: graph format {header['format']}, this version reads {FORMAT}; upgrade spikewright"
        )
    try:
        return Graph([_node(entry, arrays) for entry in header["nodes"]], header["meta"])
    except (SpikewrightError, TypeError, KeyError) as error:
        raise ModelFileError(f"{path}: the graph inside is damaged: {error}") from error


def _node(entry: dict[str, Any], arrays: dict[str, Any]) -> Node:
    kind = node_types().get(entry["type"])
    if kind is None:
        raise ModelFileError(f"'{entry['name']}' is a {entry['type']}, which this version does not know")
    settings = {label: _tuples(value) for label, value in entry["settings"].items()}
    own = {f.name: arrays[f"{entry['name']}/{f.name}"] for f in fields(kind) if f"{entry['name']}/{f.name}" in arrays}
    return kind(name=entry["name"], inputs=tuple(entry["inputs"]), **settings, **own)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
