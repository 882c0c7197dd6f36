"""Constants that a framework spreads over a sample: one number a channel where that says it all."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Shape


def one_a_channel(values: Array, shape: Shape) -> Array:
    """Numbers that are spread over a sample, as few of them as a node takes.

    Args:
        values: that broadcast to ``shape``.
        shape: of a sample, channels first.

    Returns:
        one number for each channel where its positions agree, else one for each value of a sample; a view.

    Raises:
        Refusal: where they do not fit.
    """
    padded = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    if padded.ndim != len(shape) or any(n not in (1, m) for n, m in zip(padded.shape, shape, strict=True)):
        raise Refusal(f"its constant of shape {values.shape} does not fit samples of {shape}")
    if not shape:
        return padded
    positions = padded.reshape(padded.shape[0], -1)
    if (positions == positions[:, :1]).all():
        return np.broadcast_to(positions[:, 0], shape[:1])
    return np.broadcast_to(padded, shape)


def one_for_all(values: Array, shape: Shape) -> Array:
    """Parameters of a population, as few as say it all: one number without axes, one a channel, or one a neuron."""
    if values.size == 1 or (values == values.flat[0]).all():
        return values.reshape(-1)[:1].reshape(())
    return one_a_channel(values, shape)


def factor_and_shift(scale: Any, shift: Any, shape: Shape) -> dict[str, Any]:
    """The fields of a ``ChannelAffine`` that multiplies by one constant and adds another.

    Raises:
        Refusal: for numbers that are not finite in float32, or do not fit.
    """
    fields = {"scale": np.asarray(scale, np.float64), "bias": np.asarray(shift, np.float64)}
    with np.errstate(over="ignore"):
        if not all(np.isfinite(values.astype(np.float32)).all() for values in fields.values()):
            raise Refusal(Cause.NOT_FINITE)
    return {name: one_a_channel(values, shape) for name, values in fields.items()}


def reciprocal(divisor: Array) -> Array:
    """What a division by constants multiplies by.

    Raises:
        Refusal: for a division by zero.
    """
    if (divisor == 0).any():
        raise Refusal(Cause.ZERO_DIVISOR)
    with np.errstate(over="ignore"):
        return np.asarray(1 / divisor.astype(np.float64))
