"""What ATen's products with constants become: matrices from either side, Einstein's notation, sums with a factor."""

from __future__ import annotations

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.products import LETTERS, contracted, equation, matrix_product
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.operators import affine, numbers, over_last_axis, spread_alike
from spikewright.frontends.torch.trace import base_name
from spikewright.nodes import Add

PRODUCTS = Rules[Handler]()
converts = PRODUCTS.converts


@converts("mm", "matmul", "mv", "bmm")
def matrix(call: Call) -> Value:
    """A product with a constant, from the right or from the left."""
    a, b = call.first, call.get("mat2", call.get("other", call.get("vec")))
    if isinstance(a, Value) and isinstance(b, Value):
        call.refuse(Cause.PRODUCT)
    left = isinstance(b, Value)
    x, weight = (b, call.constant(a)) if left else (call.value(a), call.constant(b))
    if base_name(call.node) == "bmm" or (weight.ndim > 2 and weight.ndim > len(x.sample)):
        if len(weight) > 1 and (weight != weight[:1]).any():
            call.refuse(Cause.BATCH_AXIS, "its constant differs between the samples of a batch")
        weight = weight[0]
    if not left and weight.ndim == 2:
        return over_last_axis(call, x, weight.T, np.zeros(weight.shape[1], np.float32))
    return call.emit_all(x, matrix_product(x.sample, weight, left=left))


@converts("einsum")
def einsum(call: Call) -> Value:
    operands = call["tensors"]
    data = [k for k, operand in enumerate(operands) if isinstance(operand, Value)]
    if len(data) != 1 or len(operands) > 2:
        call.refuse(Cause.PRODUCT)
    x = operands[data[0]]
    if len(operands) == 1:
        letters, _, result = equation(call["equation"].replace("->", ",->", 1), (len(x.sample) + 1, 0), 0)
        return call.emit_all(x, contracted(x.sample, letters, np.ones(()), "", result))
    weight = call.constant(operands[1 - data[0]])
    ranks = (len(x.sample) + 1, weight.ndim) if data[0] == 0 else (weight.ndim, len(x.sample) + 1)
    letters, of_weight, result = equation(call["equation"], ranks, data[0])
    return call.emit_all(x, contracted(x.sample, letters, weight, of_weight, result))


@converts("tensordot")
def tensordot(call: Call) -> Value:
    a, b = call["self"], call["other"]
    x, weight, first = (a, call.constant(b), True) if isinstance(a, Value) else (call.value(b), call.constant(a), False)
    own, others = (call["dims_self"], call["dims_other"]) if first else (call["dims_other"], call["dims_self"])
    axes = [call.axis(x, dim) for dim in own]
    if not first and weight.ndim > len(axes):
        call.refuse(Cause.BATCH_AXIS)
    data = LETTERS[: len(x.sample)]
    of_weight = list(LETTERS[len(data) : len(data) + weight.ndim])
    for axis, dim in zip(axes, others, strict=True):
        of_weight[dim % weight.ndim] = data[axis]
    result = [c for c in data if c not in of_weight] + [c for c in of_weight if c not in data]
    return call.emit_all(x, contracted(x.sample, data, weight, "".join(of_weight), "".join(result)))


@converts("lerp")
def lerp(call: Call) -> Value:
    """``start + weight · (end − start)``."""
    weight = numbers(call, call["weight"])
    ends = [call.value(call[name]) for name in ("self", "end")]
    scaled = [affine(call, v, w, part=p) for v, w, p in zip(ends, (1 - weight, weight), ("start", "end"), strict=True)]
    return call.emit(Add, *spread_alike(call, *scaled))


@converts("addcmul")
def addcmul(call: Call) -> Value:
    """``self + value · tensor1 · tensor2``, of which one is a constant."""
    a, b, value = call["tensor1"], call["tensor2"], numbers(call, call.get("value", 1))
    if isinstance(a, Value) == isinstance(b, Value):
        call.refuse(Cause.PRODUCT)
    x, factor = (a, b) if isinstance(a, Value) else (b, a)
    scaled = affine(call, x, numbers(call, factor) * value, part="scaled")
    if not isinstance(call["self"], Value):
        return affine(call, scaled, bias=numbers(call, call["self"]))
    return call.emit(Add, *spread_alike(call, call["self"], scaled))
