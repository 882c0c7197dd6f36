"""Clips and leaky slopes: which of them are rectifiers."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Node
from spikewright.nodes import LeakyReLU, ReLU

LARGEST = float(np.finfo(np.float32).max)
"""What bounds a float32 bounds nothing."""


def one_bound(values: Array) -> float:
    """A bound given as an array, say a trained ceiling, as one number.

    Raises:
        Refusal: where it differs between neurons.
    """
    if not values.size or (values != values.flat[0]).any():
        raise Refusal(Cause.BOUNDS_DIFFER)
    return float(values.flat[0])


def ceiling_of(low: float | None, high: float | None, *, positive: bool = False) -> float | None:
    """The ceiling of the rectifier that a clip between two bounds is.

    Args:
        low: the lower bound, if there is one.
        high: the upper one.
        positive: whether nothing negative arrives, so that a lower bound of 0 or less does nothing.

    Returns:
        None for a rectifier without a ceiling.

    Raises:
        Refusal: for a clip that is no rectifier.
    """
    low = None if low is None or low <= -LARGEST else float(low)
    high = None if high is None or high >= LARGEST else float(high)
    if positive and (low is None or low < 0):
        low = 0.0
    if low != 0 or (high is not None and high <= 0):
        bounds = ["none" if bound is None else f"{bound:g}" for bound in (low, high)]
        raise Refusal(Cause.NOT_FROM_ZERO, f"its bounds are {bounds[0]} and {bounds[1]}")
    return high


def leaky(slope: Any) -> tuple[type[Node], dict[str, Any]]:
    """The node, and its fields, for a rectifier with a slope below 0; a slope of nothing is a plain rectifier."""
    values = np.asarray(slope)
    return (LeakyReLU, {"slope": values}) if values.any() else (ReLU, {})
