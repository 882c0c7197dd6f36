"""Activations of ONNX, and what only looks like one: clips, maxima and minima, leaky slopes, rounding, endings."""

from __future__ import annotations

import numpy as np

from spikewright.frontends.onnx.arithmetic import per_channel
from spikewright.frontends.onnx.call import FLOATS, Call, Refusal
from spikewright.graph import Array
from spikewright.nodes import Floor, Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh


def relu(call: Call) -> None:
    call.add(ReLU(name=call.name, inputs=(call.source(),)))


def clip(call: Call) -> None:
    low, high = call.attributes.get("min"), call.attributes.get("max")
    if call.walk.opset >= 11:
        low, high = (None if call.constant(k) is None else _number(call, k) for k in (1, 2))
    low = None if low is None or low < -3e38 else float(low)
    high = None if high is None or high > 3e38 else float(high)
    _clipped(call, 0, low, high)


def maximum(call: Call) -> None:
    """``max(x, 0)``, with the zero on either side."""
    if len(call.proto.input) == 1:
        identity(call)
        return
    position = _data(call)
    _clipped(call, position, _number(call, 1 - position, position), None)


def minimum(call: Call) -> None:
    """``min(relu(x), c)``: a ceiling."""
    if len(call.proto.input) == 1:
        identity(call)
        return
    position = _data(call)
    _clipped(call, position, None, _number(call, 1 - position, position))


def _data(call: Call) -> int:
    constant = [call.is_constant(k) for k in range(len(call.proto.input))]
    if sorted(constant) != [False, True]:
        raise Refusal(
            "only one branch and one constant can be compared; what is largest of several has no spiking form"
        )
    return constant.index(False)


def _number(call: Call, position: int, data: int = 0) -> float:
    """A constant that is the same everywhere, and no wider than the data it is compared with."""
    given, shape = call.needed(position), (1, *call.shape(data))
    room = shape[max(len(shape) - given.ndim, 0) :]
    if given.ndim > len(shape) or any(n not in (1, m) for n, m in zip(given.shape, room, strict=True)):
        raise Refusal(f"its constant of shape {given.shape} does not fit samples of {shape[1:]}")
    value = given.reshape(-1)
    if not value.size or (value != value[0]).any():
        raise Refusal("its bound differs from channel to channel; only one for all is supported")
    return float(value[0])


def _clipped(call: Call, position: int, low: float | None, high: float | None) -> None:
    """A rectifier with or without a ceiling; behind another one, which lets nothing negative through, a ceiling."""
    before = next(node for node in call.walk.nodes if node.name == call.source(position))
    rectified = isinstance(before, ReLU) and before.levels is None
    if low != 0 and not (rectified and (low is None or low < 0)):
        below = "does not clip below" if low is None else f"clips below at {low:g}"
        raise Refusal(f"it {below}; only 0, a ReLU with a ceiling, has a spiking form")
    if high is not None and high <= 0:
        raise Refusal(f"it clips above at {high:g}; nothing would pass")
    source = call.source(position)
    if isinstance(before, ReLU) and rectified:
        ceilings = [c for c in (before.ceiling, high) if c is not None]
        source, high = before.inputs[0], float(min(ceilings)) if ceilings else None
    call.add(ReLU(name=call.name, inputs=(source,), ceiling=high))


def leaky_relu(call: Call) -> None:
    _leaky(call, np.asarray(float(call.attributes.get("alpha", 0.01))))


def prelu(call: Call) -> None:
    shape, slope = call.shape(), call.weights(1)
    if call.walk.opset < 7 and slope.ndim == 1:  # then it goes with the channels, not with the last axis
        slope = slope.reshape(-1, *(1,) * (len(shape) - 1))
    _leaky(call, per_channel(call, slope, shape))


def _leaky(call: Call, slope: Array) -> None:
    if slope.any():
        call.add(LeakyReLU(name=call.name, inputs=(call.source(),), slope=slope))
    else:
        relu(call)


def floor(call: Call) -> None:
    call.add(Floor(name=call.name, inputs=(call.source(),)))


def softmax(call: Call) -> None:
    rank = len(call.shape()) + 1
    axis = call.whole("axis", -1 if call.walk.opset >= 13 else 1) % rank
    if axis == 0:
        raise Refusal("it runs along the batch axis")
    if call.walk.opset < 13 and any(n > 1 for n in call.shape()[axis:]):
        raise Refusal("it runs over several axes at once; only one is supported")
    log = call.proto.op_type == "LogSoftmax"
    call.add(Softmax(name=call.name, inputs=(call.source(),), axis=axis - 1, log=log))


def sigmoid(call: Call) -> None:
    """At the end of a network; anywhere else it is refused once the end is known."""
    call.add(Sigmoid(name=call.name, inputs=(call.source(),)))


def tanh(call: Call) -> None:
    """As ``sigmoid``."""
    call.add(Tanh(name=call.name, inputs=(call.source(),)))


def identity(call: Call) -> None:
    source = "dropout" if call.proto.op_type == "Dropout" else "identity"
    if call.further_outputs:
        raise Refusal("its mask is asked for; export the network in evaluation mode")
    mode = call.constant(2) if source == "dropout" and call.given(2) else None
    learning = source == "dropout" and call.walk.opset < 7 and not call.attributes.get("is_test")
    if learning or (mode is not None and bool(mode)):
        raise Refusal("it is in training mode; export the network in evaluation mode")
    call.add(Identity(name=call.name, inputs=(call.source(),), source=source))


def cast(call: Call) -> None:
    if call.attributes.get("to") not in FLOATS:
        raise Refusal("it rounds to whole numbers")
    call.add(Identity(name=call.name, inputs=(call.source(),)))
