"""Means, sums and maxima of ONNX over axes of a sample."""

from __future__ import annotations

from spikewright.causes import Cause
from spikewright.frontends.common.reductions import Reduction, reduced
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.call import Call
from spikewright.frontends.onnx.moves import axes_of
from spikewright.nodes import GlobalAvgPool, GlobalMaxPool, Identity

KINDS: dict[str, Reduction] = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max"}


def global_average_pool(call: Call) -> None:
    """GlobalAveragePool."""
    call.emit(GlobalAvgPool)


def global_max_pool(call: Call) -> None:
    """GlobalMaxPool."""
    call.emit(GlobalMaxPool)


def reduce(call: Call) -> None:
    """ReduceMean, ReduceSum and ReduceMax."""
    axes = axes_of(call, len(call.shape()) + 1)
    if not axes and call.attributes.get("noop_with_empty_axes"):
        call.emit(Identity)
        return
    if not axes or axes[0] == 0:
        raise Refusal(Cause.BATCH_AXIS)
    kind, keep = KINDS[call.proto.op_type], bool(call.attributes.get("keepdims", 1))
    call.emit_all(reduced(call.shape(), {axis - 1 for axis in axes}, kind, keep=keep))
