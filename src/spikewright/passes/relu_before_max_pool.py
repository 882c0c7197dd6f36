"""``relu(max(x)) = max(relu(x))``: the rectifier moves before the pool, so that the pool sees spikes."""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.nodes import MaxPool, ReLU
from spikewright.passes.rewrite import rewrite


@rewrite("replaced", after=("pool_globally",))
def relu_before_max_pool(graph: Graph) -> Graph:
    """Swap every MaxPool -> ReLU pair whose pool has no other reader; a ceiling is one number, so it moves too."""
    for name in [node.name for node in graph.of_type(ReLU)]:
        pool = graph.sources(name)[0]
        if isinstance(pool, MaxPool) and graph.consumers[pool.name] == (name,):
            graph = graph.swapped(name)
    return graph
