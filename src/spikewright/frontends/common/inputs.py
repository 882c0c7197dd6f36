"""Inputs that have their channels last: seen from what the network does first of all, which is to move them."""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import ChannelAffine, Identity, Input, Permute, Reshape


def channels_noted(graph: Graph) -> Graph:
    """The graph, with ``channels="last"`` at each input whose last axis is put first before anything else happens."""
    last = [node for node in graph.of_type(Input) if len(node.shape) > 1 and _moved(graph, node, node.shape)]
    return graph.replaced(*(node.replace(channels="last") for node in last)) if last else graph


def _moved(graph: Graph, node: Node, shape: tuple[int, ...]) -> bool:
    """Whether every reader of a node puts its last axis first, be it after a shift or a scale."""
    readers = [graph[name] for name in graph.consumers[node.name]]
    return bool(readers) and all(
        (isinstance(reader, Permute) and reader.axes == (len(shape) - 1, *range(len(shape) - 1)))
        or (isinstance(reader, Reshape) and shape[-1] == 1 and graph.shapes[reader.name] == (1, *shape[:-1]))
        or (isinstance(reader, ChannelAffine | Identity) and _moved(graph, reader, shape))
        for reader in readers
    )
