"""Every tensor that must meet a scale gets weights that can take it: shortcuts become one-to-one projections."""

from __future__ import annotations

import numpy as np

from spikewright.graph import Graph, Node
from spikewright.nodes import Add, ChannelAffine, Concat, Output, ReLU
from spikewright.passes.rewrite import rewrite


@rewrite("replaced")
def explicit_projections(graph: Graph) -> Graph:
    """Put a ChannelAffine of ones before an Add, ReLU or Output whose operand could not be scaled on its own.

    Afterwards each of these reads a weighted layer (or an Add) that nobody else reads. The same goes for a Concat
    along another axis than the channels: no kernel could take in two scales within one channel.
    """
    across = [node for node in graph.of_type(Concat) if node.axis > 0]
    for reader in (*graph.of_type(Add, ReLU, Output), *across):
        for position, name in enumerate(graph[reader.name].inputs):
            if not scalable(graph, graph[name]):
                graph = _insert(graph, reader.name, position)
    return graph


def scalable(graph: Graph, operand: Node) -> bool:
    """Whether an operand's output can be given any scale without another reader noticing."""
    return len(graph.consumers[operand.name]) == 1 and (operand.weighted or isinstance(operand, Add))


def _insert(graph: Graph, reader: str, position: int) -> Graph:
    node = graph[reader]
    source = node.inputs[position]
    channels = graph.shapes[source][:1]
    name = graph.fresh_name(f"{source}_to_{reader}")
    shortcut = ChannelAffine(name=name, inputs=(source,), scale=np.ones(channels), bias=np.zeros(channels))
    inputs = list(node.inputs)
    inputs[position] = name
    return graph.with_nodes([*(node.replace(inputs=inputs) if n.name == reader else n for n in graph), shortcut])
