"""What each ATen operator becomes, except pooling and activations, which have files of their own."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.causes import Cause
from spikewright.frontends.common import moves
from spikewright.frontends.common.constants import factor_and_shift, reciprocal
from spikewright.frontends.common.gathers import beside, bordered, gathered, padded, with_constants
from spikewright.frontends.common.pieces import multiplied
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import mixing, no_padding, same_padding
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.gathers import moved
from spikewright.frontends.torch.trace import base_name, scope_class
from spikewright.graph import Shape
from spikewright.nodes import (
    Add,
    AvgPool,
    BatchNorm,
    ChannelAffine,
    Concat,
    Conv,
    ConvTranspose,
    Identity,
    Linear,
    Pad,
    Permute,
)
from spikewright.nodes._window import Padding

OPERATORS = Rules[Handler]()
converts = OPERATORS.converts


# Linear operators.


@converts("linear", "addmm")
def linear(call: Call) -> Value:
    if base_name(call.node) == "linear":
        x, weight = call.x, call.constant(call["weight"])
        given = call["bias"]
    else:  # beta · input + alpha · mat1 @ mat2
        x, weight = call.value(call["mat1"]), call.constant(call["mat2"]).T
        given = None if call["self"] is None else np.asarray(numbers(call, call["self"]) * call.get("beta", 1))
        weight = weight if call.get("alpha", 1) == 1 else weight.astype(np.float64) * call["alpha"]
    outputs = weight.shape[0]
    bias = np.zeros(outputs, np.float32) if given is None else np.asarray(_array(call, given))
    if bias.ndim > 1 and len(bias) > 1:
        call.refuse("its addend differs from sample to sample")
    return over_last_axis(call, x, weight, np.broadcast_to(bias.reshape(-1), (outputs,)))


def _array(call: Call, given: Any) -> Any:
    return given if isinstance(given, np.ndarray) else call.constant(given)


def over_last_axis(call: Call, x: Value, weight: Any, bias: Any) -> Value:
    """A fully connected layer over the last axis; where there are others, a convolution with a kernel of one."""
    axes = len(x.sample)
    if not axes:
        call.refuse(Cause.BATCH_AXIS)
    if axes == 1:
        return call.emit(Linear, x, weight=weight, bias=bias)
    if axes > 4:
        rows = call.emit_all(x, [moves.reshaped((prod(x.sample[:-1]), x.sample[-1]), "rows")])
        mixed = over_last_axis(call, rows, weight, bias)
        return call.emit_all(mixed, [moves.reshaped((*x.sample[:-1], len(weight)), "axes")])
    first = call.emit(Permute, x, part="before", axes=(axes - 1, *range(axes - 1)))
    mixed = call.emit(Conv, first, **mixing(weight, bias, axes - 1))
    return call.emit(Permute, mixed, part="after", axes=(*range(1, axes), 0))


@converts("conv1d", "conv2d", "conv3d", "convolution")
def conv(call: Call) -> Value:
    if call.get("transposed"):
        transposed: Value = conv_transpose(call)
        return transposed
    weight = call.constant(call["weight"])
    kernel = weight.shape[2:]
    axes = len(kernel)
    x = call.spatial(axes)
    dilation = call.ints(call["dilation"], axes)
    given = call["padding"]
    padding: Padding
    if given == "same":
        sizes = zip(x.sample[1:], kernel, dilation, strict=True)
        padding = tuple(same_padding(n, k, dilation=d) for n, k, d in sizes)
    elif given == "valid":
        padding = no_padding(axes)
    else:
        padding = tuple((p, p) for p in call.ints(given, axes))
    bias = np.zeros(len(weight), np.float32) if call["bias"] is None else call.constant(call["bias"])
    stride = call.ints(call["stride"], axes)
    return call.emit(
        Conv, x, weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=call["groups"]
    )


@converts("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(call: Call) -> Value:
    weight = call.constant(call["weight"])
    axes = weight.ndim - 2
    x = call.spatial(axes)
    cut, added = call.ints(call["padding"], axes), call.ints(call["output_padding"], axes)
    outputs = weight.shape[1] * call["groups"]
    return call.emit(
        ConvTranspose,
        x,
        weight=weight,
        bias=np.zeros(outputs, np.float32) if call["bias"] is None else call.constant(call["bias"]),
        stride=call.ints(call["stride"], axes),
        padding=tuple((p, p - more) for p, more in zip(cut, added, strict=True)),
        dilation=call.ints(call["dilation"], axes),
        groups=call["groups"],
    )


@converts(
    "batch_norm",
    "cudnn_batch_norm",
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_functional",
    "_native_batch_norm_legit_no_training",
)
def batch_norm(call: Call) -> Value:
    mean, variance = call.get("running_mean"), call.get("running_var")
    if mean is None or variance is None:
        call.refuse("it has no running statistics (track_running_stats=False), so its output depends on the batch")
    if call.get("training"):
        call.refuse(Cause.TRAINING)
    size = call.constant(mean).shape
    gamma = np.ones(size, np.float32) if call["weight"] is None else call.constant(call["weight"])
    beta = np.zeros(size, np.float32) if call["bias"] is None else call.constant(call["bias"])
    return call.emit(
        BatchNorm,
        call.x,
        mean=call.constant(mean),
        variance=call.constant(variance),
        gamma=gamma,
        beta=beta,
        epsilon=float(call.get("eps", call.get("epsilon"))),
    )


# Arithmetic.


def numbers(call: Call, operand: Any) -> NDArray[np.float64]:
    """A number or constant tensor of whatever type in double precision: what is made of it must not round or wrap."""
    import torch

    if not isinstance(operand, torch.Tensor | int | float):
        call.refuse(Cause.BATCH_SIZE, "its operand is a number computed from it, or from the input")
    array = call.constant(operand) if isinstance(operand, torch.Tensor) else np.asarray(operand)
    return array.astype(np.float64)


def per_sample(call: Call, values: Any, shape: Shape) -> NDArray[np.float64]:
    """A constant without the batch axis that it may have."""
    array = np.asarray(values, np.float64)
    if array.ndim <= len(shape):
        return array
    if array.ndim > len(shape) + 1 or (array != array[:1]).any():
        call.refuse(Cause.BATCH_AXIS, "its constant differs between the samples of a batch")
    return np.asarray(array[0])


def affine(call: Call, x: Value, scale: Any = 1, bias: Any = 0, part: str = "") -> Value:
    """A factor and a shift by constants, spread over a sample."""
    factor, shift = (per_sample(call, values, x.sample) for values in (scale, bias))
    given = (factor.shape, shift.shape)
    if all(n in (1, own) or own == 1 for shape in given for n, own in zip(shape[::-1], x.sample[::-1], strict=False)):
        x = _repeated(call, x, np.broadcast_shapes(x.sample, *given), f"{part}.wide".lstrip("."))
    return call.emit(ChannelAffine, x, part=part, **factor_and_shift(factor, shift, x.sample))


@converts("add", "sub", "rsub", "subtract")
def add(call: Call) -> Value:
    """``a + sign·alpha·b``, for what is not an activation as a shift of each channel."""
    a, b = call["self"], call["other"]
    name = base_name(call.node)
    if name == "rsub":
        a, b = b, a
    weight = numbers(call, call.get("alpha", 1)) * (1 if name == "add" else -1)
    if isinstance(a, Value) and isinstance(b, Value):
        a, b = spread_alike(call, a, b)
        return call.emit(Add, a, b if weight == 1 else affine(call, b, weight, part="scaled"))
    if isinstance(a, Value):
        return affine(call, a, bias=weight * numbers(call, b))
    return affine(call, call.value(b), scale=weight, bias=numbers(call, a))


def spread_alike(call: Call, *values: Value) -> list[Value]:
    """Values of one shape, repeated along the axes that others are longer in."""
    wide = np.broadcast_shapes(*(v.sample for v in values))
    if any(len(v.sample) != len(wide) for v in values):
        call.refuse(Cause.BATCH_AXIS)  # an axis of one stands beside the batch of the other
    return [_repeated(call, v, wide, f"spread{k}") for k, v in enumerate(values)]


def _repeated(call: Call, x: Value, wide: Shape, part: str) -> Value:
    """A value of another shape, repeated along its axes of length one."""
    if x.sample == wide:
        return x
    plans = gathered(x.sample, np.broadcast_to(np.arange(prod(x.sample)).reshape(x.sample), wide))
    return call.emit_all(x, [replace(plan, part=f"{part}.{plan.part}".rstrip(".")) for plan in plans])


@converts("mul", "multiply", "div", "divide", "true_divide", "neg", "negative")
def multiply(call: Call) -> Value:
    a, b = call["self"], call.get("other", -1)
    if base_name(call.node) in ("div", "divide", "true_divide"):
        if not isinstance(a, Value) or isinstance(b, Value):
            call.refuse(Cause.QUOTIENT)
        if call.get("rounding_mode") is not None:
            call.refuse(Cause.ROUNDING)
        return affine(call, a, scale=reciprocal(numbers(call, b)))
    if isinstance(a, Value) and isinstance(b, Value):
        return product(call, a, b)
    x, factor = (a, b) if isinstance(a, Value) else (call.value(b), a)
    return affine(call, x, scale=numbers(call, factor))


def product(call: Call, a: Value, b: Value) -> Value:
    """The product of functions of one value, one of which is flat wherever the other is not: ``x · (x > 0)``."""
    a, b = spread_alike(call, a, b)
    found = call.walk.choices.among(multiplied, a.sample, a.name, b.name)
    if found is None:
        call.refuse(Cause.PRODUCT)
    return call.function(Value(found[0], a.sample), found[1])


# Moving values.


@converts("alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "_to_copy", "to", "type_as")
def same(call: Call) -> Value:
    source: Any = call.node.args[0]
    before, after = source.meta["val"].dtype, call.node.meta["val"].dtype
    if before != after and not after.is_floating_point:
        call.refuse(Cause.ROUNDING)
    if "Dropout" in scope_class(call.node):
        return call.emit(Identity, call.x, source="dropout")
    return call.x


@converts("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(call: Call) -> Any:
    if call["train"] and call["p"] != 0:
        call.refuse(Cause.TRAINING)
    value = call.emit(Identity, call.x, source="dropout")
    return (value, None) if base_name(call.node) == "native_dropout" else value


@converts("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as")
def reshape(call: Call) -> Value:
    x, shape = call.x, call.shape
    if "dtype" in call.arguments:
        call.refuse("it reads the bits of numbers as other numbers")
    if prod(shape) != prod(x.sample):
        call.refuse(Cause.REPETITION)
    return x if shape == x.sample else call.emit_all(x, [moves.reshaped(shape)])


@converts("expand", "expand_as", "broadcast_to")
def expand(call: Call) -> Value:
    """The same values, some of them several times, or in a shape with further axes of one."""
    return reshape(call) if prod(call.shape) == prod(call.x.sample) else moved(call)


@converts("permute", "transpose", "t")
def permute(call: Call) -> Value:
    count = len(call.x.sample) + 1
    order = list(range(count))
    if base_name(call.node) == "permute":
        order = [d % count for d in call["dims"]]
    else:
        i, j = (call[d] % count for d in ("dim0", "dim1")) if "dim0" in call.arguments else (0, 1)
        order[i], order[j] = order[j], order[i]
    if order[0] != 0:
        call.refuse(Cause.BATCH_AXIS)
    axes = tuple(d - 1 for d in order[1:])
    return call.x if axes == tuple(range(count - 1)) else call.emit(Permute, call.x, axes=axes)


@converts("cat", "concat", "concatenate")
def concat(call: Call) -> Value:
    given = [v if isinstance(v, Value) else numbers(call, v) for v in call["tensors"]]
    first = next(v for v in given if isinstance(v, Value))
    axis, values = call.axis(first, call["dim"]), []
    for k, (value, *constants) in enumerate(with_constants(given, Value)):
        around = ([per_sample(call, one, value.sample) for one in some] for some in constants)
        plans = beside(value.sample, axis, *around) if any(constants) else []
        values.append(call.emit_all(value, [replace(plan, part=f"{plan.part}{k}") for plan in plans]))
    return values[0] if len(values) == 1 else call.emit(Concat, *values, axis=axis)


@converts("pad", "constant_pad_nd")
def pad(call: Call) -> Value:
    mode = call.get("mode", "constant")
    sides = call.ints(call["pad"], 1)
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
    count = len(call.x.sample)
    if len(pairs) > count:
        if any(pairs[0]):
            call.refuse(Cause.BATCH_AXIS)
        pairs = pairs[1:]
    padding = (*((0, 0) for _ in range(count - len(pairs))), *pairs)
    if mode != "constant":
        return call.emit_all(call.x, bordered(call.x.sample, padding, mode))
    return call.emit_all(call.x, padded(call.x.sample, padding, float(call.get("value") or 0)))


def _cropped(call: Call, axis: int, start: int, stop: int, part: str = "") -> Value:
    shape = call.x.sample
    if (start, stop) == (0, shape[axis]):
        return call.x
    return call.emit(Pad, call.x, part=part, padding=moves.crop(shape, axis, start, stop))


@converts("slice")
def crop(call: Call) -> Value:
    x, step = call.x, call["step"]
    length = call.node.meta["val"].shape[call["dim"]]
    if call["dim"] % (len(x.sample) + 1) == 0:
        if str(length) != str(call.walk.batch):
            call.refuse(Cause.BATCH_AXIS)
        return x
    axis = call.axis(x, call["dim"])
    (first, last) = call.ints([call["start"] or 0, x.sample[axis] if call["end"] is None else call["end"]], 2)
    start, stop, _ = slice(first, last).indices(x.sample[axis])
    if stop <= start:
        call.refuse(f"it leaves nothing, from {start} to {stop} of {x.sample[axis]}")
    axes = len(x.sample) - 1
    if step != 1 and (axis == 0 or axes > 3):
        return moved(call)
    value = _cropped(call, axis, start, stop, part="crop" if step != 1 else "")
    if step == 1:
        return value
    # Every step-th position is a pool with a window of one.
    stride = tuple(step if i == axis else 1 for i in range(1, axes + 1))
    return call.emit(AvgPool, value, kernel=(1,) * axes, stride=stride, padding=no_padding(axes))


@converts("select")
def select(call: Call) -> Value:
    x = call.x
    axis = call.axis(x, call["dim"])
    (index,) = call.ints(call["index"], 1)
    index %= x.sample[axis]
    one = _cropped(call, axis, index, index + 1, part="crop")
    return call.emit_all(one, [moves.reshaped(call.shape)])


@converts("split", "split_with_sizes", "chunk")
def split(call: Call) -> list[Value]:
    axis = call.axis(call.x, call["dim"])
    sizes = tuple(int(part.shape[axis + 1]) for part in call.node.meta["val"])
    read = {user.args[1] for user in call.node.users}
    return [
        _cropped(call, axis, start, stop, part=str(k)) if k in read else call.x
        for k, (start, stop) in enumerate(moves.parts(sizes))
    ]


@converts("pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
def shuffle(call: Call) -> Value:
    """Values that change places in blocks; pixels are of the last three axes."""
    sample, name = call.x.sample, base_name(call.node)
    if name == "channel_shuffle":
        return call.emit_all(call.x, moves.channel_shuffle(sample, call["groups"]))
    if len(sample) < 3:
        call.refuse(f"it takes the batch for the channels of a picture of {sample}")
    if name == "pixel_shuffle":
        return call.emit_all(call.x, moves.depth_to_space(sample, call["upscale_factor"]))
    return call.emit_all(call.x, moves.space_to_depth(sample, call["downscale_factor"]))
