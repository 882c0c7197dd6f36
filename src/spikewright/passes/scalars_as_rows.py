"""A value without axes becomes a row of one: neurons, scales and synapses then all have a channel to lie in."""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import BatchNorm, ChannelAffine, Output, Pad, Permute, Reshape
from spikewright.passes.rewrite import rewrite


@rewrite("absorbed", into="before", stage="recognise")
def scalars_as_rows(graph: Graph) -> Graph:
    """Give every value of shape ``()`` the shape ``(1,)``; an output takes the axis off again in its readout."""
    scalars = {node.name for node in graph if graph.shapes[node.name] == ()}
    if not scalars:
        return graph
    found = graph.with_nodes(_as_row(node) if node.name in scalars else node for node in graph)
    moves = [n for n in found.of_type(Reshape, Permute, Pad) if n.name in scalars]
    return found.without(*(n.name for n in moves if found.input_shapes(n) == ((1,),)))


def _as_row(node: Node) -> Node:
    if isinstance(node, Output):
        return node.replace(scalar=True)
    if isinstance(node, Reshape):
        return node.replace(shape=(1,))
    if isinstance(node, Permute):
        return node.replace(axes=(0,))
    if isinstance(node, Pad):
        return node.replace(padding=((0, 0),))
    if isinstance(node, ChannelAffine | BatchNorm):
        return node.replace(**{name: array.reshape(1) for name, array in node.arrays.items()})
    return node
