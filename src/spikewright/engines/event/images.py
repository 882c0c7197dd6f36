"""First layers that the native core computes itself: convolutions of few taps of what is given at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.engines.event.compiler import Compiled
from spikewright.engines.event.operators import three_axes
from spikewright.engines.event.resting import is_small
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Input


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """A population whose current is a convolution of an input, in the order of the native core.

    Attributes:
        given: the name of the input.
        convolution: the name of the node between them.
        bias: ``(1, values)``, what arrives whatever the input.
    """

    given: str
    convolution: str
    bias: NDArray[np.float32]


def first_layers(graph: Graph, compiled: Compiled) -> dict[str, FirstLayer]:
    """The populations that take images from now on; all other currents of a constant input are computed in torch.

    Args:
        graph: a spiking graph, whose inputs are the same at every step.
        compiled: its plan, which is told.
    """
    found = {}
    for node in graph.of_type(IF):
        before = graph[node.inputs[0]]
        if not isinstance(before, Conv) or not isinstance(graph[before.inputs[0]], Input):
            continue
        padded = all(low >= 0 and high >= 0 for low, high in before.padding)
        if not is_small(before) or not padded or graph.consumers[before.name] != (node.name,):
            continue
        (channels, *spatial), (filters, *outputs) = graph.shapes[before.inputs[0]], graph.shapes[node.name]
        taken = compiled.plan.image(
            compiled.layers[node.name],
            channels,
            three_axes(tuple(spatial), 1),
            three_axes(before.kernel, 1),
            three_axes(before.stride, 1),
            three_axes(tuple(low for low, _ in before.padding), 0),
            three_axes(before.dilation, 1),
            three_axes(tuple(outputs), 1),
            np.ascontiguousarray(np.moveaxis(before.weight, 0, -1), np.float32),
        )
        if taken:
            bias = np.broadcast_to(before.bias, (*outputs, filters)).astype(np.float32).reshape(1, -1)
            found[node.name] = FirstLayer(before.inputs[0], before.name, bias)
    return found
