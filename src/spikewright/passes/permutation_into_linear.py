"""A permutation before a fully connected layer moves into the order of its weights.

Networks with channels last flatten in the order row, column, channel; as a graph with channels first that is a Permute
before the Flatten. Without it the layer reads its neurons directly, and norms fold through.
"""

from __future__ import annotations

import numpy as np

from spikewright.graph import Graph
from spikewright.nodes import Flatten, Linear, Permute
from spikewright.passes.rewrite import rewrite


@rewrite("folded", into="after", after=("relu_before_max_pool",))
def permutation_into_linear(graph: Graph) -> Graph:
    """Every Permute that only Flattens read, which only Linears read."""
    for permute in graph.of_type(Permute):
        flattens = [graph[name] for name in graph.consumers[permute.name]]
        linears = [graph[name] for flatten in flattens for name in graph.consumers[flatten.name]]
        if not all(isinstance(node, Flatten) for node in flattens):
            continue
        if not linears or not all(isinstance(node, Linear) for node in linears):
            continue
        shape = graph.input_shapes(permute)[0]
        order = np.arange(np.prod(shape)).reshape(shape).transpose(permute.axes).ravel()
        reordered = [
            layer.replace(weight=layer.weight[:, np.argsort(order)]) for layer in linears if isinstance(layer, Linear)
        ]
        graph = graph.replaced(*reordered).without(permute.name)
    return graph
