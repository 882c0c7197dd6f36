"""What ATen's pooling operators and reductions become."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikewright.frontends.torch.activations import maximum
from spikewright.frontends.torch.call import BATCH_AXIS, Call, Handlers, Value
from spikewright.frontends.torch.trace import base_name
from spikewright.graph import Node, Shape
from spikewright.nodes import (
    AdaptiveAvgPool,
    AvgPool,
    ChannelAffine,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Permute,
    Reshape,
    SumPool,
)

LONGEST = 1 << 24
"""Values that one neuron may read."""
POOLS = Handlers()
converts = POOLS.converts


def _overhang(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How far the last window of ``ceil_mode`` reaches past the padding.

    A window that would start in the padding at the high end, or past it, is left out.
    """
    reach = dilation * (kernel - 1) + 1
    windows = -(-(n + 2 * padding - reach) // stride) + 1
    if (windows - 1) * stride >= n + padding:
        windows -= 1
    return max(0, (windows - 1) * stride + reach - (n + 2 * padding))


def _windows(call: Call) -> tuple[Shape, Shape, Shape, Shape, Shape]:
    """Kernel, stride, padding (both sides), dilation and overhang of a pool, one for each axis."""
    axes = _axes(call)
    kernel = call.ints(call["kernel_size"], axes)
    stride = call.ints(call["stride"], axes) if call["stride"] else kernel
    padding = call.ints(call["padding"], axes)
    dilation = call.ints(call.get("dilation", 1), axes)
    overhang = (0,) * axes
    if call["ceil_mode"]:
        sizes = zip(call.x.sample[1:], kernel, stride, padding, dilation, strict=True)
        overhang = tuple(_overhang(*axis) for axis in sizes)
    return kernel, stride, padding, dilation, overhang


def _axes(call: Call) -> int:
    """How many axes a pool's windows have, from its name; a sample has its channels before them."""
    axes = next(int(letter) for letter in base_name(call.node) if letter.isdigit())
    if len(call.x.sample) != axes + 1:
        call.refuse(f"a sample of shape {call.x.sample} has no batch axis of its own")
    return axes


@converts(
    *(f"max_pool{d}d{indices}" for d in (1, 2, 3) for indices in ("", "_with_indices")),
)
def max_pool(call: Call) -> Any:
    kernel, stride, padding, dilation, overhang = _windows(call)
    sides = tuple((p, p + over) for p, over in zip(padding, overhang, strict=True))
    value = call.emit(MaxPool, call.x, kernel=kernel, stride=stride, padding=sides, dilation=dilation)
    return (value, None) if base_name(call.node).endswith("_with_indices") else value


@converts("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(call: Call) -> Value:
    kernel, stride, padding, _, overhang = _windows(call)
    divisor = call.get("divisor_override")
    if divisor is not None:
        reach = tuple((p, p + over) for p, over in zip(padding, overhang, strict=True))
        total = call.emit(SumPool, call.x, part="sum", kernel=kernel, stride=stride, padding=reach)
        channels = call.x.sample[0]
        factor = np.full(channels, 1 / divisor)
        return call.emit(ChannelAffine, total, scale=factor, bias=np.zeros(channels))
    return call.emit(
        AvgPool,
        call.x,
        kernel=kernel,
        stride=stride,
        padding=tuple((p, p) for p in padding),
        overhang=overhang if any(overhang) else (),
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
        value = _pool(call, largest, tuple(n // size for n, size in zip(before, sizes, strict=True)))
    return (value, None) if largest else value


def _pool(call: Call, largest: bool, window: Shape) -> Value:
    """Windows side by side."""
    if len(window) > 3:
        call.refuse("pooling over samples of more than four axes")
    none = ((0, 0),) * len(window)
    if largest:
        ones = (1,) * len(window)
        return call.emit(MaxPool, call.x, kernel=window, stride=window, padding=none, dilation=ones)
    return call.emit(AvgPool, call.x, kernel=window, stride=window, padding=none)


@converts("mean", "sum", "amax", "max")
def reduction(call: Call) -> Value:
    """A mean, sum or maximum over axes of a sample: a pool whose windows span those axes."""
    name = base_name(call.node)
    if call.get("other") is not None:
        return maximum(call)
    x = call.x
    count = len(x.sample) + 1
    given = call.get("dim")
    dims = {int(d) % count for d in (given if isinstance(given, list) else [given] if given is not None else [])}
    if not dims or 0 in dims:
        call.refuse(BATCH_AXIS)
    if name == "max":
        call.refuse("use amax, or a max pool")
    kept = [d for d in range(1, count) if d not in dims]
    if not kept:
        return _of_all(call, name)
    if 1 in dims:  # pools leave the first axis alone: put a kept one there
        order = [kept[0], *(d for d in range(1, count) if d != kept[0])]
        x = call.emit(Permute, x, part="before", axes=tuple(d - 1 for d in order))
    else:
        order = list(range(1, count))
    window = tuple(n if d in dims else 1 for n, d in zip(x.sample[1:], order[1:], strict=True))
    if len(window) > 3:
        call.refuse("over samples of more than four axes")
    value = _reduced(call, name, x, window)
    shape = call.shape
    if value.sample == shape:
        return value
    return (
        call.emit(Flatten, value, part="flat")
        if len(shape) == 1
        else call.emit(Reshape, value, part="shaped", shape=shape)
    )


def _of_all(call: Call, name: str) -> Value:
    """Of all values of a sample: a layer of one neuron, or a pool over one row."""
    x, count, shape = call.x, prod(call.x.sample), call.shape
    if name == "amax":
        row = call.emit(Reshape, x, part="row", shape=(1, count))
        value = call.emit(GlobalMaxPool, row, part="largest")
    elif count > LONGEST:
        call.refuse(f"it joins {count:,} values into one, more than any layer does")
    else:
        row = x if len(x.sample) == 1 else call.emit(Flatten, x, part="row")
        weight = np.full((1, count), 1.0 if name == "sum" else 1 / count)
        value = call.emit(Linear, row, part="all", weight=weight, bias=np.zeros(1))
    return value if value.sample == shape else call.emit(Reshape, value, shape=shape)


def _reduced(call: Call, name: str, x: Value, window: Shape) -> Value:
    none, ones = ((0, 0),) * len(window), (1,) * len(window)
    if name != "sum" and window == x.sample[1:]:
        return call.emit(GlobalMaxPool if name == "amax" else GlobalAvgPool, x)
    if name == "amax":
        return call.emit(MaxPool, x, kernel=window, stride=window, padding=none, dilation=ones)
    kind: type[Node] = SumPool if name == "sum" else AvgPool
    return call.emit(kind, x, kernel=window, stride=window, padding=none)
