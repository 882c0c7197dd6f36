"""Clips and leaky slopes, as the rectifiers that they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.causes import Cause
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Node, Shape
from spikewright.nodes import ChannelAffine, Identity, LeakyReLU, ReLU, Round

LARGEST = float(np.finfo(np.float32).max)
"""What bounds a float32 bounds nothing."""


def leaky(slope: Any) -> tuple[type[Node], dict[str, Any]]:
    """The node, and its fields, for a rectifier with a slope below 0; a slope of nothing is a plain rectifier."""
    values = np.asarray(slope)
    return (LeakyReLU, {"slope": values}) if values.any() else (ReLU, {})


def clipped(low: Any, high: Any, shape: Shape, *, positive: bool = False) -> list[NodePlan]:
    """The nodes of ``min(max(x, low), high)``: a rectifier between a shift before and one behind it.

    ``low + min(relu(x − low), high − low)``, and with an upper bound alone ``high − relu(high − x)``.

    Args:
        low: the lower bound, a number or an array that is spread over a sample; None for none.
        high: the upper one.
        shape: of a sample.
        positive: whether nothing negative arrives, so that a lower bound of 0 or less does nothing.

    Raises:
        Refusal: for an upper one that is not above the lower one.
    """
    low, high = _bound(low, -1), _bound(high, 1)
    if positive and (low is None or (low <= 0).all()):
        low = np.zeros(())
    if low is None and high is None:
        return [NodePlan(Identity)]
    if low is None or high is None:
        sign, bound = (1.0, low) if high is None else (-1.0, high)
        assert bound is not None
        if low is not None and not low.any():
            return [NodePlan(ReLU)]
        return [
            NodePlan(ChannelAffine, "shifted", factor_and_shift(sign, -sign * bound, shape)),
            NodePlan(ReLU, "rectified"),
            NodePlan(ChannelAffine, "", factor_and_shift(sign, bound, shape)),
        ]
    width = np.asarray(high - low)
    if (width <= 0).any():
        raise Refusal(f"its lower bound {low.flat[0]:g} is not below its upper one, {high.flat[0]:g}")
    if (width == width.flat[0]).all():
        before, ceiling, after = factor_and_shift(1, -low, shape), float(width.flat[0]), factor_and_shift(1, low, shape)
        if not low.any():
            return [NodePlan(ReLU, "", {"ceiling": ceiling})]
    else:  # one ceiling for all: each is put at 1
        before, ceiling = factor_and_shift(1 / width, -low / width, shape), 1.0
        after = factor_and_shift(width, low, shape)
    rectified = NodePlan(ReLU, "rectified", {"ceiling": ceiling})
    return [NodePlan(ChannelAffine, "shifted", before), rectified, NodePlan(ChannelAffine, "", after)]


def _bound(value: Any, sign: int) -> NDArray[np.float64] | None:
    """A bound in double precision; None where it bounds nothing."""
    if value is None:
        return None
    found = np.asarray(value, np.float64)
    if np.isnan(found).any():
        raise Refusal(Cause.NOT_FINITE)
    return None if (sign * found >= LARGEST).all() else found


def quantised(scale: float, zero: float, lowest: float, highest: float, shape: Shape) -> list[NodePlan]:
    """The nodes of ``(clip(round(x / scale) + zero, lowest, highest) − zero) · scale``, steps for a pass to recognise.

    Args:
        scale: of a step.
        zero: the number that stands for 0.
        lowest: of the numbers.
        highest: of them.
        shape: of a sample.

    Raises:
        Refusal: for a scale that is not positive.
    """
    if not (np.isfinite(scale) and scale > 0 and lowest < highest):
        raise Refusal(f"its steps of {scale:g} from {lowest:g} to {highest:g} make no activation")
    bounds = clipped(lowest - zero, highest - zero, shape)
    return [
        NodePlan(ChannelAffine, "steps", factor_and_shift(1 / scale, 0, shape)),
        NodePlan(Round, "rounded"),
        *(NodePlan(plan.kind, plan.part or "clipped", plan.fields) for plan in bounds),
        NodePlan(ChannelAffine, "", factor_and_shift(scale, 0, shape)),
    ]
