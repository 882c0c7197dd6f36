"""Pools: a sum pool stands at a destination; any other becomes part of the kernel behind it."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

import numpy as np

from spikewright.chips.lowering.axes import behind_matrix
from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import Axis, Window, map_of
from spikewright.graph import Graph, Node
from spikewright.nodes import Add, AvgPool, ChannelAffine, Concat, Identity, Input, SpikeMaxPool, SumPool

AVERAGE, WRITTEN = "average pool as a sum pool, weights divided", "pool written into the kernel"
REST = "rows and columns that a pool leaves over are dropped"


def behind_pool(graph: Graph, node: SumPool, branch: Branch, sides: Collection[int]) -> tuple[Branch, ...]:
    """The branch, reading what is pooled.

    Args:
        graph: it stands in.
        node: the pool.
        branch: behind it.
        sides: of the pools that a chip has.

    Raises:
        Refused: for windows that are divided by different numbers.
    """
    mean = isinstance(node, AvgPool)
    if isinstance(node, AvgPool) and not node.uniform:
        return behind_matrix(
            graph,
            node,
            branch,
            "its windows at the border are divided by other numbers than those inside",
            "count the padding (count_include_pad=True, ceil_mode=False), or pool without padding",
        )
    factor = 1 / prod(node.kernel) if mean else 1.0
    source = node.inputs[0]
    side = _side(node)
    if side * branch.pool in sides and _sends_alone(graph, graph[source], sides):
        rest = any(n % side for n in map_of(graph.shapes[source])[1:])
        done = ([AVERAGE] if mean else []) + ([REST] if rest else [])
        return (branch.reading(source, branch.window.times(factor), *done, pool=side),)
    shapes = map_of(graph.shapes[source])[1:], map_of(graph.shapes[node.name])[1:]
    ones = (1,) * (2 - len(node.kernel))
    kernel, stride = (*ones, *node.kernel), (*ones, *node.stride)
    lows = (*(0 for _ in ones), *(low for low, _ in node.padding))
    rows, columns = (
        Axis(inputs, outputs, size, step, low)
        for inputs, outputs, size, step, low in zip(*shapes, kernel, stride, lows, strict=True)
    )
    channels = graph.shapes[source][0]
    pool = Window(np.full((channels, 1, *kernel), factor), rows, columns, channelwise=True)
    return (branch.reading(source, branch.window.behind(pool), WRITTEN),)


def _side(node: SumPool | SpikeMaxPool) -> int:
    """The side of a square pool of windows side by side; 0 for another."""
    square = len(node.kernel) == 2 and len({*node.kernel, *node.stride}) == 1
    plain = not any(low or high for low, high in (node.reach if isinstance(node, SumPool) else node.padding))
    return node.kernel[0] if square and plain else 0


def _sends_alone(graph: Graph, node: Node, sides: Collection[int]) -> bool:
    """Whether all that a node makes comes from neurons and inputs by factors, sums and pools of a destination."""
    if node.population or isinstance(node, Input):
        return True
    keeps = isinstance(node, ChannelAffine | Add | Identity) or (isinstance(node, Concat) and node.axis == 0)
    pools = isinstance(node, SumPool) and _side(node) in sides
    return (keeps or pools) and all(_sends_alone(graph, graph[name], sides) for name in node.inputs)


def behind_max_pool(node: SpikeMaxPool, branch: Branch, sides: Collection[int]) -> tuple[Branch, ...]:
    """The branch, reading what is pooled, as if its maximum were a sum: memory is the same, the function is not.

    Raises:
        Refused: where no destination has such a pool.
    """
    if _side(node) * branch.pool not in sides:
        raise Refused(f"a maximum over {node.kernel} has no counterpart", MAXIMUM)
    return (branch.reading(node.inputs[0], pool=node.kernel[0]),)


MAXIMUM = "use average pooling, or convolutions with a stride, and train again"
