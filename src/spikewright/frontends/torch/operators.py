"""What each ATen operator becomes, except pooling and activations, which have files of their own."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.frontends.torch.call import BATCH_AXIS, TRAINING, Call, Handlers, Value
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
    Flatten,
    Identity,
    Linear,
    Pad,
    Permute,
    Reshape,
    Upsample,
)

LARGEST = float(np.finfo(np.float32).max)

OPERATORS = Handlers()
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
            call.refuse("scaled by alpha or beta")
    outputs = weight.shape[0]
    bias = np.zeros(outputs, np.float32) if given is None else call.constant(given)
    if bias.ndim > 1 and len(bias) > 1:
        call.refuse("its addend differs from sample to sample")
    bias = np.broadcast_to(bias.reshape(-1), (outputs,))
    axes = len(x.sample)
    if not axes:
        call.refuse(BATCH_AXIS)
    if axes == 1:
        return call.emit(Linear, x, weight=weight, bias=bias)
    if axes > 4:
        call.refuse("a fully connected layer over the last of more than four axes")
    # Applied to the last of several axes, it is a convolution with a kernel of one over the others.
    ones, none = (1,) * (axes - 1), ((0, 0),) * (axes - 1)
    first = call.emit(Permute, x, part="before", axes=(axes - 1, *range(axes - 1)))
    kernel = weight.reshape(*weight.shape, *ones)
    mixed = call.emit(Conv, first, weight=kernel, bias=bias, stride=ones, padding=none, dilation=ones)
    return call.emit(Permute, mixed, part="after", axes=(*range(1, axes), 0))


@converts("conv1d", "conv2d", "conv3d", "convolution")
def conv(call: Call) -> Value:
    if call.get("transposed"):
        transposed: Value = conv_transpose(call)
        return transposed
    x, weight = call.x, call.constant(call["weight"])
    kernel = weight.shape[2:]
    axes = len(kernel)
    if len(x.sample) != axes + 1:
        call.refuse(f"a sample of shape {x.sample} has no batch axis of its own")
    dilation = call.ints(call["dilation"], axes)
    given = call["padding"]
    padding: tuple[tuple[int, int], ...]
    if isinstance(given, str):  # 'same' puts the odd one out at the high end
        total = [d * (k - 1) if given == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in total)
    else:
        padding = tuple((p, p) for p in call.ints(given, axes))
    bias = np.zeros(len(weight), np.float32) if call["bias"] is None else call.constant(call["bias"])
    stride = call.ints(call["stride"], axes)
    return call.emit(
        Conv, x, weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=call["groups"]
    )


@converts("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(call: Call) -> Value:
    x, weight = call.x, call.constant(call["weight"])
    axes = weight.ndim - 2
    if len(x.sample) != axes + 1:
        call.refuse(f"a sample of shape {x.sample} has no batch axis of its own")
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
        call.refuse("exported in training mode: call model.eval() before torch.export.export")
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
        call.refuse("its operand is a number computed from the input or the batch size")
    array = call.constant(operand) if isinstance(operand, torch.Tensor) else np.asarray(operand)
    return array.astype(np.float64)


def _per_sample(call: Call, array: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
    """A constant as one value a channel where that is enough, otherwise in the sample's shape."""
    if (np.abs(array) > LARGEST).any() or np.isnan(array).any():
        call.refuse("its constant is infinite, or no number")
    if array.ndim > len(shape):
        if array.ndim > len(shape) + 1 or (array != array[:1]).any():
            call.refuse("its constant differs between the samples of a batch")
        array = array[0]
    try:
        wide = np.broadcast_to(array, shape)
    except ValueError:
        call.refuse(f"its constant of shape {array.shape} does not fit a sample of shape {shape}")
    if not shape:
        return wide.copy()
    rows = wide.reshape(shape[0], -1)
    return rows[:, 0].copy() if (rows == rows[:, :1]).all() else wide.copy()


def _affine(call: Call, x: Value, scale: Any = 1, bias: Any = 0, part: str = "") -> Value:
    factors = [_per_sample(call, np.asarray(values, np.float64), x.sample) for values in (scale, bias)]
    return call.emit(ChannelAffine, x, part=part, scale=factors[0], bias=factors[1])


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
            call.refuse("nothing can be divided by an activation")
        if call.get("rounding_mode") is not None:
            call.refuse("it rounds")
        divisor = _numbers(call, b)
        if (divisor == 0).any():
            call.refuse("it divides by zero")
        return _affine(call, a, scale=1 / divisor)
    if isinstance(a, Value) and isinstance(b, Value):
        call.refuse()
    x, factor = (a, b) if isinstance(a, Value) else (call.value(b), a)
    return _affine(call, x, scale=_numbers(call, factor))


# Moving values.


@converts("alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "_to_copy", "to", "type_as")
def same(call: Call) -> Value:
    source: Any = call.node.args[0]
    before, after = source.meta["val"].dtype, call.node.meta["val"].dtype
    if before != after and not after.is_floating_point:
        call.refuse("it rounds to whole numbers")
    if "Dropout" in scope_class(call.node):
        return call.emit(Identity, call.x, source="dropout")
    return call.x


@converts("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(call: Call) -> Any:
    if call["train"] and call["p"] != 0:
        call.refuse(TRAINING)
    value = call.emit(Identity, call.x, source="dropout")
    return (value, None) if base_name(call.node) == "native_dropout" else value


@converts("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "view_as")
def reshape(call: Call) -> Value:
    x, shape = call.x, call.shape
    if "dtype" in call.arguments:
        call.refuse("it reads the bits of numbers as other numbers")
    if prod(shape) != prod(x.sample):
        call.refuse("it repeats values; use nearest-neighbour upsampling")
    if shape == x.sample:
        return x
    return call.emit(Flatten, x) if len(shape) == 1 else call.emit(Reshape, x, shape=shape)


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
        call.refuse(BATCH_AXIS)
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
        call.refuse("only padding with zeros can be converted", operator=f"{mode} padding")
    if call.get("value"):
        call.refuse("only padding with zeros can be converted", operator=f"padding with {call['value']}")
    sides = call.ints(call["pad"], 1)
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)][::-1]
    count = len(call.x.sample)
    if len(pairs) > count:
        if any(pairs[0]):
            call.refuse(BATCH_AXIS)
        pairs = pairs[1:]
    return call.emit(Pad, call.x, padding=(*((0, 0) for _ in range(count - len(pairs))), *pairs))


def _cropped(call: Call, axis: int, start: int, stop: int, part: str = "") -> Value:
    shape = call.x.sample
    if (start, stop) == (0, shape[axis]):
        return call.x
    padding = [(0, 0) for _ in shape]
    padding[axis] = (-start, stop - shape[axis])
    return call.emit(Pad, call.x, part=part, padding=tuple(padding))


@converts("slice")
def crop(call: Call) -> Value:
    x, step = call.x, call["step"]
    length = call.node.meta["val"].shape[call["dim"]]
    if call["dim"] % (len(x.sample) + 1) == 0:
        if str(length) != str(call.walk.batch):
            call.refuse(BATCH_AXIS)
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
    return call.emit(AvgPool, value, kernel=(1,) * axes, stride=stride, padding=((0, 0),) * axes)


@converts("select")
def select(call: Call) -> Value:
    x = call.x
    axis = call.axis(x, call["dim"])
    (index,) = call.ints(call["index"], 1)
    index %= x.sample[axis]
    one = _cropped(call, axis, index, index + 1, part="crop")
    shape = call.shape
    return call.emit(Flatten, one) if len(shape) == 1 else call.emit(Reshape, one, shape=shape)


@converts("split", "split_with_sizes", "chunk")
def split(call: Call) -> list[Value]:
    axis = call.axis(call.x, call["dim"])
    sizes = [int(part.shape[axis + 1]) for part in call.node.meta["val"]]
    ends = np.cumsum(sizes)
    read = {user.args[1] for user in call.node.users}
    return [
        _cropped(call, axis, int(end) - size, int(end), part=str(k)) if k in read else call.x
        for k, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


@converts(
    *(f"{kind}{d}d" for kind in ("upsample_nearest", "_upsample_nearest_exact") for d in (1, 2, 3)),
)
def upsample(call: Call) -> Value:
    before, after = call.x.sample[1:], call.shape[1:]
    if any(b % a for a, b in zip(before, after, strict=True)):
        call.refuse(f"from {before} to {after}; only whole factors repeat every value equally often")
    factor = tuple(b // a for a, b in zip(before, after, strict=True))
    # Which value is repeated goes by the factor that was given, where one was, and not by the shapes.
    given = call.get("scale_factors") or [v for k, v in call.arguments.items() if k.startswith("scales")]
    if any(said is not None and said != real for said, real in zip(given, factor, strict=False)):
        call.refuse(f"by {tuple(given)}; only whole factors repeat every value equally often")
    return call.emit(Upsample, call.x, factor=factor)


@converts("pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
def shuffle(call: Call) -> Value:
    """Values that change places in blocks: split some axes, put the parts in another order, join them again.

    Pixels are of the last three axes: before these a sample may have more, or be all channels.
    """
    sample = call.x.sample
    if base_name(call.node) == "channel_shuffle":
        channels, *spatial = sample
        groups = call["groups"]
        split, axes = (groups, channels // groups, *spatial), [1, 0, *range(2, len(spatial) + 2)]
        return _rearranged(call, split, axes)
    if len(sample) < 3:
        call.refuse(f"it takes the batch for the channels of a picture of {sample}")
    *more, channels, height, width = sample
    if base_name(call.node) == "pixel_shuffle":
        r = call["upscale_factor"]
        split, axes = (channels // r**2, r, r, height, width), [0, 3, 1, 4, 2]
    else:
        r = call["downscale_factor"]
        split, axes = (channels, height // r, r, width // r, r), [0, 2, 4, 1, 3]
    before = len(more)
    return _rearranged(call, (*more, *split), [*range(before), *(before + axis for axis in axes)])


def _rearranged(call: Call, split: Shape, axes: list[int]) -> Value:
    apart = call.emit(Reshape, call.x, part="split", shape=split)
    moved = call.emit(Permute, apart, part="moved", axes=tuple(axes))
    return call.emit(Reshape, moved, shape=call.shape)
