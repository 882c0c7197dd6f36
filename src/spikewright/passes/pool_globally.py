"""Global pooling written as ordinary pooling with a window as large as the input."""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from spikewright.passes.rewrite import rewrite


@rewrite("replaced", after=("split_leaky",))
def pool_globally(graph: Graph) -> Graph:
    """Make every global pool a pool with one window."""
    return graph.replaced(*(_pool(graph, node) for node in graph.of_type(GlobalAvgPool, GlobalMaxPool)))


def _pool(graph: Graph, node: Node) -> Node:
    kernel = graph.input_shapes(node)[0][1:]
    ones, none = (1,) * len(kernel), ((0, 0),) * len(kernel)
    if isinstance(node, GlobalAvgPool):
        return AvgPool(name=node.name, inputs=node.inputs, kernel=kernel, stride=ones, padding=none)
    return MaxPool(name=node.name, inputs=node.inputs, kernel=kernel, stride=ones, padding=none, dilation=ones)
