"""Choices by comparison as nodes: a line, rectifiers and steps that add up.

A step from 0 to 1 is a rectifier with one trained level: in one timestep a neuron decides exactly at the cut, in many
its rate lies between 0 and 1 only within ``DECIDES`` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import frexp
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import clipped
from spikewright.frontends.common.constants import factor_and_shift, one_for_all
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.pieces import (
    SAME,
    Cut,
    Line,
    Number,
    Pieces,
    added,
    combined,
    constant,
    rectifier,
    simplified,
    through,
)
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Node, Shape
from spikewright.nodes import Add, ChannelAffine, Floor, Identity, LeakyReLU, ReLU

DECIDES = 2.0**-7
"""Within which share of a cut a rate lies between 0 and 1; of a cut at 0, within which distance."""
NESTED = 8
"""How many sums of functions of one value are looked into, one inside the other."""
Chain = tuple[list[NodePlan], Number]
"""Nodes from a value on, and what their result is multiplied by."""


def terms(pieces: Pieces, shape: Shape) -> list[list[NodePlan]]:
    """Chains of nodes from a value on whose results add up to a function of it; an empty one is the value itself.

    Args:
        pieces: the function.
        shape: of a sample.
    """
    pieces = simplified(pieces)
    steps: list[Chain] = []
    shift: Number = np.zeros(())
    bends: dict[float, Number] = {}
    for cut, (before, after) in zip(pieces.cuts, pairwise(pieces.lines), strict=True):
        bends[cut.at] = bends.get(cut.at, np.zeros(())) + after.slope - before.slope
        if not before.meets(after, cut.at):
            jump = after.at(cut.at) - before.at(cut.at)
            shift = shift + (jump if cut.behind else 0)
            steps.append((_step(cut, shape), -jump if cut.behind else jump))
    chains, line = _bent({at: bend for at, bend in bends.items() if bend.any()}, pieces.lines[0], shape, not steps)
    chains += steps
    if line.slope.any() or not chains:
        chains.insert(0, ([], line.slope))
    scales = [(scale, line.shift + shift if k == 0 else np.zeros(())) for k, (_, scale) in enumerate(chains)]
    return [
        _named([*plans, *_scaled(*scale, shape)], f"term{k}" if len(chains) > 1 else "")
        for k, ((plans, _), scale) in enumerate(zip(chains, scales, strict=True))
    ]


def _scaled(scale: Number, shift: Number, shape: Shape) -> list[NodePlan]:
    if (scale == 1).all() and not shift.any():
        return []
    return [NodePlan(ChannelAffine, "scaled", factor_and_shift(scale, shift, shape))]


def _named(plans: list[NodePlan], whole: str) -> list[NodePlan]:
    """With the last called as the whole, and the others as parts of it."""
    parts = [".".join(filter(None, (whole, plan.part or "clipped"))) for plan in plans[:-1]]
    return [NodePlan(plan.kind, part, plan.fields) for plan, part in zip(plans, [*parts, whole], strict=False)]


def _step(cut: Cut, shape: Shape) -> list[NodePlan]:
    """1 from a cut on; of one behind which the next piece begins, 1 up to it."""
    sign = -1 if cut.behind else 1
    width = DECIDES * 2.0 ** (frexp(cut.at)[1] - 1 if cut.at else 0)
    return [
        NodePlan(ChannelAffine, "apart", factor_and_shift(sign, -sign * cut.at, shape)),
        NodePlan(ChannelAffine, "steps", factor_and_shift(1 / width, 0, shape)),
        NodePlan(Floor, "floor"),
        NodePlan(ChannelAffine, "raised", factor_and_shift(1, 1, shape)),
        NodePlan(ReLU, "decided", {"ceiling": 1.0}),
    ]


def _bent(bends: Mapping[float, Number], first: Line, shape: Shape, alone: bool) -> tuple[list[Chain], Line]:
    """Rectifiers, and the line beside them, of a continuous function.

    Args:
        bends: by how much the slope grows where.
        first: the line before the first of them.
        shape: of a sample.
        alone: whether there are no steps beside it.
    """
    last = np.asarray(first.slope + sum(bends.values(), np.zeros(())))
    ((at, bend), *others) = bends.items() if bends else ((0.0, np.zeros(())),)
    if not bends:
        return [], first
    if len(others) == 1 and (others[0][1] == -bend).all():
        return [(clipped(at, others[0][0], shape), bend)], Line.of(first.slope, first.shift - bend * at)
    if alone and not others and at == 0 and first.slope.any() and last.all() and not first.shift.any():
        slope = one_for_all(np.broadcast_to(first.slope / last, shape), shape)
        return [([NodePlan(LeakyReLU, "leaky", {"slope": slope})], last)], Line.of(0, 0)
    if not last.any() and first.slope.any():  # from the last piece on backwards
        back = [(_rectified(-1, at, shape), bend) for at, bend in bends.items()]
        return back, Line.of(0, first.shift - sum(bend * at for at, bend in bends.items()))
    return [(_rectified(1, at, shape), bend) for at, bend in bends.items()], first


def _rectified(sign: int, at: float, shape: Shape) -> list[NodePlan]:
    """``relu(x − at)``, or ``relu(at − x)``."""
    moved = NodePlan(ChannelAffine, "shifted", factor_and_shift(sign, -sign * at, shape))
    return [*([] if sign == 1 and not at else [moved]), NodePlan(ReLU, "rectified")]


class Choices:
    """What nodes are as functions of the values that they come from.

    Args:
        nodes: made so far; they grow while a network is read.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.known: dict[str, tuple[str, Pieces]] = {}
        self._alone: set[str] = set()
        self._depth = 0
        self._by_name: dict[str, Node] = {}

    def note(self, name: str, source: str, pieces: Pieces) -> None:
        """Remember what a node is of another one."""
        self.known[name] = (source, pieces)

    def among(self, function: Callable[..., Line | None], shape: Shape, *given: str | Any) -> tuple[str, Pieces] | None:
        """What a function of lines makes of nodes that are functions of one value.

        Args:
            function: ``chosen``, ``multiplied`` or another of lines.
            shape: of a sample of every node.
            given: names of nodes, and constants.

        Returns:
            the name of that value, and the function of it; None where there is none.
        """
        histories = [dict(self._history(one, shape)) if isinstance(one, str) else None for one in given]
        for root in next(history for history in histories if history is not None):
            own = dict(self._history(root, shape))
            found = [
                constant(one) if history is None else _as_function_of(root, history, own)
                for one, history in zip(given, histories, strict=True)
            ]
            functions = [one for one in found if one is not None]
            pieces = combined(function, *functions) if len(functions) == len(found) else None
            if pieces is not None:
                return root, pieces
        return None

    def _history(self, name: str, shape: Shape) -> Iterator[tuple[str, Pieces]]:
        """The node itself and those before it that alone it depends on, with what it is of each."""
        if len(self._by_name) != len(self.nodes):
            self._by_name = {node.name: node for node in self.nodes}
        found: Pieces | None = SAME
        while found is not None:
            yield name, found
            before = self.known.get(name) or self._before(self._by_name.get(name), shape)
            if before is None:
                return
            name, found = before[0], through(found, before[1])

    def _before(self, node: Node | None, shape: Shape) -> tuple[str, Pieces] | None:
        """What a node is of one before it."""
        if not isinstance(node, Add):
            own = None if node is None else _pieces_of(node, shape)
            return None if node is None or own is None else (node.inputs[0], own)
        if node.name in self._alone or self._depth == NESTED:
            return None
        self._depth += 1
        sum_of = self.among(added, shape, *node.inputs)
        self._depth -= 1
        if sum_of is None or sum_of[0] == node.name:
            self._alone.add(node.name)
            return None
        self.known[node.name] = sum_of
        return sum_of


def _as_function_of(root: str, history: Mapping[str, Pieces], of_root: Mapping[str, Pieces]) -> Pieces | None:
    """What a node with a history is of a root; that may be a line of something that the node is a line of too."""
    if root in history:
        return history[root]
    for name, pieces in history.items():
        back = of_root.get(name)
        if back is not None and not back.cuts and not pieces.cuts and back.lines[0].slope.all():
            slope, shift = 1 / back.lines[0].slope, -back.lines[0].shift / back.lines[0].slope
            return through(pieces, Pieces((Line.of(slope, shift),)))
    return None


def _pieces_of(node: Node, shape: Shape) -> Pieces | None:
    """What a node is of the one before it, where that is no more than lines."""
    if isinstance(node, Identity):
        return SAME
    if isinstance(node, ChannelAffine):
        return Pieces((Line.of(_wide(node.scale, shape), _wide(node.bias, shape)),))
    if isinstance(node, LeakyReLU):
        return rectifier(_wide(node.slope, shape))
    if isinstance(node, ReLU) and node.levels is None and isinstance(node.ceiling, float | int | None):
        return rectifier(0.0, node.ceiling)
    return None


def _wide(values: Any, shape: Shape) -> Number:
    """Numbers of a node, one for all, a channel or a value, as they are spread over a sample."""
    found = np.asarray(values, np.float64)
    if found.size and (found == found.flat[0]).all():
        return np.asarray(found.flat[0])
    return found.reshape(-1, *(1,) * (len(shape) - 1)) if found.ndim == 1 else found


def elsewhere() -> Refusal:
    """The refusal of a choice by what is no function of the same value."""
    return Refusal(Cause.PRODUCT, "it picks values by a comparison of others")
