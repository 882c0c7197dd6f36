"""Means, sums and maxima of ONNX over axes of a sample: pools whose windows span those axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from spikewright.frontends.onnx.call import Call, Refusal
from spikewright.frontends.onnx.moves import axes_of
from spikewright.graph import Node
from spikewright.nodes import (
    AvgPool,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    Linear,
    MaxPool,
    Permute,
    Reshape,
    SumPool,
)


def global_average_pool(call: Call) -> None:
    call.add(GlobalAvgPool(name=call.name, inputs=(call.source(),)))


def global_max_pool(call: Call) -> None:
    call.add(GlobalMaxPool(name=call.name, inputs=(call.source(),)))


def reduce(call: Call) -> None:
    """Pools leave the first axis of a sample alone: where that goes too, one that is kept is put first."""
    sample = call.shape()
    axes = axes_of(call, len(sample) + 1)
    if not axes and call.attributes.get("noop_with_empty_axes"):
        call.add(Identity(name=call.name, inputs=(call.source(),)))
        return
    if not axes or axes[0] == 0:
        raise Refusal("it runs along the batch axis, so that samples would mix")
    kept = [a for a in range(1, len(sample) + 1) if a not in axes]
    if not kept:
        _of_all(call)
        return
    if len(sample) > 4:
        raise Refusal(f"it runs over the axes {axes} of samples of {sample}; at most four can be told apart")
    order = list(range(1, len(sample) + 1))
    source = call.source()
    if axes[0] == 1:
        order = [kept[0], *(a for a in order if a != kept[0])]
        source = call.part(Permute, source, "before", axes=tuple(a - 1 for a in order))
    kernel = tuple(sample[a - 1] if a in axes else 1 for a in order[1:])
    whole = all(a in axes for a in order[1:])
    shape = tuple(1 if a in axes else n for a, n in enumerate(sample, start=1))
    if not call.attributes.get("keepdims", 1):
        shape = tuple(sample[a - 1] for a in kept)
    pool = _pool(call, kernel, whole)
    if shape == (sample[order[0] - 1], *(1 if a in axes else sample[a - 1] for a in order[1:])):
        call.add(pool(name=call.name, inputs=(source,)))
        return
    call.reshape(call.part(pool, source, "pooled"), shape)


def _of_all(call: Call) -> None:
    """Of all values of a sample: a layer of one neuron, or a pool over one row."""
    sample, count = call.shape(), prod(call.shape())
    shape = (1,) * len(sample) if call.attributes.get("keepdims", 1) else ()
    if call.proto.op_type == "ReduceMax":
        row = call.part(Reshape, call.source(), "row", shape=(1, count))
        call.reshape(call.part(GlobalMaxPool, row, "largest"), shape)
        return
    row = call.source() if len(sample) == 1 else call.part(Flatten, call.source(), "row")
    weight = np.full((1, count), 1.0 if call.proto.op_type == "ReduceSum" else 1 / count)
    if shape == (1,):
        call.add(Linear(name=call.name, inputs=(row,), weight=weight, bias=np.zeros(1)))
        return
    call.reshape(call.part(Linear, row, "all", weight=weight, bias=np.zeros(1)), shape)


def _pool(call: Call, kernel: tuple[int, ...], whole: bool) -> Callable[..., Node]:
    none, ones = ((0, 0),) * len(kernel), (1,) * len(kernel)
    if call.proto.op_type == "ReduceSum":
        return partial(SumPool, kernel=kernel, stride=kernel, padding=none)
    if call.proto.op_type == "ReduceMax":
        return GlobalMaxPool if whole else partial(MaxPool, kernel=kernel, stride=kernel, padding=none, dilation=ones)
    return GlobalAvgPool if whole else partial(AvgPool, kernel=kernel, stride=kernel, padding=none)
