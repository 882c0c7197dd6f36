"""Operators that only move values, as nodes: reshapes, crops, blocks of pixels that become channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from spikewright.graph import Node, Shape
from spikewright.nodes import Flatten, Permute, Reshape
from spikewright.nodes._window import Padding


@dataclass(frozen=True)
class NodePlan:
    """One of the nodes that an operator becomes, each of which reads the one before.

    Attributes:
        kind: its type.
        part: added to the operator's name; empty for the node that has it.
        fields: its parameters.
    """

    kind: type[Node]
    part: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def reshaped(shape: Shape, part: str = "") -> NodePlan:
    """The node that gives the same values, in the same order, another shape."""
    return NodePlan(Flatten, part) if len(shape) == 1 else NodePlan(Reshape, part, {"shape": shape})


def filled_in(target: Shape, count: int) -> Shape | None:
    """The shape that ``count`` values take where one length may be left open (-1); None where they do not fit it."""
    known = prod(n for n in target if n != -1)
    if target.count(-1) > 1 or any(n < -1 for n in target) or known < 1 or count % known:
        return None
    shape = tuple(count // known if n == -1 else n for n in target)
    return shape if prod(shape) == count else None


def crop(shape: Shape, axis: int, start: int, stop: int) -> Padding:
    """What a ``Pad`` takes away to leave some positions of one axis."""
    return tuple((-start, stop - n) if a == axis else (0, 0) for a, n in enumerate(shape))


def parts(sizes: Shape) -> list[tuple[int, int]]:
    """Where parts of an axis that lie one behind the other start and stop."""
    return [(sum(sizes[:k]), sum(sizes[: k + 1])) for k in range(len(sizes))]


def depth_to_space(shape: Shape, block: int, *, blocks_first: bool = False) -> list[NodePlan]:
    """Blocks of channels as squares of positions (pixel shuffle).

    Args:
        shape: of a sample, its last three axes channels, rows and columns.
        block: the side of a square.
        blocks_first: whether the channels of one place in the square lie side by side, instead of those of one channel.
    """
    *more, channels, rows, columns = shape
    fewer = channels // block**2
    apart = (block, block, fewer, rows, columns) if blocks_first else (fewer, block, block, rows, columns)
    order = (2, 3, 0, 4, 1) if blocks_first else (0, 3, 1, 4, 2)
    return _rearranged((*more,), apart, order, (fewer, rows * block, columns * block))


def space_to_depth(shape: Shape, block: int, *, blocks_first: bool = False) -> list[NodePlan]:
    """Squares of positions as blocks of channels; arguments as there."""
    *more, channels, rows, columns = shape
    apart = (channels, rows // block, block, columns // block, block)
    order = (2, 4, 0, 1, 3) if blocks_first else (0, 2, 4, 1, 3)
    return _rearranged((*more,), apart, order, (channels * block**2, rows // block, columns // block))


def channel_shuffle(shape: Shape, groups: int) -> list[NodePlan]:
    """The first channel of each group, then the second of each."""
    channels, *spatial = shape
    order = (1, 0, *range(2, len(spatial) + 2))
    return _rearranged((), (groups, channels // groups, *spatial), order, shape)


def _rearranged(before: Shape, apart: Shape, order: Shape, together: Shape) -> list[NodePlan]:
    """Some axes split, their parts put in another order and joined again; the axes ``before`` them stay."""
    axes = (*range(len(before)), *(len(before) + axis for axis in order))
    return [
        NodePlan(Reshape, "split", {"shape": (*before, *apart)}),
        NodePlan(Permute, "moved", {"axes": axes}),
        reshaped((*before, *together)),
    ]
