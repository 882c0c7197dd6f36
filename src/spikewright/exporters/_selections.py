"""Joining, padding and cropping as convolutions that only select: what formats without words for these can say."""

from __future__ import annotations

import numpy as np

from spikewright.frontends.common.windows import mixing, no_padding
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import Add, Concat, Conv, Linear, Pad, Take

WIDEST = 1024
"""Channels up to which a selection is written as a matrix."""


def selections(graph: Graph) -> Graph:
    """The same network with each Concat of channels as a sum, and each Pad, and each Take of channels, as a convolution
    with a kernel of one.

    Every weight is zero or one, so all values stay exactly the same. What has more than ``WIDEST`` channels or more
    than two axes stays as it is.
    """
    nodes: list[Node] = []
    for node in graph:
        shape = graph.shapes[node.name]
        small = (
            len(shape) <= 3 and max((n for s in (shape, *graph.input_shapes(node)) for n in s[:1]), default=0) <= WIDEST
        )
        if small and isinstance(node, Concat) and node.axis == 0:
            nodes += _joined(graph, node)
        elif small and isinstance(node, Pad):
            (before,) = graph.input_shapes(node)
            low, _ = node.padding[0]
            nodes.append(_selection(node.name, node.inputs[0], _band(shape[0], before[0], low), node.padding[1:]))
        elif small and isinstance(node, Take) and not any(node.positions[1:]):
            (before,) = graph.input_shapes(node)
            matrix = np.eye(before[0], dtype=np.float32)[list(node.positions[0])]
            nodes.append(_selection(node.name, node.inputs[0], matrix, no_padding(len(shape) - 1)))
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


def _joined(graph: Graph, node: Concat) -> list[Node]:
    """Each branch put at its own channels of an output that is zero elsewhere, and the sum of these."""
    outputs = graph.shapes[node.name][0]
    none = no_padding(len(graph.shapes[node.name]) - 1)
    parts: list[Node] = []
    start = 0
    for k, (source, shape) in enumerate(zip(node.inputs, graph.input_shapes(node), strict=True)):
        name = graph.fresh_name(f"{node.name}_part{k + 1}")
        parts.append(_selection(name, source, _band(outputs, shape[0], start), none))
        start += shape[0]
    return [*parts, Add(name=node.name, inputs=tuple(part.name for part in parts))]


def _band(outputs: int, inputs: int, start: int) -> Array:
    """The matrix that puts input ``i`` at output ``i + start``, where there is one."""
    return np.eye(outputs, inputs, -start, dtype=np.float32)


def _selection(name: str, source: str, matrix: Array, padding: tuple[tuple[int, int], ...]) -> Node:
    bias = np.zeros(len(matrix))
    if not padding:
        return Linear(name=name, inputs=(source,), weight=matrix, bias=bias)
    return Conv(name=name, inputs=(source,), **{**mixing(matrix, bias, len(padding)), "padding": padding})


def evenly_padded(weight: Array, padding: tuple[tuple[int, int], ...], dilation: Shape) -> tuple[Array, Shape] | None:
    """A kernel that does with the same padding on both sides what the given one does with its own.

    Zeros in the kernel undo on one side what is too much there; a crop is a padding below zero.

    Returns:
        the kernel and its padding; None where the dilation does not divide the difference.
    """
    around, even = [(0, 0), (0, 0)], []
    for (low, high), d in zip(padding, dilation, strict=True):
        even.append(max(low, high, 0))
        if (even[-1] - low) % d or (even[-1] - high) % d:
            return None
        around.append(((even[-1] - low) // d, (even[-1] - high) // d))
    return np.pad(weight, around), tuple(even)
