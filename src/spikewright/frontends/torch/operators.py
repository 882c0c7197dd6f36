"""What each ATen operator becomes, except pooling and activations, which have files of their own."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.causes import Cause
from spikewright.frontends.common import moves
from spikewright.frontends.common.constants import factor_and_shift, reciprocal
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import mixing, no_padding, same_padding
from spikewright.frontends.torch.call import Call, Handler, Value
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
    Reshape,
    Upsample,
)
from spikewright.nodes._window import Padding

OPERATORS = Rules[Handler]()
converts = OPERATORS.converts


# Linear operators.


@converts("linear", "addmm", "mm", "matmul", "mv")
def linear(call: Call) -> Value:
    if base_name(call.node) == "linear":
        x, weight = call.x, call.constant(call["weight"])
        given = call["bias"]
    else:  # mat1 @ mat2, and what is added to it
        x = call.value(call.get("mat1", call.first))
        transposed = call.constant(call.get("mat2", call.get("other", call.get("vec"))))
        if transposed.ndim == 1 and len(x.sample) == 1:  # a vector makes one number of a row
            row = call.emit(Linear, x, part="product", weight=transposed[None], bias=np.zeros(1, np.float32))
            return call.emit(Reshape, row, shape=())
        if transposed.ndim != 2:
            call.refuse("only a matrix can be the weight of a fully connected layer")
        weight, given = transposed.T, call["self"] if base_name(call.node) == "addmm" else None
        if call.get("alpha", 1) != 1 or call.get("beta", 1) != 1:
            call.refuse("it is scaled by alpha or beta; put these into its weights")
    outputs = weight.shape[0]
    bias = np.zeros(outputs, np.float32) if given is None else call.constant(given)
    if bias.ndim > 1 and len(bias) > 1:
        call.refuse("its addend differs from sample to sample")
    bias = np.broadcast_to(bias.reshape(-1), (outputs,))
    axes = len(x.sample)
    if not axes:
        call.refuse(Cause.BATCH_AXIS)
    if axes == 1:
        return call.emit(Linear, x, weight=weight, bias=bias)
    if axes > 4:
        call.refuse(Cause.TOO_MANY_AXES)
    # Applied to the last of several axes, it is a convolution with a kernel of one over the others.
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


def _numbers(call: Call, operand: Any) -> NDArray[np.float64]:
    """A number or constant tensor of whatever type in double precision: what is made of it must not round or wrap."""
    import torch

    if not isinstance(operand, torch.Tensor | int | float):
        call.refuse(Cause.BATCH_SIZE, "its operand is a number computed from it, or from the input")
    array = call.constant(operand) if isinstance(operand, torch.Tensor) else np.asarray(operand)
    return array.astype(np.float64)


def _per_sample(call: Call, values: Any, shape: Shape) -> NDArray[np.float64]:
    """A constant without the batch axis that it may have."""
    array = np.asarray(values, np.float64)
    if array.ndim <= len(shape):
        return array
    if array.ndim > len(shape) + 1 or (array != array[:1]).any():
        call.refuse(Cause.BATCH_AXIS, "its constant differs between the samples of a batch")
    return np.asarray(array[0])


def _affine(call: Call, x: Value, scale: Any = 1, bias: Any = 0, part: str = "") -> Value:
    factor, shift = (_per_sample(call, values, x.sample) for values in (scale, bias))
    return call.emit(ChannelAffine, x, part=part, **factor_and_shift(factor, shift, x.sample))


@converts("add", "sub", "rsub", "subtract")
def add(call: Call) -> Value:
    """``a + sign·alpha·b``, for what is not an activation as a shift of each channel."""
    a, b = call["self"], call["other"]
    name = base_name(call.node)
    if name == "rsub":
        a, b = b, a
    weight = _numbers(call, call.get("alpha", 1)) * (1 if name == "add" else -1)
    if isinstance(a, Value) and isinstance(b, Value):
        if a.sample != b.sample:
            call.refuse(f"its branches have the shapes {a.sample} and {b.sample}; they must be equal")
        return call.emit(Add, a, b if weight == 1 else _affine(call, b, weight, part="scaled"))
    if isinstance(a, Value):
        return _affine(call, a, bias=weight * _numbers(call, b))
    return _affine(call, call.value(b), scale=weight, bias=_numbers(call, a))


@converts("mul", "multiply", "div", "divide", "true_divide", "neg", "negative")
def multiply(call: Call) -> Value:
    a, b = call["self"], call.get("other", -1)
    if base_name(call.node) in ("div", "divide", "true_divide"):
        if not isinstance(a, Value) or isinstance(b, Value):
            call.refuse(Cause.QUOTIENT)
        if call.get("rounding_mode") is not None:
            call.refuse(Cause.ROUNDING)
        return _affine(call, a, scale=reciprocal(_numbers(call, b)))
    if isinstance(a, Value) and isinstance(b, Value):
        call.refuse(Cause.PRODUCT)
    x, factor = (a, b) if isinstance(a, Value) else (call.value(b), a)
    return _affine(call, x, scale=_numbers(call, factor))


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


@converts("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "view_as")
def reshape(call: Call) -> Value:
    x, shape = call.x, call.shape
    if "dtype" in call.arguments:
        call.refuse("it reads the bits of numbers as other numbers")
    if prod(shape) != prod(x.sample):
        call.refuse(Cause.REPETITION)
    return x if shape == x.sample else call.emit_all(x, [moves.reshaped(shape)])


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
    values = [call.value(v) for v in call["tensors"]]
    axis = call.axis(values[0], call["dim"])
    return values[0] if len(values) == 1 else call.emit(Concat, *values, axis=axis)


@converts("pad", "constant_pad_nd")
def pad(call: Call) -> Value:
    mode = call.get("mode", "constant")
    if mode != "constant":
        call.refuse(Cause.BORDER, operator=f"{mode} padding")
    if call.get("value"):
        call.refuse(Cause.BORDER, operator=f"padding with {call['value']}")
    sides = call.ints(call["pad"], 1)
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
    count = len(call.x.sample)
    if len(pairs) > count:
        if any(pairs[0]):
            call.refuse(Cause.BATCH_AXIS)
        pairs = pairs[1:]
    return call.emit(Pad, call.x, padding=(*((0, 0) for _ in range(count - len(pairs))), *pairs))


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
    value = _cropped(call, axis, start, stop, part="crop" if step != 1 else "")
    if step == 1:
        return value
    axes = len(x.sample) - 1
    if axis == 0 or axes > 3:
        call.refuse("a step over channels")
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


@converts(
    *(f"{kind}{d}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for d in (1, 2, 3)),
)
def upsample(call: Call) -> Value:
    before, after = call.x.sample[1:], call.shape[1:]
    if any(b % a for a, b in zip(before, after, strict=True)):
        call.refuse(Cause.BROKEN_FACTOR, f"it resizes {before} to {after}")
    factor = tuple(b // a for a, b in zip(before, after, strict=True))
    # Which value is repeated goes by the factor that was given, where one was, and not by the shapes.
    given = call.get("scale_factors") or [v for k, v in call.arguments.items() if k.startswith("scales")]
    if any(asked is not None and asked != real for asked, real in zip(given, factor, strict=False)):
        call.refuse(Cause.BROKEN_FACTOR, f"it resizes by {tuple(given)}")
    return call.emit(Upsample, call.x, factor=factor)


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
