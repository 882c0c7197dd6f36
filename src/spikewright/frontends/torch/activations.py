"""What ATen's rectifiers, rounding, softmax, sigmoid and tanh become."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import ceiling_of, leaky, one_bound
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.trace import base_name
from spikewright.nodes import Floor, ReLU, Sigmoid, Softmax, Tanh

ACTIVATIONS = Rules[Handler]()
converts = ACTIVATIONS.converts


@converts("relu", "relu6", "clamp", "clamp_min", "clamp_max", "clip", "hardtanh", "threshold", "maximum", "minimum")
def rectifier(call: Call) -> Value:
    name = base_name(call.node)
    if name == "relu":
        return call.emit(ReLU, call.x)
    if name == "relu6":
        return call.emit(ReLU, call.x, ceiling=6.0)
    if name == "hardtanh":
        return _bounded(call, call.x, call["min_val"], call["max_val"])
    if name == "threshold":
        if call["threshold"] != 0 or call["value"] != 0:
            told = f"it puts {call['value']} where nothing exceeds {call['threshold']}"
            call.refuse(Cause.NOT_FROM_ZERO, told)
        return call.emit(ReLU, call.x)
    if name in ("maximum", "minimum"):
        x, bound = _sides(call)
        return _bounded(call, x, *((bound, None) if name == "maximum" else (None, bound)))
    return _bounded(call, call.x, call.get("min"), call.get("max"))


def maximum(call: Call) -> Value:
    """``torch.max(x, 0)``, the elementwise one."""
    x, bound = _sides(call)
    return _bounded(call, x, bound, None)


def _sides(call: Call) -> tuple[Value, Any]:
    """The activation and the bound of an elementwise maximum or minimum, which may stand in either order."""
    a, b = call["self"], call["other"]
    if isinstance(a, Value) and isinstance(b, Value):
        call.refuse(Cause.COMPARISON)
    return (a, b) if isinstance(a, Value) else (call.value(b), a)


def _bounded(call: Call, x: Value, low: Any, high: Any) -> Value:
    """A clip from 0 to a ceiling; the lower bound may be missing where nothing below 0 arrives."""
    rectified = any(node.name == x.name and isinstance(node, ReLU) for node in call.walk.nodes)
    ceiling = ceiling_of(_number(call, low), _number(call, high), positive=rectified)
    return call.emit(ReLU, x, ceiling=ceiling)


def _number(call: Call, bound: Any) -> float | None:
    """A bound, which may be a trained ceiling, as one number."""
    import torch

    if bound is None or isinstance(bound, int | float):
        return bound
    if not isinstance(bound, torch.Tensor):
        call.refuse("its bound is computed from activations")
    return one_bound(call.constant(bound))


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


@converts("floor")
def floor(call: Call) -> Value:
    return call.emit(Floor, call.x)


@converts("sigmoid", "special_expit", "tanh")
def squashed(call: Call) -> Value:
    """A sigmoid or tanh, which may stand at the end of a network; anywhere else it is refused once the end is known."""
    value = call.emit(Tanh if base_name(call.node) == "tanh" else Sigmoid, call.x)
    call.reserve(value)
    return value


@converts("softmax", "_softmax", "log_softmax", "_log_softmax")
def softmax(call: Call) -> Value:
    return call.emit(Softmax, call.x, axis=call.axis(call.x, call["dim"]), log="log" in base_name(call.node))
