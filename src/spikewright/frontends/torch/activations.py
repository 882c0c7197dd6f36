"""What ATen's rectifiers, rounding, softmax, sigmoid and tanh become."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import clipped, leaky, quantised
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.operators import per_sample, spread_alike
from spikewright.frontends.torch.trace import base_name
from spikewright.nodes import Add, ChannelAffine, Floor, LeakyReLU, ReLU, Round, Sigmoid, Softmax, Tanh

ACTIVATIONS = Rules[Handler]()
converts = ACTIVATIONS.converts


@converts("relu", "relu6", "clamp", "clamp_min", "clamp_max", "clip", "hardtanh")
def rectifier(call: Call) -> Value:
    name = base_name(call.node)
    if name == "relu":
        return call.emit(ReLU, call.x)
    if name == "relu6":
        return call.emit(ReLU, call.x, ceiling=6.0)
    if name == "hardtanh":
        return _bounded(call, call.x, call["min_val"], call["max_val"])
    return _bounded(call, call.x, call.get("min"), call.get("max"))


@converts("maximum", "minimum")
def maximum(call: Call) -> Value:
    """Elementwise: of an activation and a bound, or of two activations, ``a + relu(b − a)`` and ``a − relu(a − b)``."""
    a, b = call["self"], call["other"]
    smaller = base_name(call.node) == "minimum" or base_name(call.node) == "min"
    if not (isinstance(a, Value) and isinstance(b, Value)):
        x, bound = (a, b) if isinstance(a, Value) else (call.value(b), a)
        return _bounded(call, x, *((None, bound) if smaller else (bound, None)))
    a, b = spread_alike(call, a, b)
    less, more = (b, a) if smaller else (a, b)
    negative = call.emit(ChannelAffine, less, part="minus", **factor_and_shift(-1, 0, less.sample))
    rest = call.emit(ReLU, call.emit(Add, more, negative, part="difference"), part="rectified")
    if smaller:
        rest = call.emit(ChannelAffine, rest, part="taken", **factor_and_shift(-1, 0, rest.sample))
    return call.emit(Add, a, rest)


def _bounded(call: Call, x: Value, low: Any, high: Any) -> Value:
    """A clip; the lower bound may be missing where nothing below 0 arrives."""
    rectified = any(node.name == x.name and isinstance(node, ReLU) for node in call.walk.nodes)
    below, above = (_bound(call, x, bound) for bound in (low, high))
    return call.emit_all(x, clipped(below, above, x.sample, positive=rectified))


def _bound(call: Call, x: Value, bound: Any) -> Any:
    """A bound, which may be a trained ceiling, or one for each channel."""
    import torch

    if bound is None or isinstance(bound, int | float):
        return bound
    if not isinstance(bound, torch.Tensor):
        call.refuse("its bound is computed from activations")
    return per_sample(call, call.constant(bound), x.sample)


@converts("hardsigmoid")
def hard_sigmoid(call: Call) -> Value:
    """``relu6(x + 3) / 6``."""
    x = call.emit(ChannelAffine, call.x, part="shifted", **factor_and_shift(1 / 6, 0.5, call.x.sample))
    return call.emit(ReLU, x, ceiling=1.0)


@converts("abs")
def absolute(call: Call) -> Value:
    """What is negative with the other sign: a rectifier whose slope below 0 is −1."""
    return call.emit(LeakyReLU, call.x, slope=np.asarray(-1.0))


@converts("leaky_relu", "prelu", "rrelu")
def leaky_relu(call: Call) -> Value:
    name = base_name(call.node)
    if name == "leaky_relu":
        slope: Any = np.asarray(call["negative_slope"], np.float32)
    elif name == "rrelu":  # at inference: the middle of the range it was drawn from
        if call["training"]:
            call.refuse(Cause.TRAINING)
        slope = np.asarray((call["lower"] + call["upper"]) / 2, np.float32)
    else:
        slope = call.constant(call["weight"])
        slope = slope.reshape(()) if slope.size == 1 else slope
    kind, fields = leaky(slope)
    return call.emit(kind, call.x, **fields)


@converts("floor", "round", "ceil")
def rounding(call: Call) -> Value:
    """Steps; a pass makes one activation of them and the clip beside them."""
    name = base_name(call.node)
    if call.get("decimals"):
        call.refuse(Cause.ROUNDING)
    if name != "ceil":
        return call.emit(Floor if name == "floor" else Round, call.x)
    minus = factor_and_shift(-1, 0, call.x.sample)
    down = call.emit(Floor, call.emit(ChannelAffine, call.x, part="minus", **minus), part="floor")
    return call.emit(ChannelAffine, down, **minus)


@converts("fake_quantize_per_tensor_affine", "fake_quantize_per_tensor_affine_cachemask")
def fake_quantised(call: Call) -> Any:
    """``(clip(round(x / scale) + zero, low, high) − zero) · scale``."""
    x, scale, zero = call.x, float(call["scale"]), int(call["zero_point"])
    value = call.emit_all(x, quantised(scale, zero, call["quant_min"], call["quant_max"], x.sample))
    return (value, None) if base_name(call.node).endswith("_cachemask") else value


@converts("sigmoid", "special_expit", "tanh")
def squashed(call: Call) -> Value:
    """A sigmoid or tanh, which may stand at the end of a network; anywhere else it is refused once the end is known."""
    value = call.emit(Tanh if base_name(call.node) == "tanh" else Sigmoid, call.x)
    call.reserve(value)
    return value


@converts("softmax", "_softmax", "log_softmax", "_log_softmax")
def softmax(call: Call) -> Value:
    return call.emit(Softmax, call.x, axis=call.axis(call.x, call["dim"]), log="log" in base_name(call.node))
