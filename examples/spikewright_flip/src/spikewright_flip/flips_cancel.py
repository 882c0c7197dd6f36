"""Reversing an axis twice does nothing."""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.passes import rewrite
from spikewright_flip.flip import Flip


@rewrite("absorbed", into="before", stage="recognise", after=("drop_identities",))
def flips_cancel(graph: Graph) -> Graph:
    """Take out every Flip with the Flip of the same axis that it alone reads."""
    for name in [node.name for node in graph.of_type(Flip)]:
        if name not in graph:
            continue
        node, before = graph[name], graph.sources(name)[0]
        alone = graph.consumers[before.name] == (name,)
        if alone and isinstance(node, Flip) and isinstance(before, Flip) and node.axis == before.axis:
            graph = graph.without(name, before.name)
    return graph
