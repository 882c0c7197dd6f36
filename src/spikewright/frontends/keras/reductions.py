"""Functions of ``keras.ops`` that take axes away: means, sums and maxima over some, and axes of length one."""

from __future__ import annotations

from math import prod

import numpy as np

from spikewright.frontends.keras.call import Call, Rules, Value, straight
from spikewright.graph import Shape
from spikewright.nodes import Flatten, GlobalAvgPool, GlobalMaxPool, Linear, Reshape, SumPool

LONGEST = 1 << 24
"""Values that one neuron may read."""
REDUCTIONS = Rules()
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
    """A pool over one axis that holds all that goes; of what leaves nothing, a layer of one neuron."""
    x, kind = call.x, call.layer.kind
    if call.config.get("axis") is None:
        call.refuse("it runs over the batch axis, so that samples would mix")
    if call.config.get("initial") is not None:
        call.refuse("a maximum with a value to begin with has no spiking form")
    gone = _axes(call, x, [])
    kept = [axis for axis in range(len(x.shape)) if axis not in gone]
    count = prod(x.shape[axis] for axis in gone)
    left = tuple(1 if axis in gone else n for axis, n in enumerate(x.shape))
    if not call.flag("keepdims", default=False):
        left = tuple(x.shape[axis] for axis in kept)
    if not kept and kind in ("Mean", "Sum"):
        if count > LONGEST:
            call.refuse(f"it joins {count:,} values into one, more than any layer does")
        row = x if len(x.shape) == 1 else call.emit(Flatten, x, part="row", order=(0,))
        weight = np.full((1, count), 1.0 if kind == "Sum" else 1 / count)
        return shaped(call, call.emit(Linear, row, weight=weight, bias=np.zeros(1)), left)
    place = [*kept, *sorted(gone)]
    x = call.arranged(x, tuple(place.index(axis) for axis in range(len(x.shape))))
    rows = call.emit(Reshape, x, part="rows", order=(0, 1), shape=(prod(x.shape[axis] for axis in kept), count))
    if kind == "Sum":
        pooled = call.emit(SumPool, rows, kernel=(count,), stride=(count,), padding=((0, 0),))
    else:
        pooled = call.emit(GlobalAvgPool if kind == "Mean" else GlobalMaxPool, rows)
    return shaped(call, pooled, left)


def shaped(call: Call, x: Value, shape: Shape) -> Value:
    """The same values, in Keras' order, as a sample of another shape."""
    if shape == x.shape:
        return x
    if len(shape) == 1:
        return call.emit(Flatten, call.written(x), part="shaped", order=(0,))
    return call.emit(Reshape, call.written(x), part="shaped", order=straight(len(shape)), shape=shape)


def _axes(call: Call, x: Value, default: list[int]) -> set[int]:
    given = call.config.get("axis")
    listed = default if given is None else given if isinstance(given, list | tuple) else [given]
    return {call.axis(x, axis) for axis in listed}
