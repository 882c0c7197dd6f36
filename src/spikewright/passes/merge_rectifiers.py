"""A rectifier of a rectifier is one rectifier, with the lower of their ceilings."""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.nodes import ReLU
from spikewright.passes.rewrite import rewrite


@rewrite("folded", into="before", stage="recognise", after=("quantised_activations",))
def merge_rectifiers(graph: Graph) -> Graph:
    """Join each ReLU with the ReLU that alone it reads; one with levels stays where the other leaves it whole."""
    for name in [node.name for node in graph.of_type(ReLU)]:
        outer = graph[name]
        inner = graph.sources(outer)[0]
        if not isinstance(inner, ReLU) or not isinstance(outer, ReLU) or len(graph.consumers[inner.name]) > 1:
            continue
        ceilings = [c for c in (inner.ceiling, outer.ceiling) if c is not None]
        if any(not isinstance(c, float | int) for c in ceilings):
            continue
        stepped = inner if inner.levels is not None else outer
        if stepped.levels is not None and stepped.ceiling != min(ceilings):
            continue
        joined = stepped.replace(name=inner.name, inputs=inner.inputs, ceiling=min(ceilings, default=None))
        graph = graph.replaced(joined).without(name)
    return graph
