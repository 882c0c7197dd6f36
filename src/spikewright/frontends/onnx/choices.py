"""What comparisons, choices by them, thresholds and signs become: lines, rectifiers and steps of one value."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.frontends.common.choices import elsewhere
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.pieces import JUNCTIONS, TURNED, chosen, compared, shrunk, stepped, threshold
from spikewright.frontends.onnx.arithmetic import aligned, alike, without_batch
from spikewright.frontends.onnx.call import Call
from spikewright.graph import Shape
from spikewright.nodes import Add, ChannelAffine, ReLU

SIGNS = {"Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}


def compare(call: Call) -> None:
    """Greater, Less and their like: 0 or 1, of data and a constant or of two data."""
    sign = SIGNS[call.proto.op_type]
    if not (call.is_constant(0) or call.is_constant(1)):
        shape = np.broadcast_shapes(call.shape(0), call.shape(1))
        one, other = alike(call, [0, 1])
        minus = call.part(ChannelAffine, other, "minus", **factor_and_shift(-1, 0, shape))
        call.function(_sum(call, "difference", one, minus), compared(sign, 0.0), shape)
        return
    data = int(call.is_constant(0))
    sign, shape = (TURNED[sign] if data else sign), call.shape(data)
    bound = _spread(call, 1 - data, shape)
    if (bound == bound.flat[0]).all():
        call.function(call.source(data), compared(sign, float(bound.flat[0])), shape)
        return
    moved = call.part(ChannelAffine, call.source(data), "from", **factor_and_shift(1, -bound, shape))
    call.function(moved, compared(sign, 0.0), shape)


def _sum(call: Call, part: str, *sources: str) -> str:
    node = Add(name=call.walk.names.free(f"{call.name}_{part}"), inputs=sources)
    call.walk.add(node, f"{call.output}:{part}")
    return node.name


def _spread(call: Call, position: int, shape: Shape) -> Any:
    """A constant as numbers that are spread over a sample."""
    return without_batch(aligned(call, call.needed(position).astype(np.float64), len(shape) + 1), shape)


def where(call: Call) -> None:
    """Where: by a comparison of data one of two functions of them, or by constants."""
    data = [k for k in range(3) if not call.is_constant(k)]
    shape = np.broadcast_shapes(*(call.shape(k) for k in data))
    names = dict(zip(data, alike(call, data), strict=True))
    fixed = {k: _spread(call, k, shape) for k in range(3) if k not in data}
    if data == [0]:
        call.emit(ChannelAffine, names[0], **factor_and_shift(fixed[1] - fixed[2], fixed[2], shape))
    elif 0 in fixed:
        sides = [(k, fixed[0] if k == 1 else 1 - fixed[0]) for k in (1, 2)]
        shift = sum((np.where(taken, fixed[k], 0) for k, taken in sides if k in fixed), np.zeros(()))
        if len(data) == 1:
            (factor,) = (taken for k, taken in sides if k in names)
            call.emit(ChannelAffine, names[data[0]], **factor_and_shift(factor, shift, shape))
            return
        parts = [call.part(ChannelAffine, names[k], f"side{k}", **factor_and_shift(t, 0, shape)) for k, t in sides]
        call.emit(Add, *parts)
    else:
        found = call.walk.choices.among(chosen, shape, *(names.get(k, fixed.get(k)) for k in range(3)))
        if found is None:
            raise elsewhere()
        call.function(*found, shape)


def negation(call: Call) -> None:
    """Not."""
    call.emit(ChannelAffine, **factor_and_shift(-1, 1, call.shape()))


def junction(call: Call) -> None:
    """And, Or, Xor: ``relu(a + b − 1)`` is 1 where both are."""
    kind = call.proto.op_type.lower()
    data = [k for k in (0, 1) if not call.is_constant(k)]
    shape = np.broadcast_shapes(*(call.shape(k) for k in data))
    if len(data) == 1:
        given = _spread(call, 1 - data[0], shape)
        scale = {"and": given, "or": 1 - given, "xor": 1 - 2 * given}[kind]
        fields = factor_and_shift(scale, 0 if kind == "and" else given, shape)
        call.emit(ChannelAffine, call.source(data[0]), **fields)
        return
    one, other = alike(call, data)
    found = call.walk.choices.among(JUNCTIONS[kind], shape, one, other)
    if found is not None:
        call.function(*found, shape)
        return
    more = call.part(ChannelAffine, _sum(call, "sum", one, other), "more", **factor_and_shift(1, -1, shape))
    if kind == "and":
        call.emit(ReLU, more)
        return
    both = call.part(ReLU, more, "both")
    twice = call.part(ChannelAffine, both, "twice", **factor_and_shift(-1 if kind == "or" else -2, 0, shape))
    call.emit(Add, one, other, twice)


def sign(call: Call) -> None:
    """Sign."""
    call.function(call.source(), stepped(0.0, -1, 0, 1), call.shape())


def shrink(call: Call) -> None:
    """Shrink: nothing between ``−lambd`` and ``lambd``, elsewhere moved by ``bias`` towards 0."""
    limit, bias = (float(call.attributes.get(name, value)) for name, value in (("lambd", 0.5), ("bias", 0.0)))
    call.function(call.source(), shrunk(limit, bias), call.shape())


def thresholded(call: Call) -> None:
    """ThresholdedRelu: data where they exceed ``alpha``, else 0."""
    call.function(call.source(), threshold(float(call.attributes.get("alpha", 1.0)), 0.0), call.shape())
