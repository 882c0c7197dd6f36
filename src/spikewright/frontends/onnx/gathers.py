"""ONNX operators that move values by constants: each is run on numbered values, and the nodes read off that."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.gathers import SAMPLES, gathered, numbered, table_of
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.onnx.call import Call, Walk
from spikewright.frontends.onnx.constants import BATCH, SIZES, run_on_constants
from spikewright.graph import Shape


def move(call: Call) -> None:
    """Gather, GatherElements, GatherND, Tile, Trilu, ReverseSequence, and Slice and Expand where they are no crops."""
    call.emit_all(moving(call))


def moving(call: Call) -> list[NodePlan]:
    """The nodes that do what the operator does with numbered values; whatever else it reads must be constant."""
    shape = call.shape()
    inputs = {}
    for k, name in enumerate(call.proto.input):
        if k and name:
            value = call.walk.constants.get(name)
            if value is None:
                raise Refusal(Cause.COMPUTED_WEIGHTS, f"its input {k} ('{name}') must be a constant")
            batched = name in call.walk.batched
            inputs[name] = np.where(value == BATCH, SAMPLES, value).astype(value.dtype) if batched else value
    if call.is_constant(0):
        raise Refusal(Cause.COMPUTED_WEIGHTS, "it picks from constants by what is computed")
    check_constants(SAMPLES * prod(shape))
    inputs[call.input_name(0)] = numbered(shape)
    alone = replace(call, walk=Walk(call.walk.opset, constants=inputs))
    check_constants(int(SIZES[call.proto.op_type](alone)))
    return gathered(shape, table_of(run_on_constants(alone)[0], shape))


def spread(shape: Shape, wide: Shape) -> list[NodePlan]:
    """The nodes that repeat values along the axes that another branch is longer in; none where it is not."""
    if shape == wide:
        return []
    if len(shape) != len(wide):
        raise Refusal(Cause.BATCH_AXIS, f"its branches have {len(shape)} and {len(wide)} axes")
    return gathered(shape, np.broadcast_to(np.arange(prod(shape)).reshape(shape), wide))
