"""The way from a population back to all that sends it spikes: one branch for every way."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from spikewright.chips.lowering.affine import behind_affine
from spikewright.chips.lowering.axes import behind_matrix, behind_resample
from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.convolution import behind_convolution
from spikewright.chips.lowering.joins import behind_sum
from spikewright.chips.lowering.linear import behind_linear
from spikewright.chips.lowering.moves import behind_moves
from spikewright.chips.lowering.pool import behind_max_pool, behind_pool
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import in_place
from spikewright.graph import Graph, Node
from spikewright.nodes import (
    AdaptiveAvgPool,
    Add,
    ChannelAffine,
    Conv,
    ConvTranspose,
    Input,
    Linear,
    Resample,
    SpikeMaxPool,
    SumPool,
)

SPREADS = "it spreads values, and kernels on a chip only gather them"
UNEVEN = "what it adds up differs from place to place, and a kernel is the same everywhere"


def branches_of(graph: Graph, reader: Node, views: Mapping[str, object], sides: Collection[int]) -> list[Branch]:
    """Every branch that leads to what a node reads, in order.

    Args:
        graph: a spiking graph.
        reader: a population, or an output whose values are added up.
        views: names of the nodes that stand for an input.
        sides: of the sum pools that a chip has.

    Raises:
        Refused: for what no core computes.
    """
    source = reader.inputs[0]
    waiting, found = [Branch(source, in_place(graph.shapes[source]))], []
    while waiting:
        branch = waiting.pop(0)
        node = graph[branch.node]
        if branch.node in views or (node.population and not isinstance(node, SpikeMaxPool)):
            found.append(branch)
            continue
        try:
            waiting = [*_behind(graph, node, branch, sides), *waiting]
        except Refused as refused:
            raise Refused(f"{node}: {refused.what}", refused.advice) from refused
    return found


def _behind(graph: Graph, node: Node, branch: Branch, sides: Collection[int]) -> tuple[Branch, ...]:
    if isinstance(node, Conv):
        return behind_convolution(graph, node, branch)
    if isinstance(node, Linear):
        return behind_linear(graph, node, branch)
    if isinstance(node, ChannelAffine):
        return behind_affine(node, branch)
    if isinstance(node, SumPool):
        return behind_pool(graph, node, branch, sides)
    if isinstance(node, SpikeMaxPool):
        return behind_max_pool(node, branch, sides)
    if isinstance(node, Add):
        return behind_sum(node, branch)
    if isinstance(node, Input):
        raise Refused("no map of events stands for it", "see what is said of the input")
    if isinstance(node, Resample | AdaptiveAvgPool):
        return behind_resample(graph, node, branch)
    if isinstance(node, ConvTranspose):
        return behind_matrix(graph, node, branch, SPREADS, "use a convolution that keeps the map")
    if node.connections(*graph.input_shapes(node)) is not None:
        return behind_matrix(graph, node, branch, UNEVEN, "let a dense layer follow it, or use a convolution")
    return behind_moves(graph, node, branch)
