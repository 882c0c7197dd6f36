"""What a picture of a network shows: groups of neurons, what joins them, and what every arrow is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import IF, Add, ChannelAffine, Concat, Input, MaxPool, Output, ReLU
from spikewright.passes import Change, recorded
from spikewright.text import shape_text, short, significant
from spikewright.wiring import ends, has_neurons, segments

Kind = Literal["neurons", "pool", "terminal", "joint", "fork"]


@dataclass(frozen=True)
class Vertex:
    """A group of neurons, a joint where branches meet, or a fork: a layer that several others read.

    Attributes:
        node: its name.
        kind: what it is drawn as.
        tag: what sort of it, in a word or two.
        lines: what it says.
        notes: what was absorbed into it.
        hover: everything about it.
    """

    node: str
    kind: Kind
    tag: str = ""
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hover: str = ""


@dataclass(frozen=True)
class Operator:
    """One operator that an arrow is made of.

    Attributes:
        node: its name.
        title: what it is called on the arrow; "" where its name says nothing that ``line`` does not.
        line: what it does.
        notes: what was folded into it.
        hover: everything about it.
    """

    node: str
    title: str
    line: str
    notes: tuple[str, ...]
    hover: str


@dataclass(frozen=True)
class Arrow:
    """An arrow from one vertex to another.

    Attributes:
        source, target: indices of vertices.
        operators: between them, in order.
        notes: what was absorbed into the joint that it leaves, which is too small to say it.
    """

    source: int
    target: int
    operators: tuple[Operator, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagram:
    """Every node of a graph once: as a vertex, or as an operator on an arrow.

    Attributes:
        vertices: in topological order.
        arrows: by target.
    """

    vertices: tuple[Vertex, ...]
    arrows: tuple[Arrow, ...]


def diagram(graph: Graph, captions: Mapping[str, Sequence[str]] | None = None) -> Diagram:
    """What to draw of a graph, folded, normalised or spiking; also of one as a frontend made it.

    Args:
        graph: it.
        captions: further lines for some nodes.

    Raises:
        GraphError: for a file whose record of what was folded is damaged.
    """
    changes = recorded(graph)
    notes = _notes(graph, changes)
    for name, lines in (captions or {}).items():
        notes[name] = (*notes.get(name, ()), *lines)
    added = {change.node for change in changes if change.verb == "added"}
    found = ends(graph)
    number_of = {node.name: k for k, node in enumerate(found)}
    vertices = [_vertex(graph, node, notes.get(node.name, ())) for node in found]
    arrows: list[Arrow] = []
    waiting = {k: notes.get(v.node, ()) for k, v in enumerate(vertices) if v.kind == "joint"}
    for segment in segments(graph):
        source, target = number_of[segment.source], number_of[segment.target]
        names = [*segment.nodes, *([segment.target] if vertices[target].kind == "fork" else [])]
        shortcut = vertices[target].kind == "joint" and len(names) == 1
        operators = tuple(_operator(graph, graph[n], notes.get(n, ()), n in added, shortcut) for n in names)
        arrows.append(Arrow(source, target, operators, waiting.pop(source, ())))
    return Diagram(tuple(vertices), tuple(arrows))


def _kind(node: Node) -> Kind:
    """What an end of segments is drawn as."""
    if isinstance(node, Input | Output):
        return "terminal"
    if has_neurons(node):
        return "pool" if isinstance(node, MaxPool) else "neurons"
    return "fork" if node.arity == 1 else "joint"


def _vertex(graph: Graph, node: Node, notes: tuple[str, ...]) -> Vertex:
    kind, shape = _kind(node), graph.shapes[node.name]
    if kind == "joint":
        tag = "+" if isinstance(node, Add) else node.type.lower()
        if isinstance(node, Concat) and node.axis:
            tag += f" along axis {node.axis}"
        return Vertex(node.name, kind, tag, hover="\n".join([_everything(graph, node), *notes]))
    if kind == "fork":
        return Vertex(node.name, "fork")
    unit = "value" if kind == "terminal" else "neuron"
    count = f"{short(prod(shape))} {unit}{'' if prod(shape) == 1 else 's'}"
    lines = [f"{shape_text(shape)}, {count}" if len(shape) > 1 else count]
    if isinstance(node, MaxPool):
        policy = node.settings.get("policy")
        lines.append(_window(node, graph) + (f", {policy}" if policy else ""))
    facts = _neuron_facts(node)
    if facts:
        lines.append(", ".join(facts))
    tag = {"pool": "max pool", "terminal": node.type.lower()}.get(kind, node.type)
    if tag == node.name:
        tag = ""
    return Vertex(node.name, kind, tag, tuple(lines), notes, "\n".join([_everything(graph, node), *notes]))


def _neuron_facts(node: Node) -> list[str]:
    facts = []
    if isinstance(node, ReLU) and node.ceiling is not None:
        facts.append(f"at most {spread(node.ceiling)}")
    if isinstance(node, IF):
        facts.append(f"θ {spread(node.threshold)}")
    if isinstance(node, Output) and node.activation:
        facts.append(f"then {node.activation}" + ("" if node.ceiling is None else f", at most {node.ceiling:g}"))
    return facts


def spread(values: Any) -> str:
    """One number, or the lowest and the highest."""
    array: Array = np.asarray(values, np.float64)
    low, high = significant(array.min()), significant(array.max())
    return low if low == high else f"{low} to {high}"


def _operator(graph: Graph, node: Node, notes: tuple[str, ...], added: bool, shortcut: bool) -> Operator:
    hover = "\n".join([_everything(graph, node), *notes])
    if isinstance(node, ChannelAffine):
        line = "1:1 shortcut" if added and shortcut else "1:1"
        return Operator(node.name, "" if added else node.name, line, notes, hover)
    facts = [f"{_words(node.type)} {_window(node, graph)}".strip()]
    groups = node.settings.get("groups", 1)
    if groups > 1:
        facts.append("depthwise" if groups == graph.input_shapes(node)[0][0] else f"{groups} groups")
    if "weight" in node.arrays:
        facts.append(f"{short(node.arrays['weight'].size)} weights")
    line = ", ".join(facts)
    return Operator(node.name, node.name if node.weighted else "", line, notes, hover)


WORDS = {"AvgPool": "average pool", "SumPool": "sum pool", "GlobalAvgPool": "global average pool"}


def _words(kind: str) -> str:
    """BatchNorm as batch norm."""
    if kind in WORDS:
        return WORDS[kind]
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()


def _window(node: Node, graph: Graph) -> str:
    """3×3 /2: the kernel and the stride of what has them; a pool's stride only where it is not the kernel."""
    kernel: Shape | None = getattr(node, "kernel", None)
    if kernel is None:
        factor: Shape | None = getattr(node, "factor", None)
        return "" if factor is None else shape_text(factor)
    if not node.weighted and kernel == graph.input_shapes(node)[0][1:] and prod(graph.shapes[node.name][1:]) == 1:
        return f"over all {shape_text(kernel)}"
    stride: Shape = getattr(node, "stride", (1,) * len(kernel))
    usual = (1,) * len(kernel) if node.weighted else kernel
    if stride == usual:
        return shape_text(kernel)
    return f"{shape_text(kernel)} /{shape_text(stride) if len(set(stride)) > 1 else stride[0]}"


def _everything(graph: Graph, node: Node) -> str:
    """Its name and type, its shape, and every setting."""
    lines = [f"{node.name}: {node.type}", f"{shape_text(graph.shapes[node.name])}"]
    if node.parameters:
        lines[1] += f", {node.parameters:,} parameters"
    if graph.macs(node):
        lines[1] += f", {graph.macs(node):,} multiply-accumulates"
    lines += [f"{key}: {value}" for key, value in node.settings.items() if key != "shape"]
    return "\n".join(lines)


def _notes(graph: Graph, changes: Sequence[Change]) -> dict[str, tuple[str, ...]]:
    """For every node of a graph what became part of it, through any number of passes."""
    into = {change.node: change.into for change in changes if change.into}
    found: dict[str, dict[str, list[str]]] = {}
    for change in changes:
        waiting, seen = list(change.into), set()
        while waiting:
            name = waiting.pop()
            if name in graph:
                found.setdefault(name, {}).setdefault(change.verb, []).append(_called(change))
            elif name not in seen:
                seen.add(name)
                waiting += into.get(name, ())
    return {name: tuple(f"{', '.join(names)} {verb}" for verb, names in verbs.items()) for name, verbs in found.items()}


def _called(change: Change) -> str:
    """The name of what went; a bare number, as in a list of layers, with what it was before it."""
    return f"{_words(change.was)} {change.node}" if change.node.split(".")[-1].isdigit() else change.node
