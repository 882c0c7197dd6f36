"""Quantised activations (QuantizeLinear, DequantizeLinear of data), as the steps that they are.

Networks in QDQ form quantise a value again behind whatever only moves it, or takes the largest: there it is a multiple
of the same step already, and no second population need count it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.activations import clipped, quantised
from spikewright.frontends.common.constants import factor_and_shift, reciprocal
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.rules import words
from spikewright.frontends.onnx.call import Call
from spikewright.graph import Array
from spikewright.nodes import ChannelAffine, ReLU, Round

KEEPING = frozenset(
    words(
        "Concat DepthToSpace Dropout Expand Flatten Gather GlobalMaxPool Identity MaxPool Relu Reshape Slice "
        "SpaceToDepth Split Squeeze Tile Transpose Unsqueeze"
    )
)
"""Operators whose results are multiples of the step that all they read are multiples of."""


@dataclass(frozen=True)
class Steps:
    """What a quantised value may be: ``(n − zero) · scale`` for whole n between two bounds.

    Attributes:
        start: the node that was quantised, where nothing else came between.
    """

    scale: float
    zero: float
    lowest: float
    highest: float
    start: str = ""

    def holds(self, other: Steps) -> bool:
        """Whether what another may be is among these."""
        same = (self.scale, self.zero) == (other.scale, other.zero)
        return same and self.lowest <= other.lowest and other.highest <= self.highest


def quantize(call: Call) -> None:
    """QuantizeLinear of data, as the whole numbers in floats: ``clip(round(x / scale) + zero, low, high)``."""
    shape, (scale, zero, limits) = call.shape(), _steps(call)
    own = _found(scale, zero, limits)
    known = call.walk.steps.get(call.input_name(0))
    if own is not None and known is not None and own.holds(known):
        call.walk.whole[call.output] = (call.input_name(0), known)
        call.emit(ChannelAffine, **factor_and_shift(reciprocal(scale), zero, shape))
        return
    if own is not None:
        call.walk.whole[call.output] = ("", replace(own, start=call.source()))
    bounds = clipped(limits.min - zero, limits.max - zero, shape)
    plans = [
        NodePlan(ChannelAffine, "steps", factor_and_shift(reciprocal(scale), 0, shape)),
        NodePlan(Round, "rounded"),
        *(NodePlan(plan.kind, plan.part or "clipped", plan.fields) for plan in bounds),
    ]
    call.emit_all([*plans, NodePlan(ChannelAffine, "", factor_and_shift(1, zero, shape))])


def dequantize(call: Call) -> None:
    """DequantizeLinear of data: ``(x − zero) · scale``."""
    scale, zero, limits = _steps(call)
    before, found = call.walk.whole.get(call.input_name(0), ("", None))
    own = _found(scale, zero, limits)
    if own is not None and found is not None and own.holds(found):
        call.walk.steps[call.output] = found
        if before:
            call.walk.alias(call.output, before)
            return
    call.emit(ChannelAffine, **factor_and_shift(scale, -zero * scale, call.shape()))


def relu(call: Call) -> None:
    """Relu; of what was quantised just before, the steps from 0 on."""
    found = call.walk.steps.get(call.input_name(0))
    if found is None or not found.start or found.zero >= found.highest:
        call.emit(ReLU)
        return
    lowest = max(found.lowest, found.zero)
    call.emit_all(quantised(found.scale, found.zero, lowest, found.highest, call.shape()), found.start)


def kept(call: Call) -> None:
    """Note what an operator leaves of the steps of all that it reads."""
    if call.proto.op_type not in KEEPING:
        return
    read = [name for name in call.proto.input if name]
    data = [name for name in read if name in call.walk.values]
    if call.proto.op_type == "Concat" and len(data) < len(read):
        return
    first, *others = (call.walk.steps.get(name) for name in data)
    if first is not None and all(one is not None and one.holds(first) and first.holds(one) for one in others):
        call.walk.steps.update(dict.fromkeys(call.proto.output, replace(first, start="")))


def _found(scale: Array, zero: Array, limits: Any) -> Steps | None:
    """The steps, where they are the same for all values."""
    if scale.size != 1:
        return None
    return Steps(float(scale.flat[0]), float(zero.flat[0]), float(limits.min), float(limits.max))


def _steps(call: Call) -> tuple[Array, Array, Any]:
    """Scale and zero point of data, spread over a sample, and the numbers that there are."""
    scale = call.needed(1).astype(np.float64)
    given = call.constant(2)
    known = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}.get(call.whole("output_dtype", 2), np.uint8)
    dtype = np.dtype(known) if given is None else given.dtype
    if dtype.kind not in "iu" or call.attributes.get("block_size"):
        raise Refusal(f"it quantises to {dtype}; only whole numbers, in one block, are supported")
    zero = np.zeros_like(scale) if given is None else given.astype(np.float64)
    if {scale.size, zero.size} == {1}:  # runtimes write one number as a list of one, or not
        zero = zero.reshape(scale.shape)
    if scale.shape != zero.shape or (scale <= 0).any():
        raise Refusal(f"its scales {scale.shape} and zero points {zero.shape} make no steps")
    axis = call.whole("axis", 1) % (len(call.shape()) + 1)
    if scale.size > 1 and axis == 0:
        raise Refusal(Cause.BATCH_AXIS)
    wide = () if scale.size == 1 else tuple(-1 if k == axis - 1 else 1 for k in range(len(call.shape())))
    return scale.reshape(wide), zero.reshape(wide), np.iinfo(dtype)
