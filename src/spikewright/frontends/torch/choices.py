"""What comparisons, choices by them, thresholds and signs become: lines, rectifiers and steps of one value."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.choices import elsewhere
from spikewright.frontends.common.pieces import JUNCTIONS, TURNED, Pieces, chosen, compared, shrunk, stepped, threshold
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.operators import affine, numbers, per_sample, spread_alike
from spikewright.frontends.torch.trace import base_name
from spikewright.nodes import Add, ReLU

CHOICES = Rules[Handler]()
converts = CHOICES.converts

SIGNS = {"gt": ">", "greater": ">", "ge": ">=", "greater_equal": ">=", "lt": "<", "less": "<", "le": "<="}
SIGNS["less_equal"] = "<="


@converts(*SIGNS)
def comparison(call: Call) -> Value:
    """0 or 1, with a constant or of two values."""
    sign, a, b = SIGNS[base_name(call.node)], call["self"], call["other"]
    if isinstance(a, Value) and isinstance(b, Value):
        a, b = spread_alike(call, a, b)
        minus = call.emit(Add, a, affine(call, b, -1, part="minus"), part="difference")
        return call.function(minus, compared(sign, 0.0))
    x, bound, sign = (a, b, sign) if isinstance(a, Value) else (call.value(b), a, TURNED[sign])
    limit = per_sample(call, np.asarray(numbers(call, bound), np.float32), x.sample)
    if (limit == limit.flat[0]).all():
        return call.function(x, compared(sign, float(limit.flat[0])))
    return call.function(affine(call, x, bias=-limit, part="from"), compared(sign, 0.0))


@converts("where", "masked_fill", "index_put")
def choice(call: Call) -> Value:
    """One of two where a comparison holds, the other elsewhere."""
    if base_name(call.node) == "where":
        if "other" not in call.arguments:
            call.refuse(Cause.POSITIONS)
        mask, one, other = call["condition"], call["self"], call["other"]
    elif base_name(call.node) == "masked_fill":
        mask, one, other = call["mask"], call["value"], call["self"]
    else:
        places = call["indices"]
        if len(places) != 1 or call["accumulate"] or getattr(call["values"], "ndim", 1):
            call.refuse("it puts values at places, of which only those that one comparison tells are known")
        mask, one, other = places[0], call["values"], call["self"]
    if not isinstance(mask, Value):
        return _fixed(call, numbers(call, mask), one, other)
    values = [v for v in (mask, one, other) if isinstance(v, Value)]
    alike = iter(spread_alike(call, *values))
    mask, one, other = (next(alike) if isinstance(v, Value) else v for v in (mask, one, other))
    if not isinstance(one, Value) and not isinstance(other, Value):
        low = per_sample(call, numbers(call, other), mask.sample)
        return affine(call, mask, per_sample(call, numbers(call, one), mask.sample) - low, low)
    sides = (v.name if isinstance(v, Value) else per_sample(call, numbers(call, v), mask.sample) for v in (one, other))
    found = call.walk.choices.among(chosen, mask.sample, mask.name, *sides)
    if found is None:
        raise elsewhere()
    return call.function(Value(found[0], mask.sample), found[1])


def _fixed(call: Call, mask: Any, one: Any, other: Any) -> Value:
    """By a constant: each side times what is 1 where it is taken."""
    if isinstance(one, Value) and isinstance(other, Value):
        one, other = spread_alike(call, one, other)
        return call.emit(Add, affine(call, one, mask, part="one"), affine(call, other, 1 - mask, part="other"))
    if isinstance(one, Value):
        return affine(call, one, mask, np.where(mask, 0, numbers(call, other)))
    return affine(call, call.value(other), 1 - mask, np.where(mask, numbers(call, one), 0))


@converts("logical_not", "bitwise_not")
def negation(call: Call) -> Value:
    _check_answers(call)
    return affine(call, call.x, -1, 1)


@converts(*(name.format(kind) for name in ("logical_{}", "bitwise_{}", "__{}_") for kind in ("and", "or", "xor")))
def junction(call: Call) -> Value:
    """``relu(a + b − 1)`` is 1 where both are; what either is, is what not both are not."""
    _check_answers(call)
    kind, (a, b) = base_name(call.node).strip("_").rpartition("_")[2], (call["self"], call["other"])
    if not (isinstance(a, Value) and isinstance(b, Value)):
        x, fixed = (a, b) if isinstance(a, Value) else (call.value(b), a)
        given = numbers(call, fixed)
        scale = {"and": given, "or": 1 - given, "xor": 1 - 2 * given}[kind]
        return affine(call, x, scale, 0 if kind == "and" else given)
    a, b = spread_alike(call, a, b)
    found = call.walk.choices.among(JUNCTIONS[kind], a.sample, a.name, b.name)
    if found is not None:
        return call.function(Value(found[0], a.sample), found[1])
    both = call.emit(ReLU, affine(call, call.emit(Add, a, b, part="sum"), bias=-1, part="more"), part="both")
    if kind == "and":
        return both
    return call.emit(Add, a, b, affine(call, both, -1 if kind == "or" else -2, part="twice"))


def _check_answers(call: Call) -> None:
    """Refuse the bits of whole numbers, and whether a number is 0."""
    import torch

    sources: Any = call.node.all_input_nodes
    if any(source.meta["val"].dtype != torch.bool for source in sources):
        call.refuse(Cause.NOT_FLOATS)


@converts("threshold", "hardshrink", "softshrink", "sign", "sgn", "signbit", "heaviside")
def function(call: Call) -> Value:
    """Lines with cuts between them."""
    name, x = base_name(call.node), call.x
    if name == "threshold":
        return call.function(x, threshold(float(np.float32(call["threshold"])), float(call["value"])))
    if name in ("hardshrink", "softshrink"):
        limit = float(np.float32(call["lambd"]))
        return call.function(x, shrunk(limit, limit if name == "softshrink" else 0.0))
    if name == "signbit":
        return call.function(x, compared("<", 0.0))
    if name != "heaviside":
        return call.function(x, stepped(0.0, -1, 0, 1))
    there = numbers(call, call["values"])
    if (there != there.flat[0]).any():
        call.refuse("what it puts at 0 differs from value to value")
    pieces: Pieces = stepped(0.0, 0, float(there.flat[0]), 1)
    return call.function(x, pieces)
