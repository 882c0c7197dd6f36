"""``relu(max(x)) = max(relu(x))``: the rectifier moves before the pool, so that the pool sees spikes."""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.nodes import MaxPool, ReLU
from spikewright.passes.rewrite import rewrite


@rewrite("replaced", after=("pool_globally",))
def relu_before_max_pool(graph: Graph) -> Graph:
    """Swap every MaxPool -> ReLU pair whose pool has no other reader; a ceiling is one number, so it moves too."""
    for relu_name in [node.name for node in graph.of_type(ReLU)]:
        relu = graph[relu_name]
        pool = graph.sources(relu)[0]
        if isinstance(pool, MaxPool) and graph.consumers[pool.name] == (relu.name,):
            readers = [
                graph[name].replace(inputs=tuple(pool.name if i == relu.name else i for i in graph[name].inputs))
                for name in dict.fromkeys(graph.consumers[relu.name])
            ]
            graph = graph.replaced(relu.replace(inputs=pool.inputs), pool.replace(inputs=(relu.name,)), *readers)
    return graph
