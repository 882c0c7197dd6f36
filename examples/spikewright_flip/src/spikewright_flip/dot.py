"""The network as a drawing for Graphviz."""

from __future__ import annotations

import json
from pathlib import Path

from spikewright.files import write_text
from spikewright.graph import Graph


def export_dot(graph: Graph, path: Path | str, *, force: bool = False, direction: str = "TB") -> None:
    """Write every node as a box with its type, and an arrow for each of its inputs.

    Args:
        graph: of any kind.
        path: ends in ``.dot``.
        force: whether a file that stands there is replaced.
        direction: of the drawing: "TB" from top to bottom, "LR" from left to right.
    """
    boxes = [f"  {json.dumps(node.name)} [label={json.dumps(f'{node.name} ({node.type})')}];" for node in graph]
    arrows = [f"  {json.dumps(source)} -> {json.dumps(node.name)};" for node in graph for source in node.inputs]
    write_text(path, "\n".join(["digraph {", f"  rankdir={direction};", *boxes, *arrows, "}", ""]), force)
