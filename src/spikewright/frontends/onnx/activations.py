"""Activations of ONNX, and what only looks like one: clips, maxima and minima, leaky slopes, rounding, endings."""

from __future__ import annotations

from collections.abc import Callable

from spikewright.causes import Cause
from spikewright.frontends.common.activations import ceiling_of, leaky, one_bound
from spikewright.frontends.common.constants import one_a_channel
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.arithmetic import per_channel, without_batch
from spikewright.frontends.onnx.call import FLOATS, Call
from spikewright.nodes import Floor, Identity, ReLU, Sigmoid, Softmax, Tanh


def relu(call: Call) -> None:
    """Relu."""
    call.emit(ReLU)


def clip(call: Call) -> None:
    """Clip, with its bounds as attributes or (since opset 11) as inputs."""
    low, high = call.attributes.get("min"), call.attributes.get("max")
    if call.walk.opset >= 11:
        low, high = (None if call.constant(k) is None else _number(call, k) for k in (1, 2))
    _clipped(call, 0, low, high)


def maximum(call: Call) -> None:
    """``max(x, 0)``, with the zero on either side."""
    _bounded(call, lambda bound: (bound, None))


def minimum(call: Call) -> None:
    """``min(relu(x), c)``: a ceiling."""
    _bounded(call, lambda bound: (None, bound))


def _bounded(call: Call, bounds: Callable[[float], tuple[float | None, float | None]]) -> None:
    """An activation compared with one constant; with nothing at all, it stays what it is."""
    constant = [call.is_constant(k) for k in range(len(call.proto.input))]
    if constant == [False]:
        identity(call)
        return
    if sorted(constant) != [False, True]:
        raise Refusal(Cause.COMPARISON)
    position = constant.index(False)
    _clipped(call, position, *bounds(_number(call, 1 - position, position)))


def _number(call: Call, position: int, data: int = 0) -> float:
    """A constant that is the same everywhere, and no wider than the data it is compared with."""
    given = call.needed(position)
    one_a_channel(without_batch(given, call.shape(data)), call.shape(data))
    return one_bound(given)


def _clipped(call: Call, position: int, low: float | None, high: float | None) -> None:
    """A rectifier with or without a ceiling; one behind another becomes one with it."""
    source = call.source(position)
    before = next(node for node in call.walk.nodes if node.name == source)
    rectified = isinstance(before, ReLU) and before.levels is None
    ceiling = ceiling_of(low, high, positive=rectified)
    if isinstance(before, ReLU) and rectified:
        ceilings = [c for c in (before.ceiling, ceiling) if c is not None]
        source, ceiling = before.inputs[0], float(min(ceilings)) if ceilings else None
    call.emit(ReLU, source, ceiling=ceiling)


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


def floor(call: Call) -> None:
    """Floor."""
    call.emit(Floor)


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
