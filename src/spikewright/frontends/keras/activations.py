"""Activations: as layers of their own, and as the setting of another layer, where they stay behind that layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import clipped, leaky
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.pieces import SAME, Line, Pieces, chosen, combined, compared, rectifier
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.keras.call import Call, Rule, Value
from spikewright.frontends.keras.choices import cut, shrink
from spikewright.frontends.keras.moves import FUNCTIONS, chain, spread
from spikewright.nodes import Add, ChannelAffine, Floor, Identity, LeakyReLU, ReLU, Round, Sigmoid, Softmax, Tanh

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
    slope, limit = _number(config.get("negative_slope")), _number(config.get("threshold"))
    high = None if ceiling is None else _number(ceiling)
    if limit:
        return call.function(x, _cut(slope, limit, high), part)
    if slope:
        value = _leaky(call, x, {"negative_slope": slope}, f"{part}.leaky" if high is not None and part else part)
        return value if high is None else _clipped(call, value, None, high, part or "clipped")
    return _clipped(call, x, 0, high, part)


def _cut(slope: float, limit: float, high: float | None) -> Pieces:
    """x where it exceeds a limit, at most ``high``, where that is given never below 0; else a slope from the limit."""
    below, above = Pieces((Line.of(slope, -slope * limit),)), SAME if high is None else rectifier(0, high)
    found = combined(chosen, compared(">", limit), above, below)
    assert found is not None
    return found


def _clipped(call: Call, x: Value, low: Any, high: Any, part: str) -> Value:
    """A clip between bounds, numbers or arrays as Keras spreads them over a sample."""
    below, above = (None if bound is None else call.in_node_order(np.asarray(bound), x) for bound in (low, high))
    return chain(call, x, clipped(below, above, x.node_shape), x.order, part)


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


def _hard_tanh(call: Call, x: Value, _config: Any, part: str) -> Value:
    return _clipped(call, x, -1.0, 1.0, part)


def _hard_sigmoid(call: Call, x: Value, config: Any, part: str) -> Value:
    """``clip(x / 6 + 1/2, 0, 1)`` in Keras 3, ``clip(x / 5 + 1/2, 0, 1)`` in Keras 2."""
    newest = config.get("newest") or call.walk.version.split(".")[0]
    if newest not in ("1", "2", "3"):
        call.refuse(OPEN_VERSION, operator="hard_sigmoid")
    return _ramp(call, x, 1 / 6 if newest == "3" else 0.2, part)


def _ramp(call: Call, x: Value, slope: float, part: str) -> Value:
    moved = call.emit(ChannelAffine, x, part=joined(part, "shifted"), **factor_and_shift(slope, 0.5, x.node_shape))
    return call.emit(ReLU, moved, part=part, ceiling=1.0)


def joined(*parts: str) -> str:
    """Words added to a name, one behind the other."""
    return ".".join(filter(None, parts))


OPEN_VERSION = (
    "Keras 2 and Keras 3 define it differently, and nothing says which of them wrote the model; save it as a file with "
    "that Keras, which notes it"
)
_FORMS: dict[str, Callable[[Call, Value, Any, str], Value]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Softmax": _softmax,
    "Sigmoid": _at_the_end(Sigmoid),
    "Tanh": _at_the_end(Tanh),
    "HardTanh": _hard_tanh,
    "HardSigmoid": _hard_sigmoid,
    "SparseSigmoid": lambda call, x, _config, part: _ramp(call, x, 0.5, part),
    "HardShrink": lambda call, x, config, part: shrink(call, x, _limit(config), 0.0, part),
    "SoftShrink": lambda call, x, config, part: shrink(call, x, _limit(config), _limit(config), part),
    "Threshold": lambda call, x, c, part: cut(call, x, _number(c["threshold"]), _number(c["default_value"]), part),
}
_FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("ReLU", {}),
    "relu6": ("ReLU", {"max_value": 6.0}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.2}),
    "softmax": ("Softmax", {}),
    "log_softmax": ("Softmax", {"log": True}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "hard_tanh": ("HardTanh", {}),
    "hard_sigmoid": ("HardSigmoid", {}),
    "sparse_sigmoid": ("SparseSigmoid", {}),
    "hard_shrink": ("HardShrink", {}),
    "soft_shrink": ("SoftShrink", {}),
}
"""Functions by name, as the layer and the settings that do the same."""


def _limit(config: Any) -> float:
    return _number(config.get("threshold", 0.5))


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


@FUNCTIONS.converts("HardTanh", "HardSigmoid", "SparseSigmoid", "HardShrink", "SoftShrink", "Threshold")
def form(call: Call) -> Value:
    """A function of keras.ops, which is that of Keras 3."""
    return _FORMS[call.layer.kind](call, call.x, {**call.config, "newest": "3"}, "")


@FUNCTIONS.converts("LeakyRelu")
def leaky_relu(call: Call) -> Value:
    return _leaky(call, call.x, call.config, "")


@FUNCTIONS.converts("Clip")
def clip(call: Call) -> Value:
    return _clipped(call, call.x, call.config.get("x_min"), call.config.get("x_max"), "")


@FUNCTIONS.converts("Absolute", "Abs")
def absolute(call: Call) -> Value:
    """What is negative with the other sign: a rectifier whose slope below 0 is −1."""
    return call.emit(LeakyReLU, call.x, slope=np.asarray(-1.0))


@FUNCTIONS.converts("Floor", "Round", "Ceil")
def rounding(call: Call) -> Value:
    """Steps; a pass makes one activation of them and the clip beside them."""
    if call.config.get("decimals"):
        call.refuse(Cause.ROUNDING)
    if call.layer.kind != "Ceil":
        return call.emit(Floor if call.layer.kind == "Floor" else Round, call.x)
    minus = factor_and_shift(-1, 0, call.x.node_shape)
    down = call.emit(Floor, call.emit(ChannelAffine, call.x, part="minus", **minus), part="floor")
    return call.emit(ChannelAffine, down, **minus)


@converts("Maximum", "Minimum")
def extreme(call: Call) -> Value:
    """Of a value and a bound a clip; of values ``a + relu(b − a)`` and ``a − relu(a − b)``, one after the other."""
    smaller = call.layer.kind == "Minimum"
    bounds = [np.asarray(given, np.float64) for given in call.inputs if not isinstance(given, Value)]
    first, *others = spread(call, call.values)
    for k, other in enumerate(others):
        minus = factor_and_shift(-1, 0, first.node_shape)
        less, more = (other, first) if smaller else (first, other)
        rest = call.emit(Add, more, call.emit(ChannelAffine, less, part=f"minus{k}", **minus), part=f"difference{k}")
        rest = call.emit(ReLU, rest, part=f"rectified{k}")
        rest = call.emit(ChannelAffine, rest, part=f"taken{k}", **minus) if smaller else rest
        first = call.emit(Add, first, rest, part="" if other is others[-1] and not bounds else f"extreme{k}")
    for bound in bounds:
        low, high = (None, bound) if smaller else (bound, None)
        first = _clipped(call, first, low, high, "")
    return first


@converts("PReLU")
def prelu(call: Call) -> Value:
    """A slope for each value of a sample, or one for all along shared axes."""
    shared = call.config.get("shared_axes") or ()
    axes = {call.axis(call.x, axis) for axis in shared}
    shape = tuple(1 if k in axes else n for k, n in enumerate(call.x.shape))
    alpha = call.weights(alpha=shape)["alpha"]
    kind, fields = leaky(call.spread(alpha, call.x))
    return call.emit(kind, call.x, **fields)
