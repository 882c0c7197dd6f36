"""Functions of ``keras.ops`` that take axes away: means, sums and maxima over some, and axes of length one."""

from __future__ import annotations

from spikewright.causes import Cause
from spikewright.frontends.common.moves import reshaped
from spikewright.frontends.common.reductions import Reduction, reduced
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.keras.call import Call, Rule, Value, straight
from spikewright.graph import Shape

KINDS: dict[str, Reduction] = {"Mean": "mean", "Sum": "sum", "Max": "max", "Amax": "max"}
REDUCTIONS = Rules[Rule]()
converts = REDUCTIONS.converts


@converts("Squeeze")
def squeeze(call: Call) -> Value:
    x = call.x
    gone = _axes(call, x, [k for k, n in enumerate(x.shape, start=1) if n == 1])
    if any(x.shape[axis] != 1 for axis in gone):
        call.refuse(f"it takes out axes that are not all of length one, of a sample of {x.shape}")
    return shaped(call, x, tuple(n for axis, n in enumerate(x.shape) if axis not in gone))


@converts("Mean", "Sum", "Max", "Amax")
def reduction(call: Call) -> Value:
    """A mean, sum or maximum over axes of a sample; those that are kept stay as they lie."""
    x, kind = call.x, call.layer.kind
    if call.config.get("axis") is None:
        call.refuse(Cause.BATCH_AXIS)
    if call.config.get("initial") is not None:
        call.refuse("a maximum with a value to begin with has no spiking form")
    gone, keep = _axes(call, x, []), call.flag("keepdims", default=False)
    kept = [place for axis, place in enumerate(x.order) if keep or axis not in gone]
    order = tuple(sorted(kept).index(axis) for axis in kept)
    plans = reduced(x.node_shape, {x.order[axis] for axis in gone}, KINDS[kind], keep=keep)
    for plan in plans:
        rank = len(plan.kind(name="", inputs=("",), **plan.fields).infer_shape(x.node_shape))
        x = call.emit(plan.kind, x, part=plan.part, order=order if plan is plans[-1] else straight(rank), **plan.fields)
    return x


def shaped(call: Call, x: Value, shape: Shape, part: str = "") -> Value:
    """A value in another shape, its numbers in Keras' order."""
    if shape == x.shape:
        return x
    plan = reshaped(shape, part)
    return call.emit(plan.kind, call.written(x), part=part, order=straight(len(shape)), **plan.fields)


def _axes(call: Call, x: Value, default: list[int]) -> set[int]:
    given = call.config.get("axis")
    listed = default if given is None else given if isinstance(given, list | tuple) else [given]
    return {call.axis(x, axis) for axis in listed}
