"""Activations: as layers of their own, and as the setting of another layer, where they stay behind that layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import ceiling_of, leaky
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.keras.call import Call, Rule, Value
from spikewright.nodes import Identity, ReLU, Sigmoid, Softmax, Tanh

ACTIVATIONS = Rules[Rule]()
converts = ACTIVATIONS.converts


def activate(call: Call, x: Value, spec: Any, part: str | None = None) -> Value:
    """The activation that a setting names, behind ``x``.

    Args:
        call: of the layer whose setting it is.
        x: what it acts on.
        spec: a name, or the description of a function or of a layer.
        part: added to the layer's name; None for the activation's own name.
    """
    kind, config = _named(call, spec)
    part = kind.lower() if part is None else part
    if kind == "linear":
        return x if part else call.emit(Identity, x)
    kind, config = _FUNCTIONS.get(kind, (kind, config))
    if kind not in _FORMS:
        call.refuse(operator=kind)
    return _FORMS[kind](call, x, config, part)


def _named(call: Call, spec: Any) -> tuple[str, dict[str, Any]]:
    """The name and the settings of an activation, however it is written."""
    if not isinstance(spec, dict):
        return ("linear" if spec is None else str(spec)), {}
    kind, config = str(spec.get("class_name")), spec.get("config")
    home = str(spec.get("module") or "keras").split(".")[0]
    if home not in ("keras", "builtins", "tensorflow") or ">" in str(spec.get("registered_name")):
        call.refuse(Cause.OWN_CODE, operator=str(config))
    if kind == "function":
        return str(config), {}
    return kind, config if isinstance(config, dict) else {}


def _number(value: Any) -> float:
    """A setting that may be left open, or wrapped as an array of one."""
    if isinstance(value, dict):
        value = value.get("value", value.get("config", {}).get("value"))
    return 0.0 if value is None else float(np.asarray(value, np.float64).reshape(()))


def _relu(call: Call, x: Value, config: Any, part: str) -> Value:
    ceiling = config.get("max_value")
    slope, threshold = _number(config.get("negative_slope")), _number(config.get("threshold"))
    if threshold:
        call.refuse(Cause.NOT_FROM_ZERO, f"it cuts at {threshold:g}")
    if slope and ceiling is not None:
        call.refuse(f"it is leaky and has a ceiling of {_number(ceiling):g}; only one of these has a spiking form")
    if slope:
        return _leaky(call, x, {"negative_slope": slope}, part)
    return call.emit(ReLU, x, part=part, ceiling=ceiling_of(0, None if ceiling is None else _number(ceiling)))


def _leaky(call: Call, x: Value, config: Any, part: str) -> Value:
    slope = config.get("negative_slope", config.get("alpha", 0.3))  # Keras 2 called it alpha
    kind, fields = leaky(_number(slope))
    return call.emit(kind, x, part=part, **fields)


def _softmax(call: Call, x: Value, config: Any, part: str) -> Value:
    axis = config.get("axis", -1)
    axes = axis if isinstance(axis, list | tuple) else [axis]
    if len(axes) != 1:
        call.refuse(f"it runs over the axes {axis} at once; only one is supported")
    along = x.order[call.axis(x, axes[0])]
    return call.emit(Softmax, x, part=part, axis=along, log=bool(config.get("log")))


def _at_the_end(kind: type[Sigmoid | Tanh]) -> Callable[[Call, Value, Any, str], Value]:
    """What may only stand at the end of a network; anywhere else it is refused once the end is known."""

    def form(call: Call, x: Value, _config: Any, part: str) -> Value:
        value = call.emit(kind, x, part=part)
        call.reserve(value, kind.__name__.lower())
        return value

    return form


_FORMS: dict[str, Callable[[Call, Value, Any, str], Value]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Softmax": _softmax,
    "Sigmoid": _at_the_end(Sigmoid),
    "Tanh": _at_the_end(Tanh),
}
_FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("ReLU", {}),
    "relu6": ("ReLU", {"max_value": 6.0}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
    "softmax": ("Softmax", {}),
    "log_softmax": ("Softmax", {"log": True}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
}
"""Functions by name, as the layer and the settings that do the same."""


@converts("Activation")
def activation(call: Call) -> Value:
    return activate(call, call.x, call.config["activation"], part="")


@converts("ReLU", "LeakyReLU", "Softmax")
def layer(call: Call) -> Value:
    return _FORMS[call.layer.kind](call, call.x, call.config, "")


@converts("LogSoftmax")
def log_softmax(call: Call) -> Value:
    return _softmax(call, call.x, {**call.config, "log": True}, "")


@converts("Relu", "Relu6", "Sigmoid", "Tanh")
def operation(call: Call) -> Value:
    return activate(call, call.x, call.layer.kind.lower(), part="")


@converts("PReLU")
def prelu(call: Call) -> Value:
    """A slope for each value of a sample, or one for all along shared axes."""
    shared = call.config.get("shared_axes") or ()
    axes = {call.axis(call.x, axis) for axis in shared}
    shape = tuple(1 if k in axes else n for k, n in enumerate(call.x.shape))
    alpha = call.weights(alpha=shape)["alpha"]
    kind, fields = leaky(call.spread(alpha, call.x))
    return call.emit(kind, call.x, **fields)
