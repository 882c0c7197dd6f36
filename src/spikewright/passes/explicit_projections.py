"""Every tensor that must meet a scale gets weights that can take it: shortcuts become one-to-one projections."""

from __future__ import annotations

import numpy as np

from spikewright.connections.scales import across_channels
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import Add, ChannelAffine, Output, ReLU
from spikewright.passes.rewrite import rewrite


@rewrite("replaced", stage="scale")
def explicit_projections(graph: Graph) -> Graph:
    """Put a ChannelAffine of ones before an Add, ReLU or Output whose operand could not be scaled on its own.

    Afterwards each of these reads a weighted layer (or an Add) that nobody else reads. The same goes before what slides
    over channels in which values of several channels were mixed, as a pixel shuffle or a join of rows does.
    """
    for name in _mixed(graph):
        graph = _insert(graph, name, 0)
    for reader in graph.of_type(Add, ReLU, Output):
        for position, name in enumerate(graph[reader.name].inputs):
            if not scalable(graph, graph[name]):
                graph = _insert(graph, reader.name, position)
    return graph


def _mixed(graph: Graph) -> list[str]:
    """The windowed nodes that read channels whose positions may have different scales.

    Found by sending a mark of its own from each channel that may have a scale of its own, as scales are sent.
    """
    marks: dict[str, Array] = {}
    found = []
    first = 0
    for node in graph:
        shape = graph.shapes[node.name]
        before = [marks[name] for name in node.inputs]
        if node.windowed and not _constant_in_channels(before[0]):
            found.append(node.name)
            before = [_fresh(before[0].shape, first)]
            first += shape[0]
        carried = None if isinstance(node, Add) else node.carry_scale(*before)
        if carried is None:
            carried = _fresh(shape, first)
            first += shape[0]
        marks[node.name] = carried
    return found


def _fresh(shape: tuple[int, ...], first: int) -> Array:
    """A mark for each channel, spread over a sample."""
    return across_channels(np.arange(first, first + shape[0]), shape)


def _constant_in_channels(marks: Array) -> bool:
    flat = marks.reshape(len(marks), -1)
    return bool((flat == flat[:, :1]).all())


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
