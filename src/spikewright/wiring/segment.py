"""Segments: a graph cut where its groups of neurons are, where branches meet, and where they part.

Paths are what single neurons see: each has one operator. Segments are what a reader sees: every node stands at one
place, as an end of segments or within one, whether the network is trained or spiking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spikewright.graph import Graph, Node
from spikewright.nodes import Output
from spikewright.wiring.group import has_neurons


@dataclass(frozen=True)
class Segment:
    """Operators in a row between two ends, each the only reader of what stands before it.

    Attributes:
        source, target: names of the ends.
        nodes: names of what stands between, in order.
    """

    source: str
    target: str
    nodes: tuple[str, ...]


def ends(graph: Graph) -> tuple[Node, ...]:
    """The nodes that segments start or end at, in order."""
    return tuple(node for node in graph if _is_end(graph, node))


def segments(graph: Graph) -> tuple[Segment, ...]:
    """Every segment, by the order of its target and of the target's inputs."""
    return tuple(_segments(graph))


def _segments(graph: Graph) -> Iterator[Segment]:
    stops = {node.name for node in ends(graph)}
    for target in ends(graph):
        for name in target.inputs:
            between: list[str] = []
            while name not in stops:
                between.insert(0, name)
                (name,) = graph[name].inputs
            yield Segment(name, target.name, tuple(between))


def _is_end(graph: Graph, node: Node) -> bool:
    """Inputs, outputs and neurons are; so is what reads several nodes, or is not read by exactly one."""
    several = len(node.inputs) != 1 or node.arity is None
    return several or isinstance(node, Output) or has_neurons(node) or len(graph.consumers[node.name]) != 1
