"""Activations of ONNX, and what only looks like one: clips, maxima and minima, leaky slopes, rounding, endings."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import clipped, leaky
from spikewright.frontends.common.constants import factor_and_shift, one_a_channel
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.arithmetic import alike, per_channel, without_batch
from spikewright.frontends.onnx.call import FLOATS, Call
from spikewright.graph import Shape
from spikewright.nodes import Add, ChannelAffine, Floor, Identity, LeakyReLU, ReLU, Round, Sigmoid, Softmax, Tanh


def clip(call: Call) -> None:
    """Clip, with its bounds as attributes or (since opset 11) as inputs."""
    low, high = call.attributes.get("min"), call.attributes.get("max")
    if call.walk.opset >= 11:
        low, high = (None if call.constant(k) is None else _number(call, k) for k in (1, 2))
    _clipped(call, 0, low, high)


def maximum(call: Call) -> None:
    """Max: of data and constants a bound; of data ``a + relu(b − a)``, one after the other."""
    _extreme(call, smaller=False)


def minimum(call: Call) -> None:
    """Min: of data and constants a ceiling; of data ``a − relu(a − b)``, one after the other."""
    _extreme(call, smaller=True)


def _extreme(call: Call, *, smaller: bool) -> None:
    data = [k for k in range(len(call.proto.input)) if not call.is_constant(k)]
    constants = [call.needed(k).astype(np.float64) for k in range(len(call.proto.input)) if k not in data]
    bound: Any = None
    for constant in constants:
        bound = constant if bound is None else (np.minimum if smaller else np.maximum)(bound, constant)
    if len(data) == 1:
        if bound is None:
            identity(call)
            return
        shape = call.shape(data[0])
        one_a_channel(without_batch(bound, shape), shape)  # no wider than the data that it is compared with
        _clipped(call, data[0], *((None, bound) if smaller else (bound, None)))
        return
    shape = np.broadcast_shapes(*(call.shape(k) for k in data))
    minus = factor_and_shift(-1, 0, shape)
    first, *others = alike(call, data)
    for k, other in enumerate(others):
        less, more = (other, first) if smaller else (first, other)
        negative = call.part(ChannelAffine, less, f"minus{k}", **minus)
        rest = call.part(ReLU, _added(call, f"difference{k}", more, negative), f"rectified{k}")
        rest = call.part(ChannelAffine, rest, f"taken{k}", **minus) if smaller else rest
        last = k == len(others) - 1 and bound is None
        if last:
            call.emit(Add, first, rest)
        else:
            first = _added(call, f"extreme{k}", first, rest)
    if bound is not None:
        low, high = (None, _spread(bound, shape)) if smaller else (_spread(bound, shape), None)
        call.emit_all(clipped(low, high, shape), first)


def _added(call: Call, part: str, *sources: str) -> str:
    node = Add(name=call.walk.names.free(f"{call.name}_{part}"), inputs=sources)
    call.walk.add(node, f"{call.output}:{part}")
    return node.name


def _number(call: Call, position: int) -> Any:
    """A bound; that it is one number for all is what Clip asks for."""
    given = call.needed(position)
    if given.size != 1:
        raise Refusal(f"its bound has the shape {given.shape}, where one number belongs")
    return float(given.reshape(()))


def _spread(bound: Any, shape: Shape) -> Any:
    return None if bound is None else without_batch(np.asarray(bound), shape)


def _clipped(call: Call, position: int, low: Any, high: Any) -> None:
    """A rectifier with or without a ceiling, or what is made of one; one behind another becomes one with it."""
    source, shape = call.source(position), call.shape(position)
    before = next(node for node in call.walk.nodes if node.name == source)
    rectified = isinstance(before, ReLU) and before.levels is None
    plans = clipped(_spread(low, shape), _spread(high, shape), shape, positive=rectified)
    if len(plans) == 1 and plans[0].kind is ReLU and isinstance(before, ReLU) and rectified:
        ceilings = [c for c in (before.ceiling, plans[0].fields.get("ceiling")) if c is not None]
        call.emit(ReLU, before.inputs[0], ceiling=float(min(ceilings)) if ceilings else None)
        return
    call.emit_all(plans, source)


def absolute(call: Call) -> None:
    """Abs: a rectifier whose slope below 0 is −1."""
    call.emit(LeakyReLU, slope=np.asarray(-1.0))


def hard_sigmoid(call: Call) -> None:
    """``clip(alpha · x + beta, 0, 1)``."""
    slope, shift = (float(call.attributes.get(name, value)) for name, value in (("alpha", 0.2), ("beta", 0.5)))
    moved = call.part(ChannelAffine, call.source(), "shifted", **factor_and_shift(slope, shift, call.shape()))
    call.emit(ReLU, moved, ceiling=1.0)


def leaky_relu(call: Call) -> None:
    """LeakyRelu."""
    kind, fields = leaky(float(call.attributes.get("alpha", 0.01)))
    call.emit(kind, **fields)


def prelu(call: Call) -> None:
    """PRelu, with one slope for all or for each channel."""
    shape, slope = call.shape(), call.weights(1)
    if call.walk.opset < 7 and slope.ndim == 1:  # then it goes with the channels, not with the last axis
        slope = slope.reshape(-1, *(1,) * (len(shape) - 1))
    kind, fields = leaky(per_channel(call, slope, shape))
    call.emit(kind, **fields)


def rounding(call: Call) -> None:
    """Floor, Round and Ceil; a pass makes one activation of them and the clip beside them."""
    if call.proto.op_type != "Ceil":
        call.emit(Floor if call.proto.op_type == "Floor" else Round)
        return
    minus = factor_and_shift(-1, 0, call.shape())
    down = call.part(Floor, call.part(ChannelAffine, call.source(), "minus", **minus), "floor")
    call.emit(ChannelAffine, down, **minus)


def softmax(call: Call) -> None:
    """Softmax and LogSoftmax, over one axis other than the batch."""
    rank = len(call.shape()) + 1
    axis = call.whole("axis", -1 if call.walk.opset >= 13 else 1) % rank
    if axis == 0:
        raise Refusal(Cause.BATCH_AXIS)
    if call.walk.opset < 13 and any(n > 1 for n in call.shape()[axis:]):
        raise Refusal("it runs over several axes at once; only one is supported")
    log = call.proto.op_type == "LogSoftmax"
    call.emit(Softmax, axis=axis - 1, log=log)


def sigmoid(call: Call) -> None:
    """A sigmoid, which may stand at the end of a network; anywhere else it is refused once the end is known."""
    call.emit(Sigmoid)


def tanh(call: Call) -> None:
    """A hyperbolic tangent, which is taken where a sigmoid is."""
    call.emit(Tanh)


def identity(call: Call) -> None:
    """Identity, and Dropout when not training."""
    source = "dropout" if call.proto.op_type == "Dropout" else "identity"
    if call.further_outputs:
        raise Refusal(Cause.TRAINING, "its mask is asked for")
    mode = call.constant(2) if source == "dropout" and call.input_name(2) else None
    learning = source == "dropout" and call.walk.opset < 7 and not call.attributes.get("is_test")
    if learning or (mode is not None and bool(mode)):
        raise Refusal(Cause.TRAINING)
    call.emit(Identity, source=source)


def cast(call: Call) -> None:
    """Cast between floating-point types."""
    if call.attributes.get("to") not in FLOATS:
        raise Refusal(Cause.ROUNDING)
    call.emit(Identity)
