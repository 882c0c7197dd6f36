"""What ATen's pooling operators and reductions become."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.gathers import tapped
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.reductions import Reduction, reduced
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import overhang, reached, side_by_side
from spikewright.frontends.torch.activations import maximum
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.trace import base_name
from spikewright.graph import Shape
from spikewright.nodes import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    ChannelAffine,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
    SumPool,
)
from spikewright.nodes._window import Padding

POOLS = Rules[Handler]()
converts = POOLS.converts


def _windows(call: Call) -> tuple[Shape, Shape, Padding, Shape, Shape]:
    """Kernel, stride, padding, dilation and overhang of a pool, one for each axis."""
    axes = _axes(call)
    kernel = call.ints(call["kernel_size"], axes)
    stride = call.ints(call["stride"], axes) if call["stride"] else kernel
    padding = tuple((p, p) for p in call.ints(call["padding"], axes))
    dilation = call.ints(call.get("dilation", 1), axes)
    over = (0,) * axes
    if call["ceil_mode"]:
        sizes = zip(call.x.sample[1:], kernel, stride, padding, dilation, strict=True)
        over = tuple(overhang(*axis) for axis in sizes)
    return kernel, stride, padding, dilation, over


def _axes(call: Call) -> int:
    """How many axes a pool's windows have, from its name; a sample has its channels before them."""
    axes = next(int(letter) for letter in base_name(call.node) if letter.isdigit())
    call.spatial(axes)
    return axes


@converts(
    *(f"max_pool{d}d{indices}" for d in (1, 2, 3) for indices in ("", "_with_indices")),
)
def max_pool(call: Call) -> Any:
    kernel, stride, padding, dilation, over = _windows(call)
    value = call.emit(MaxPool, call.x, kernel=kernel, stride=stride, padding=reached(padding, over), dilation=dilation)
    return (value, None) if base_name(call.node).endswith("_with_indices") else value


@converts("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(call: Call) -> Value:
    kernel, stride, padding, _, over = _windows(call)
    divisor = call.get("divisor_override")
    if divisor is not None:
        total = call.emit(SumPool, call.x, part="sum", kernel=kernel, stride=stride, padding=reached(padding, over))
        channels = call.x.sample[0]
        factor = np.full(channels, 1 / divisor)
        return call.emit(ChannelAffine, total, scale=factor, bias=np.zeros(channels))
    return call.emit(
        AvgPool,
        call.x,
        kernel=kernel,
        stride=stride,
        padding=padding,
        overhang=over if any(over) else (),
        count_padding=bool(call["count_include_pad"]),
    )


@converts(
    *(f"adaptive_{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)),
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
)
def adaptive_pool(call: Call) -> Any:
    largest = "max" in base_name(call.node)
    sizes = call.ints(call["output_size"], _axes(call))
    before = call.x.sample[1:]
    if any(n % size for n, size in zip(before, sizes, strict=True)):
        value = _largest(call, sizes) if largest else call.emit(AdaptiveAvgPool, call.x, size=sizes)
    elif prod(sizes) == 1:
        value = call.emit(GlobalMaxPool if largest else GlobalAvgPool, call.x)
    else:
        kind = MaxPool if largest else AvgPool
        kernel = tuple(n // size for n, size in zip(before, sizes, strict=True))
        value = call.emit(kind, call.x, **side_by_side(kind, kernel))
    return (value, None) if largest else value


def _largest(call: Call, sizes: Shape) -> Value:
    """The maxima of windows that differ in length, and overlap: laid side by side, each as long as the longest."""
    windows = {}
    for axis, (n, size) in enumerate(zip(call.x.sample[1:], sizes, strict=True), start=1):
        windows[axis] = [list(range(o * n // size, -(-(o + 1) * n // size))) for o in range(size)]
    plans, lengths = tapped(call.x.sample, windows)
    return call.emit_all(call.x, [*plans, NodePlan(MaxPool, "", side_by_side(MaxPool, lengths))])


@converts("mean", "sum", "amax", "max", "min")
def reduction(call: Call) -> Value:
    """A mean, sum or maximum over axes of a sample."""
    name = base_name(call.node)
    if call.get("other") is not None:
        extreme: Value = maximum(call)
        return extreme
    if isinstance(call.first, list):
        return _of_several(call, call.first)
    count = len(call.x.sample) + 1
    given = call.get("dim")
    gone = {int(d) % count - 1 for d in (given if isinstance(given, list) else [given] if given is not None else [])}
    if not gone or -1 in gone:
        call.refuse(Cause.BATCH_AXIS)
    if name in ("max", "min"):
        call.refuse("use amax, or a max pool")
    kind: Reduction = "max" if name == "amax" else "sum" if name == "sum" else "mean"
    return call.emit_all(call.x, reduced(call.x.sample, gone, kind, keep=bool(call.get("keepdim"))))


def _of_several(call: Call, values: list[Value]) -> Value:
    """The mean or sum of values that were stacked before the batch."""
    name, given = base_name(call.node), call.get("dim")
    axes = given if isinstance(given, list) else [given]
    if name not in ("mean", "sum") or axes not in ([0], [-len(values[0].sample) - 2]) or call.get("keepdim"):
        call.refuse(Cause.BATCH_AXIS)
    if name == "sum":
        return call.emit(Add, *values)
    total = call.emit(Add, *values, part="sum")
    return call.emit(ChannelAffine, total, **factor_and_shift(1 / len(values), 0, total.sample))
