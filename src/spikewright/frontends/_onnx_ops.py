"""One rule for each ONNX operator that depends on data."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np

from spikewright.frontends._onnx_arithmetic import add, div, gemm, matmul, mul, sub
from spikewright.frontends._onnx_call import FLOATS, Call, Refusal
from spikewright.frontends._onnx_constants import BATCH
from spikewright.frontends._onnx_windows import average_pool, conv, max_pool
from spikewright.graph import Node
from spikewright.nodes import (
    AvgPool,
    BatchNorm,
    Concat,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    Pad,
    Permute,
    ReLU,
    Reshape,
    Softmax,
    Upsample,
)


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
        below = "does not clip below" if low is None else f"clips below at {low:g}"
        raise Refusal(f"it {below}; only 0, a ReLU with a ceiling, has a spiking form")
    if high is not None and (high <= 0):
        raise Refusal(f"it clips above at {high}; nothing would pass")
    ceiling = None if high is None or high > 3e38 else float(high)
    call.add(ReLU(name=call.name, inputs=(call.source(),), ceiling=ceiling))


def global_average_pool(call: Call) -> None:
    call.add(GlobalAvgPool(name=call.name, inputs=(call.source(),)))


def global_max_pool(call: Call) -> None:
    call.add(GlobalMaxPool(name=call.name, inputs=(call.source(),)))


def reduce_mean(call: Call) -> None:
    """The mean over some or all axes after the channels, as pooling."""
    rank = len(call.shape()) + 1
    axes = _axes(call, rank)
    if not axes or axes[0] < 2 or rank > 5:
        raise Refusal(f"it averages over the axes {axes}; only axes after the channels can be pooled")
    pooled: Node
    if axes == tuple(range(2, rank)):
        pooled = GlobalAvgPool(name=call.name, inputs=(call.source(),))
    else:
        kernel = tuple(call.shape()[a - 1] if a in axes else 1 for a in range(2, rank))
        none = ((0, 0),) * len(kernel)
        pooled = AvgPool(name=call.name, inputs=(call.source(),), kernel=kernel, stride=kernel, padding=none)
    if call.attributes.get("keepdims", 1):
        call.add(pooled)
        return
    call.walk.add(pooled, f"{call.output}:pooled")
    kept = tuple(n for k, n in enumerate(call.shape(), start=1) if k not in axes)
    flat = call.walk.fresh(f"{pooled.name}_flat")
    call.add(
        Flatten(name=flat, inputs=(pooled.name,))
        if len(kept) == 1
        else Reshape(name=flat, inputs=(pooled.name,), shape=kept)
    )


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
    if given is None and call.given(1):
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
    mode = call.text("mode", "constant")
    if mode != "constant":
        raise Refusal(f"it pads by {mode}; only zeros are supported")
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


def cast(call: Call) -> None:
    if call.attributes.get("to") not in FLOATS:
        raise Refusal("it rounds to whole numbers")
    call.add(Identity(name=call.name, inputs=(call.source(),)))


REPETITIONS = {
    ("asymmetric", "floor"),
    *product(
        ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
        ("round_prefer_floor", "round_prefer_ceil"),
    ),
}
"""Which sampling of Resize repeats each value when the factor is whole."""


def resize(call: Call) -> None:
    """Nearest-neighbour by whole factors."""
    mode = call.text("mode", "nearest")
    if mode != "nearest":
        raise Refusal(f"it interpolates ({mode}); only nearest by whole factors is supported")
    if call.proto.op_type == "Resize" and call.walk.opset >= 11:
        sampling = call.text("coordinate_transformation_mode", "half_pixel")
        rounding = call.text("nearest_mode", "round_prefer_floor")
        if (sampling, rounding) not in REPETITIONS:
            raise Refusal(f"nearest by {sampling} and {rounding} is not a plain repetition")
    factors = _factors(call)
    if factors[:2] != (1.0, 1.0) or any(f != round(f) or f < 1 for f in factors):
        raise Refusal(f"it resizes by {factors}; only whole factors of the spatial axes are supported")
    call.add(Upsample(name=call.name, inputs=(call.source(),), factor=tuple(int(f) for f in factors[2:])))


def _factors(call: Call) -> tuple[float, ...]:
    """Of every axis, the batch among them: given as such, or as the lengths after resizing."""
    full = (1, *call.shape())
    axes = tuple(a % len(full) for a in call.ints("axes") or range(len(full)))
    attribute = call.attributes.get("scales")
    position = 2 if call.proto.op_type == "Resize" and call.walk.opset >= 11 else 1
    given = np.asarray(attribute) if attribute is not None else call.constant(position)
    if given is None or not given.size:
        if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Refusal("it keeps the aspect ratio; give it the factors instead")
        sizes = call.needed(3)
        given = np.array([1.0 if a == 0 else n / full[a] for n, a in zip(sizes, axes, strict=True)])
    found = dict(zip(axes, (float(f) for f in given), strict=True))
    return tuple(found.get(a, 1.0) for a in range(len(full)))


RULES: dict[str, Callable[[Call], None]] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
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
