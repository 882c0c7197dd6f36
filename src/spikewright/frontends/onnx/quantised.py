"""Quantised weights as the numbers they stand for. ONNX's own reference knows these operators only since version 19."""

from __future__ import annotations

import numpy as np

from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.call import Call
from spikewright.graph import Array


def dequantised(call: Call) -> Array:
    """``(x − zero point) · scale``."""
    x, scale, zero = _given(call)
    return np.asarray((x.astype(np.float64) - zero) * scale, np.float32)


def quantised(call: Call) -> Array:
    """``round(x / scale) + zero point``, ties to even, within the range of the type."""
    x, scale, zero = _given(call)
    dtype = call.needed(2).dtype if call.input_name(2) else np.dtype(np.uint8)
    if dtype.kind not in "iu":
        raise Refusal(f"it quantises to {dtype}; only whole numbers are supported")
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(x / scale) + zero, limits.min, limits.max), dtype)


def _given(call: Call) -> tuple[Array, Array, Array]:
    """The values, and their scales and zero points in a shape that goes with them."""
    x, scale = call.needed(0), call.needed(1).astype(np.float64)
    zero = call.needed(2).astype(np.float64) if call.input_name(2) else np.zeros_like(scale)
    if {scale.size, zero.size} == {1}:  # runtimes write one number as a list of one, or not
        zero = zero.reshape(scale.shape)
    axis, block = call.whole("axis", 1), call.whole("block_size", 0)
    if scale.shape != zero.shape:
        raise Refusal(f"its scales {scale.shape} and zero points {zero.shape} do not belong together")
    if scale.size == 1:
        return x, scale.reshape(()), zero.reshape(())
    if block > 0 and scale.ndim == x.ndim and -(-x.shape[axis] // block) == scale.shape[axis]:
        block_of = np.arange(x.shape[axis]) // block
        return x, scale.take(block_of, axis), zero.take(block_of, axis)
    if block or scale.shape != x.shape[axis : axis + 1 or None]:
        raise Refusal(f"its scales {scale.shape} do not fit values of {x.shape} along axis {axis}")
    shape = [1] * x.ndim
    shape[axis] = -1
    return x, scale.reshape(shape), zero.reshape(shape)
