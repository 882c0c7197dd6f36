"""An operator of one's own for PyTorch, ``turned(x, dims)``, as a Flip for each axis."""

from __future__ import annotations

from spikewright.frontends.common.rules import Rules
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright_flip.flip import Flip

FLIPS = Rules[Handler]()


@FLIPS.converts("turned")
def turned(call: Call) -> Value:
    value = call.x
    axes = [call.axis(value, dim) for dim in call["dims"]]
    for axis in axes:
        value = call.emit(Flip, value, part="" if axis == axes[-1] else f"axis{axis}", axis=axis)
    return value
