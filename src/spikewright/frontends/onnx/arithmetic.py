"""Fully connected layers and arithmetic with constants, as ONNX writes them."""

from __future__ import annotations

from math import prod

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.constants import factor_and_shift, one_a_channel, reciprocal
from spikewright.frontends.common.gathers import named
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.pieces import multiplied
from spikewright.frontends.common.products import LETTERS, contracted, equation, matrix_product
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.windows import mixing
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.gathers import spread
from spikewright.graph import Array, Shape
from spikewright.nodes import Add, ChannelAffine, Conv, Linear, Permute
from spikewright.nodes._window import has_padding


def gemm(call: Call) -> None:
    """``alpha · A' · B' + beta · C``."""
    if call.attributes.get("transA"):
        raise Refusal(Cause.BATCH_AXIS, "its first input is transposed")
    if call.is_constant(0):
        raise Refusal("its first input is a constant; the data must come first")
    weight = call.weights(1)
    if weight.ndim != 2:
        raise Refusal(f"its matrix has the shape {weight.shape}, not two axes")
    if call.attributes.get("alpha", 1.0) != 1.0:
        weight = weight.astype(np.float64) * call.attributes["alpha"]
    weight = weight if call.attributes.get("transB") else weight.T
    given = call.weights(2).astype(np.float64) if call.input_name(2) else None
    bias = np.zeros(len(weight)) if given is None else given * call.attributes.get("beta", 1.0)
    if bias.size != 1 and bias.shape not in ((len(weight),), (1, len(weight))):
        raise Refusal(f"its addend has the shape {bias.shape}, which would differ from sample to sample")
    _linear(call, weight, np.broadcast_to(bias.reshape(-1), len(weight)))


def matmul(call: Call) -> None:
    """MatMul with constant weights, from the right or from the left."""
    left = call.is_constant(0)
    if left == call.is_constant(1):
        raise Refusal(Cause.PRODUCT)
    data = int(left)
    weight, shape = call.weights(1 - data), call.shape(data)
    while 2 < weight.ndim <= len(shape) + 1 and len(weight) == 1:
        weight = weight[0]
    if weight.ndim > max(2, len(shape)):
        raise Refusal(Cause.BATCH_AXIS, f"its constant of shape {weight.shape} differs from sample to sample")
    if left or weight.ndim != 2:
        call.emit_all(matrix_product(shape, weight, left=left), call.source(data))
        return
    _linear(call, weight.T, np.zeros(weight.shape[1]))


def einsum(call: Call) -> None:
    """Einsum of data and one constant."""
    data = [k for k in range(len(call.proto.input)) if not call.is_constant(k)]
    if len(data) != 1 or len(call.proto.input) > 2:
        raise Refusal(Cause.PRODUCT)
    (position,) = data
    shape, text = call.shape(position), call.text("equation", "")
    if len(call.proto.input) == 1:
        letters, _, result = equation(text.replace("->", ",->", 1), (len(shape) + 1, 0), 0)
        call.emit_all(contracted(shape, letters, np.ones(()), "", result))
        return
    weight = call.weights(1 - position)
    ranks = (weight.ndim, len(shape) + 1) if position else (len(shape) + 1, weight.ndim)
    letters, of_weight, result = equation(text, ranks, position)
    call.emit_all(contracted(shape, letters, weight, of_weight, result), call.source(position))


def _linear(call: Call, weight: Array, bias: Array) -> None:
    """A fully connected layer over the last axis; where there are others, a convolution with a kernel of one."""
    axes = len(call.shape())
    if call.shape()[-1] != weight.shape[1]:  # before the weights are copied: they may be large
        raise Refusal(f"it takes {weight.shape[1]} values along the last axis, its input has the shape {call.shape()}")
    if axes == 1:
        call.emit(Linear, weight=weight, bias=bias)
        return
    if axes > 4:
        letters = LETTERS[: axes - 1]
        plans = contracted(call.shape(), letters + "Z", weight, "YZ", letters + "Y")
        if bias.any():
            after = (*call.shape()[:-1], len(bias))
            plans = named([*plans, NodePlan(ChannelAffine, "", factor_and_shift(1, bias, after))])
        call.emit_all(plans)
        return
    first = call.part(Permute, call.source(), "before", axes=(axes - 1, *range(axes - 1)))
    _mix(call, first, weight, bias, axes - 1)


def _mix(call: Call, source: str, weight: Array, bias: Array, others: int) -> None:
    """The convolution with a kernel of one, and its channels put last again."""
    mixed = call.part(Conv, source, "mixed", **mixing(weight, bias, others))
    call.emit(Permute, mixed, axes=(*range(1, others + 1), 0))


def add(call: Call) -> None:
    """Add and Sum: of data, of data and constants."""
    _sum(call, 1.0)


def mean(call: Call) -> None:
    """Mean of several."""
    _sum(call, 1 / len(call.proto.input))


def _sum(call: Call, factor: float) -> None:
    """A factor times the sum of all inputs; those that are shorter along an axis are repeated there."""
    data = [k for k in range(len(call.proto.input)) if not call.is_constant(k)]
    constants = [call.needed(k).astype(np.float64) for k in range(len(call.proto.input)) if k not in data]
    call.walk.budget(prod(np.broadcast_shapes(*(c.shape for c in constants))))
    shift = factor * sum(constants, np.zeros(()))
    if len(data) == 1:
        if not constants:
            call.walk.alias(call.output, call.input_name(0))
            return
        _affine(call, data[0], np.full((), factor), shift)
        return
    sources = alike(call, data)
    if not constants and factor == 1:
        call.emit(Add, *sources)
        return
    shape = np.broadcast_shapes(*(call.shape(k) for k in data))
    call.walk.add(Add(name=call.walk.names.free(f"{call.name}_sum"), inputs=tuple(sources)), f"{call.output}:sum")
    moved = without_batch(aligned(call, shift, len(shape) + 1), shape)
    call.emit(ChannelAffine, call.walk.values[f"{call.output}:sum"], **factor_and_shift(factor, moved, shape))


def alike(call: Call, positions: list[int]) -> list[str]:
    """The nodes of some inputs, in one shape."""
    wide = np.broadcast_shapes(*(call.shape(k) for k in positions))
    return [call.chain(spread(call.shape(k), wide), call.source(k), f"spread{k}") for k in positions]


def sub(call: Call) -> None:
    """Sub."""
    if call.is_constant(1):
        _affine(call, 0, np.ones(()), -call.needed(1).astype(np.float64))
    elif call.is_constant(0):
        _affine(call, 1, -np.ones(()), call.needed(0).astype(np.float64))
    else:
        first, second = alike(call, [0, 1])
        shape = np.broadcast_shapes(call.shape(0), call.shape(1))
        negative = call.part(ChannelAffine, second, "minus", **factor_and_shift(-1, 0, shape))
        call.emit(Add, first, negative)


def neg(call: Call) -> None:
    """Neg."""
    _affine(call, 0, -np.ones(()), np.zeros(()))


def mul(call: Call) -> None:
    """Mul by a constant, or of data by 0 or 1 as it is compared."""
    if not (call.is_constant(0) or call.is_constant(1)):
        _product(call)
        return
    position = 1 if call.is_constant(0) else 0
    _affine(call, position, call.needed(1 - position).astype(np.float64), np.zeros(()))


def _product(call: Call) -> None:
    """Of functions of one value, one of which is flat wherever the other is not: ``x · (x > 0)``."""
    shape = np.broadcast_shapes(call.shape(0), call.shape(1))
    found = call.walk.choices.among(multiplied, shape, *alike(call, [0, 1]))
    if found is None:
        raise Refusal(Cause.PRODUCT)
    call.function(*found, shape)


def div(call: Call) -> None:
    """Div by a constant."""
    if not call.is_constant(1):
        raise Refusal(Cause.QUOTIENT)
    _affine(call, 0, reciprocal(call.needed(1)), np.zeros(()))


def _affine(call: Call, position: int, scale: Array, shift: Array) -> None:
    """A factor and a shift by constants; a shift right after a fully connected layer joins its bias."""
    shape = call.shape(position)
    factor, moved = (without_batch(aligned(call, a, len(shape) + 1), shape) for a in (scale, shift))
    fields = factor_and_shift(factor, moved, shape)
    call.walk.budget(sum(values.size for values in fields.values()))
    source = call.source(position)
    if not ((fields["scale"] == 1).all() and _joins_bias(call, source, shape, fields["bias"])):
        call.emit(ChannelAffine, source, **fields)


def aligned(call: Call, values: Array, rank: int) -> Array:
    """Before opset 7 an attribute says with which axis of the data the first axis of a constant goes."""
    if call.walk.opset >= 7 or "axis" not in call.attributes or not values.ndim:
        return values
    behind = rank - call.whole("axis") % rank - values.ndim
    return values.reshape(*values.shape, *(1,) * max(behind, 0))


def _joins_bias(call: Call, source: str, shape: Shape, shift: Array) -> bool:
    """Add a layer like the one at ``source``, with the shift as its bias; the old one goes if nobody reads it."""
    makers = {node.name: node for node in call.walk.nodes}
    maker = makers[source]
    if isinstance(maker, Linear) and not maker.bias.any():
        call.add(maker.replace(name=call.name, bias=shift))
        return True
    mixed = makers[maker.inputs[0]] if isinstance(maker, Permute) else maker
    if not isinstance(mixed, Conv) or not isinstance(maker, Permute) or mixed.bias.any():
        return False
    last_channels = maker.axes == (*range(1, len(shape)), 0)
    rows = np.broadcast_to(shift.reshape(*shift.shape, *(1,) * (len(shape) - shift.ndim)), shape).reshape(-1, shape[-1])
    if not last_channels or mixed.weight[0, 0].size != 1 or has_padding(mixed.padding) or (rows != rows[:1]).any():
        return False
    if set(mixed.stride) != {1} or mixed.groups != 1:
        return False
    _mix(call, mixed.inputs[0], mixed.weight.reshape(mixed.weight.shape[:2]), rows[0].copy(), len(shape) - 1)
    return True


def without_batch(values: Array, shape: Shape) -> Array:
    """A constant without the batch axis that it may have."""
    if values.ndim == len(shape) + 1 and len(values) == 1:
        return values.reshape(values.shape[1:])
    if values.ndim > len(shape) + 1:
        raise Refusal(f"its constant of shape {values.shape} does not fit samples of {shape}")
    if values.ndim > len(shape):
        raise Refusal(Cause.BATCH_AXIS, f"its constant of shape {values.shape} differs from sample to sample")
    return values


def per_channel(call: Call, values: Array, shape: Shape) -> Array:
    """A constant spread over a sample, as one number a channel where that is the same."""
    found = one_a_channel(without_batch(values, shape), shape)
    call.walk.budget(found.size)
    return found
