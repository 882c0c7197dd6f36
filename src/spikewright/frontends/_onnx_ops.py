"""One rule for each ONNX operator that depends on data."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from spikewright.frontends._onnx_constants import BATCH
from spikewright.frontends._onnx_windows import average_pool, conv, max_pool
from spikewright.frontends.onnx import Call, Refusal
from spikewright.graph import Array
from spikewright.nodes import (
    Add,
    BatchNorm,
    ChannelAffine,
    Concat,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    Linear,
    Pad,
    Permute,
    ReLU,
    Reshape,
    Softmax,
    Upsample,
)


def gemm(call: Call) -> None:
    """``alpha · A' · B' + beta · C``."""
    if call.attributes.get("transA"):
        raise Refusal("its first input is transposed, so that samples would mix")
    if call.is_constant(0):
        raise Refusal("its first input is a constant; the data must come first")
    weight = call.needed(1).astype(np.float64) * call.attributes.get("alpha", 1.0)
    weight = weight if call.attributes.get("transB") else weight.T
    given = call.constant(2)
    bias = np.zeros(len(weight)) if given is None else given.astype(np.float64) * call.attributes.get("beta", 1.0)
    if bias.size not in (1, len(weight)):
        raise Refusal(f"its addend has the shape {bias.shape}, which would differ from sample to sample")
    _linear(call, weight, np.broadcast_to(bias.reshape(-1), len(weight)))


def matmul(call: Call) -> None:
    if call.is_constant(0) or not call.is_constant(1):
        raise Refusal("only data times a constant matrix is a layer; attention and the like have no spiking form")
    weight = call.needed(1)
    if weight.ndim != 2:
        raise Refusal(f"its matrix has the shape {weight.shape}, not two axes")
    _linear(call, weight.T, np.zeros(weight.shape[1]))


def _linear(call: Call, weight: Array, bias: Array) -> None:
    if len(call.shape()) != 1:
        raise Refusal(f"it takes one row of values a sample, its input has the shape {call.shape()}; flatten it first")
    call.add(Linear(name=call.name, inputs=(call.source(),), weight=weight, bias=bias))


def batch_normalization(call: Call) -> None:
    if call.attributes.get("training_mode") or call.further_outputs:
        raise Refusal("it is in training mode; export the network in evaluation mode")
    if not call.attributes.get("spatial", 1):
        raise Refusal("spatial=0 is not supported")
    gamma, beta, mean, variance = (call.needed(k) for k in range(1, 5))
    epsilon = float(call.attributes.get("epsilon", 1e-5))
    call.add(
        BatchNorm(
            name=call.name,
            inputs=(call.source(),),
            mean=mean,
            variance=variance,
            gamma=gamma,
            beta=beta,
            epsilon=epsilon,
        )
    )


def relu(call: Call) -> None:
    call.add(ReLU(name=call.name, inputs=(call.source(),)))


def clip(call: Call) -> None:
    low, high = call.attributes.get("min"), call.attributes.get("max")
    if call.walk.opset >= 11:
        bounds = [call.constant(k) for k in (1, 2)]
        low, high = (None if b is None else float(b.reshape(())) for b in bounds)
    if low != 0:
        raise Refusal(f"it clips below at {low}; only 0, a ReLU with a ceiling, has a spiking form")
    if high is not None and (high <= 0):
        raise Refusal(f"it clips above at {high}; nothing would pass")
    ceiling = None if high is None or high > 3e38 else float(high)
    call.add(ReLU(name=call.name, inputs=(call.source(),), ceiling=ceiling))


def global_average_pool(call: Call) -> None:
    call.add(GlobalAvgPool(name=call.name, inputs=(call.source(),)))


def global_max_pool(call: Call) -> None:
    call.add(GlobalMaxPool(name=call.name, inputs=(call.source(),)))


def reduce_mean(call: Call) -> None:
    """The mean over all axes after the channels."""
    axes = call.ints("axes")
    given = call.constant(1)
    rank = len(call.shape()) + 1
    found = axes if axes is not None else None if given is None else tuple(int(a) for a in given)
    if found is None or sorted(a % rank for a in found) != list(range(2, rank)) or rank < 3:
        raise Refusal(f"it averages over the axes {found}; only all axes after the channels are a pooling")
    pooled = GlobalAvgPool(name=call.name, inputs=(call.source(),))
    if call.attributes.get("keepdims", 1):
        call.add(pooled)
        return
    call.walk.add(pooled, f"{call.output}:pooled")
    call.add(Flatten(name=call.walk.fresh(f"{pooled.name}_flat"), inputs=(pooled.name,)))


def add(call: Call) -> None:
    data = [k for k in range(len(call.proto.input)) if not call.is_constant(k)]
    if len(data) == len(call.proto.input):
        if len(data) == 1:
            call.walk.alias(call.output, call.given(0))
            return
        call.add(Add(name=call.name, inputs=tuple(call.source(k) for k in data)))
        return
    if len(data) != 1:
        raise Refusal("it adds several branches and a constant; split it")
    constants = [call.needed(k).astype(np.float64) for k in range(len(call.proto.input)) if k != data[0]]
    _affine(call, data[0], np.ones(()), sum(constants, np.zeros(())))


def sub(call: Call) -> None:
    if call.is_constant(1):
        _affine(call, 0, np.ones(()), -call.needed(1).astype(np.float64))
    elif call.is_constant(0):
        _affine(call, 1, -np.ones(()), call.needed(0).astype(np.float64))
    else:
        channels = call.shape(1)[:1]
        negative = ChannelAffine(
            name=call.walk.fresh(f"{call.name}_minus"),
            inputs=(call.source(1),),
            scale=-np.ones(channels),
            bias=np.zeros(channels),
        )
        call.walk.add(negative, f"{call.output}:minus")
        call.add(Add(name=call.name, inputs=(call.source(0), negative.name)))


def mul(call: Call) -> None:
    if not (call.is_constant(0) or call.is_constant(1)):
        raise Refusal("a product of two branches has no spiking form")
    position = 1 if call.is_constant(0) else 0
    _affine(call, position, call.needed(1 - position).astype(np.float64), np.zeros(()))


def div(call: Call) -> None:
    if not call.is_constant(1):
        raise Refusal("division by something computed from the data has no spiking form")
    divisor = call.needed(1).astype(np.float64)
    if (divisor == 0).any():
        raise Refusal("it divides by zero")
    _affine(call, 0, 1 / divisor, np.zeros(()))


def _affine(call: Call, position: int, scale: Array, shift: Array) -> None:
    """A factor and a shift by constants; a shift right after a Linear of the same model joins its bias."""
    shape = call.shape(position)
    wide_scale, wide_shift = (_per_channel(a, shape) for a in (scale, shift))
    source = call.source(position)
    maker = next(node for node in call.walk.nodes if node.name == source)
    values = [value for value, name in call.walk.values.items() if name == source]
    if isinstance(maker, Linear) and (wide_scale == 1).all() and not maker.bias.any() and len(values) == 1:
        joined = maker.replace(name=call.name, bias=wide_shift)
        call.walk.add(joined, call.output)
        return
    call.add(ChannelAffine(name=call.name, inputs=(source,), scale=wide_scale, bias=wide_shift))


def _per_channel(values: Array, shape: tuple[int, ...]) -> Array:
    """A constant spread over a sample, as one number a channel where that is the same."""
    missing = max(len(shape) + 1 - values.ndim, 0)
    padded = values.reshape((1,) * missing + values.shape)
    if padded.ndim != len(shape) + 1 or padded.shape[0] != 1:
        raise Refusal(f"its constant of shape {values.shape} would differ from sample to sample")
    try:
        wide = np.broadcast_to(padded[0], shape)
    except ValueError:
        raise Refusal(f"its constant of shape {values.shape} does not fit samples of {shape}") from None
    flat = wide.reshape(shape[0], -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else wide


def concat(call: Call) -> None:
    if any(call.is_constant(k) for k in range(len(call.proto.input))):
        raise Refusal("it joins data with a constant")
    axis = int(call.attributes.get("axis", 1)) % (len(call.shape()) + 1)
    if axis == 0:
        raise Refusal("it joins along the batch axis, so that samples would mix")
    inputs = tuple(call.source(k) for k in range(len(call.proto.input)))
    call.add(Concat(name=call.name, inputs=inputs, axis=axis - 1))


def flatten(call: Call) -> None:
    rank = len(call.shape()) + 1
    axis = int(call.attributes.get("axis", 1))
    axis = axis + rank if axis < 0 else axis
    if axis != 1:
        raise Refusal(f"it flattens from axis {axis}, so that samples would mix; only axis 1 keeps them apart")
    call.add(Flatten(name=call.name, inputs=(call.source(),)))


def reshape(call: Call) -> None:
    target = call.ints("shape") if call.walk.opset < 5 else tuple(int(n) for n in call.needed(1))
    assert target is not None
    shape = call.shape()
    if not call.attributes.get("allowzero"):
        target = tuple((BATCH, *shape)[k] if n == 0 and k <= len(shape) else n for k, n in enumerate(target))
    _reshape(call, _sample_shape(call, target))


def _sample_shape(call: Call, target: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one sample after a reshape whose first axis is the batch, however that is written."""
    size, rest = prod(call.shape()), target[1:]
    if not rest:
        raise Refusal(f"it reshapes to {target}, so that samples would mix")
    open_axes = [k for k, n in enumerate(rest) if n == -1]
    if len(open_axes) > 1 or any(n < -1 or n == 0 for n in rest):
        raise Refusal(f"it reshapes to {target}, which cannot be resolved")
    known = prod(n for n in rest if n != -1)
    if target[0] not in (BATCH, call.walk.batch, 1) or size % known or (not open_axes and known != size):
        raise Refusal(f"it reshapes samples of {call.shape()} to {target}, so that samples would mix")
    return tuple(size // known if n == -1 else n for n in rest)


def _reshape(call: Call, shape: tuple[int, ...]) -> None:
    if shape == call.shape():
        call.walk.alias(call.output, call.given(0))
    elif len(shape) == 1:
        call.add(Flatten(name=call.name, inputs=(call.source(),)))
    else:
        call.add(Reshape(name=call.name, inputs=(call.source(),), shape=shape))


def _axes(call: Call, rank: int) -> tuple[int, ...] | None:
    """From the attribute (until opset 12) or the input (since 13), counted from the front."""
    given = call.ints("axes")
    if given is None and len(call.proto.input) > 1:
        given = tuple(int(a) for a in call.needed(1))
    return None if given is None else tuple(sorted(a % rank for a in given))


def squeeze(call: Call) -> None:
    shape = (BATCH, *call.shape())
    axes = _axes(call, len(shape))
    axes = tuple(k for k, n in enumerate(shape) if n == 1) if axes is None else axes
    if any(shape[a] != 1 for a in axes):
        raise Refusal(f"it takes out the axes {axes} of {('batch', *call.shape())}, not all of length one")
    kept = tuple(n for k, n in enumerate(shape) if k not in axes)[1:]
    if not kept:
        raise Refusal("it leaves no axis but the batch; keep one")
    _reshape(call, kept)


def unsqueeze(call: Call) -> None:
    shape = list(call.shape())
    axes = _axes(call, len(shape) + 1 + len(call.ints("axes") or call.needed(1).reshape(-1)))
    assert axes is not None
    if 0 in axes:
        raise Refusal("it puts an axis before the batch, so that samples would mix")
    for axis in axes:
        shape.insert(axis - 1, 1)
    _reshape(call, tuple(shape))


def transpose(call: Call) -> None:
    order = call.ints("perm") or tuple(reversed(range(len(call.shape()) + 1)))
    if order[0] != 0:
        raise Refusal(f"it puts the axes in the order {order}, so that the batch is no longer first")
    call.add(Permute(name=call.name, inputs=(call.source(),), axes=tuple(a - 1 for a in order[1:])))


def pad(call: Call) -> None:
    mode = call.attributes.get("mode", b"constant")
    if mode not in (b"constant", "constant"):
        raise Refusal(f"it pads by {mode.decode() if isinstance(mode, bytes) else mode}; only zeros are supported")
    pads = call.ints("pads") or call.ints("paddings")
    value = float(call.attributes.get("value", 0.0))
    rank = len(call.shape()) + 1
    if call.walk.opset >= 11:
        pads = tuple(int(p) for p in call.needed(1))
        given = call.constant(2)
        value = 0.0 if given is None else float(given.reshape(()))
        axes = call.constant(3)
        if axes is not None:
            full = [0] * (2 * rank)
            for k, axis in enumerate(axes):
                full[int(axis) % rank], full[int(axis) % rank + rank] = pads[k], pads[k + len(axes)]
            pads = tuple(full)
    if value != 0:
        raise Refusal(f"it pads with {value:g}; only zeros are supported")
    assert pads is not None
    if pads[0] or pads[rank]:
        raise Refusal("it pads the batch axis")
    padding = tuple((pads[k], pads[k + rank]) for k in range(1, rank))
    call.add(Pad(name=call.name, inputs=(call.source(),), padding=padding))


def identity(call: Call) -> None:
    source = "dropout" if call.proto.op_type == "Dropout" else "identity"
    if call.further_outputs:
        raise Refusal("its mask is asked for; export the network in evaluation mode")
    mode = call.constant(2) if source == "dropout" and call.given(2) else None
    if mode is not None and bool(mode):
        raise Refusal("it is in training mode; export the network in evaluation mode")
    call.add(Identity(name=call.name, inputs=(call.source(),), source=source))


def softmax(call: Call) -> None:
    rank = len(call.shape()) + 1
    axis = int(call.attributes.get("axis", -1 if call.walk.opset >= 13 else 1)) % rank
    if axis == 0:
        raise Refusal("it runs along the batch axis")
    if call.walk.opset < 13 and any(n > 1 for n in call.shape()[axis:]):
        raise Refusal("it runs over several axes at once; only one is supported")
    log = call.proto.op_type == "LogSoftmax"
    call.add(Softmax(name=call.name, inputs=(call.source(),), axis=axis - 1, log=log))


def resize(call: Call) -> None:
    """Nearest-neighbour by whole factors."""
    mode = call.attributes.get("mode", b"nearest")
    if mode not in (b"nearest", "nearest"):
        raise Refusal(f"it interpolates ({mode!r}); only nearest by whole factors is supported")
    resizing = call.proto.op_type == "Resize"
    position = 2 if resizing and call.walk.opset >= 11 else 1
    scales = call.attributes.get("scales")
    given = np.asarray(scales) if scales is not None else call.constant(position)
    if given is None or not given.size:
        sizes = call.needed(3)
        given = np.array([1.0, *(n / m for n, m in zip(sizes[1:], call.shape(), strict=True))])
    if resizing and call.walk.opset >= 11:
        coordinates = call.attributes.get("coordinate_transformation_mode", b"half_pixel")
        rounding = call.attributes.get("nearest_mode", b"round_prefer_floor")
        if (coordinates, rounding) not in ((b"asymmetric", b"floor"), (b"half_pixel", b"round_prefer_floor")):
            raise Refusal(f"nearest by {coordinates.decode()} and {rounding.decode()} is not a plain repetition")
    factors = tuple(float(f) for f in given)
    if factors[:2] != (1.0, 1.0) or any(f != round(f) or f < 1 for f in factors):
        raise Refusal(f"it resizes by {factors}; only whole factors of the spatial axes are supported")
    call.add(Upsample(name=call.name, inputs=(call.source(),), factor=tuple(int(f) for f in factors[2:])))


RULES: dict[str, Callable[[Call], None]] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Div": div,
    "Dropout": identity,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mul": mul,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Sub": sub,
    "Sum": add,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
}
