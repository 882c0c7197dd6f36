"""Which populations may send less than zero: what was sent before is taken back, or an input has negative events."""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import IF, SpikeMaxPool


def signed_populations(graph: Graph) -> frozenset[str]:
    """The populations of a spiking graph that may send less than zero.

    Signed neurons do, and max pools do that see such spikes, an input, or what has weights.
    """
    below: set[str] = set()
    for node in graph:
        if node.signed if isinstance(node, IF) else _may_fall(graph, node, below):
            below.add(node.name)
    return frozenset(node.name for node in graph.populations if node.name in below)


def _may_fall(graph: Graph, node: Node, below: set[str]) -> bool:
    """Whether what a node passes on may be below zero: values of inputs may, and sums that have weights."""
    connects = not isinstance(node, SpikeMaxPool) and node.connections(*graph.input_shapes(node)) is not None
    return not node.inputs or connects or not below.isdisjoint(node.inputs)
