"""What ATen's pooling operators and reductions become."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.reductions import Reduction, reduced
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import overhang, reached, side_by_side
from spikewright.frontends.torch.activations import maximum
from spikewright.frontends.torch.call import Call, Handler, Value
from spikewright.frontends.torch.trace import base_name
from spikewright.graph import Shape
from spikewright.nodes import AdaptiveAvgPool, AvgPool, ChannelAffine, GlobalAvgPool, GlobalMaxPool, MaxPool, SumPool
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
        if largest:
            call.refuse(f"from {before} to {sizes}; its windows differ in length: use a size that divides evenly")
        value = call.emit(AdaptiveAvgPool, call.x, size=sizes)
    elif prod(sizes) == 1:
        value = call.emit(GlobalMaxPool if largest else GlobalAvgPool, call.x)
    else:
        kind = MaxPool if largest else AvgPool
        kernel = tuple(n // size for n, size in zip(before, sizes, strict=True))
        value = call.emit(kind, call.x, **side_by_side(kind, kernel))
    return (value, None) if largest else value


@converts("mean", "sum", "amax", "max")
def reduction(call: Call) -> Value:
    """A mean, sum or maximum over axes of a sample."""
    name = base_name(call.node)
    if call.get("other") is not None:
        return maximum(call)
    count = len(call.x.sample) + 1
    given = call.get("dim")
    gone = {int(d) % count - 1 for d in (given if isinstance(given, list) else [given] if given is not None else [])}
    if not gone or -1 in gone:
        call.refuse(Cause.BATCH_AXIS)
    if name == "max":
        call.refuse("use amax, or a max pool")
    kind: Reduction = "max" if name == "amax" else "sum" if name == "sum" else "mean"
    return call.emit_all(call.x, reduced(call.x.sample, gone, kind, keep=bool(call.get("keepdim"))))
