"""What comparisons, choices by them, thresholds and signs become: lines, rectifiers and steps of one value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.choices import elsewhere
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.pieces import (
    JUNCTIONS,
    TURNED,
    chosen,
    compared,
    multiplied,
    shrunk,
    stepped,
    threshold,
)
from spikewright.frontends.keras.call import Call, Value
from spikewright.frontends.keras.moves import FUNCTIONS, spread
from spikewright.nodes import Add, ChannelAffine, Identity, ReLU

converts = FUNCTIONS.converts

SIGNS = {"Greater": ">", "GreaterEqual": ">=", "Less": "<", "LessEqual": "<="}


def _affine(call: Call, x: Value, scale: Any = 1.0, shift: Any = 0.0, part: str = "") -> Value:
    """A factor and a shift whose axes lie as those of the node."""
    return call.emit(ChannelAffine, x, part=part, **factor_and_shift(scale, shift, x.node_shape))


@converts("ZerosLike", "OnesLike", "FullLike")
def full(call: Call) -> Value:
    """Full of one number, of the shape of a value."""
    numbers = {"ZerosLike": 0.0, "OnesLike": 1.0}
    number = numbers[call.layer.kind] if call.layer.kind in numbers else call.inputs[1]
    if isinstance(number, Value) or np.ndim(number):
        call.refuse("it is full of what is computed, or of several numbers")
    return _affine(call, call.values[0], 0.0, float(number))


@converts(*SIGNS)
def comparison(call: Call) -> Value:
    """0 or 1, of a value and a constant or of two values."""
    sign, (one, other) = SIGNS[call.layer.kind], call.inputs
    if isinstance(one, Value) and isinstance(other, Value):
        one, other = spread(call, (one, other))
        return call.function(
            call.emit(Add, one, _affine(call, other, -1, part="minus"), part="difference"), compared(sign, 0.0)
        )
    x, bound, sign = (one, other, sign) if isinstance(one, Value) else (other, one, TURNED[sign])
    limit = call.in_node_order(np.asarray(bound, np.float32), x)
    if (limit == limit.flat[0]).all():
        return call.function(x, compared(sign, float(limit.flat[0])))
    return call.function(_affine(call, x, shift=-limit, part="from"), compared(sign, 0.0))


@converts("Where")
def choice(call: Call) -> Value:
    """By a comparison of a value one of two functions of it, or by constants."""
    if len(call.inputs) != 3:
        call.refuse(Cause.POSITIONS)
    alike = iter(spread(call, call.values))
    sides = [next(alike) if isinstance(given, Value) else given for given in call.inputs]
    x = next(side for side in sides if isinstance(side, Value))
    mask, one, other = (s if isinstance(s, Value) else call.in_node_order(np.asarray(s), x) for s in sides)
    if not isinstance(mask, Value):
        return _fixed(call, mask, one, other)
    if not isinstance(one, Value) and not isinstance(other, Value):
        return _affine(call, mask, one - other, other)
    given = (side.node if isinstance(side, Value) else side for side in (one, other))
    found = call.walk.choices.among(chosen, x.node_shape, mask.node, *given)
    if found is None:
        raise elsewhere()
    return call.function(replace(mask, node=found[0]), found[1])


def _fixed(call: Call, mask: Any, one: Any, other: Any) -> Value:
    """By a constant: each side times what is 1 where it is taken."""
    if isinstance(one, Value) and isinstance(other, Value):
        return call.emit(Add, _affine(call, one, mask, part="one"), _affine(call, other, 1 - mask, part="other"))
    if isinstance(one, Value):
        return _affine(call, one, mask, np.where(mask, 0, other))
    return _affine(call, other, 1 - mask, np.where(mask, one, 0))


def product(call: Call, one: Value, other: Value) -> Value:
    """The product of functions of one value, one of which is flat wherever the other is not: ``x · (x > 0)``."""
    one, other = spread(call, (one, other))
    found = call.walk.choices.among(multiplied, one.node_shape, one.node, other.node)
    if found is None:
        call.refuse(Cause.PRODUCT)
    return call.function(replace(one, node=found[0]), found[1])


@converts("LogicalNot")
def negation(call: Call) -> Value:
    return _affine(call, call.x, -1, 1)


@converts("LogicalAnd", "LogicalOr", "LogicalXor")
def junction(call: Call) -> Value:
    """``relu(a + b − 1)`` is 1 where both are."""
    if len(call.values) != 2:
        call.refuse("it takes two comparisons")
    kind, (one, other) = call.layer.kind.removeprefix("Logical").lower(), spread(call, call.values)
    found = call.walk.choices.among(JUNCTIONS[kind], one.node_shape, one.node, other.node)
    if found is not None:
        return call.function(replace(one, node=found[0]), found[1])
    more = _affine(call, call.emit(Add, one, other, part="sum"), shift=-1, part="more")
    if kind == "and":
        return call.emit(ReLU, more)
    both = call.emit(ReLU, more, part="both")
    return call.emit(Add, one, other, _affine(call, both, -1 if kind == "or" else -2, part="twice"))


@converts("Sign")
def sign(call: Call) -> Value:
    return call.function(call.x, stepped(0.0, -1, 0, 1))


@converts("Cast")
def cast(call: Call) -> Value:
    """To floats only."""
    if "float" not in str(call.config.get("dtype")):
        call.refuse(Cause.ROUNDING)
    return call.emit(Identity, call.x)


def cut(call: Call, x: Value, limit: float, value: float, part: str = "") -> Value:
    """x where it exceeds a limit, elsewhere a value."""
    return call.function(x, threshold(float(np.float32(limit)), value), part)


def shrink(call: Call, x: Value, limit: float, shift: float, part: str = "") -> Value:
    """Nothing up to a limit from 0, elsewhere moved by a shift towards 0."""
    return call.function(x, shrunk(float(np.float32(limit)), float(np.float32(shift))), part)
