"""Convolution and pooling of ONNX: where padding hides in four attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikewright.frontends._onnx_call import Call, Refusal
from spikewright.graph import Shape
from spikewright.nodes import AvgPool, Conv, MaxPool
from spikewright.nodes._window import Padding, output_length


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and explicit padding; ``overhang`` is what ``ceil_mode`` adds at the high side."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: Padding
    overhang: Shape

    @property
    def reach(self) -> Padding:
        return tuple((low, high + over) for (low, high), over in zip(self.padding, self.overhang, strict=True))


def window(call: Call, kernel: Shape | None) -> Window:
    """Read the attributes of a windowed operator."""
    spatial = call.shape()[1:]
    kernel = call.ints("kernel_shape") or kernel
    if kernel is None or len(kernel) != len(spatial) or not 1 <= len(kernel) <= 3:
        raise Refusal(f"a kernel of {kernel} does not fit samples of {call.shape()}")
    ones = (1,) * len(kernel)
    stride, dilation = call.ints("strides") or ones, call.ints("dilations") or ones
    padding = _padding(call, spatial, kernel, stride, dilation)
    overhang = (0,) * len(kernel)
    if call.attributes.get("ceil_mode"):
        axes = zip(spatial, kernel, stride, dilation, padding, strict=True)
        overhang = tuple(_overhang(*axis) for axis in axes)
    return Window(kernel, stride, dilation, padding, overhang)


def _padding(call: Call, spatial: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    auto = call.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = call.ints("pads") or (0,) * (2 * len(kernel))
        return tuple(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    if auto == "VALID":
        return ((0, 0),) * len(kernel)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise Refusal(f"unknown auto_pad {auto}")
    found = []
    for n, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return tuple(found)


def _overhang(n: int, k: int, s: int, d: int, padding: tuple[int, int]) -> int:
    """How far the last window hangs over: one more window, if it starts before the padding at the end."""
    floor = output_length(n, k, s, padding, d)
    reach = (floor * s) + d * (k - 1) + 1 - (n + sum(padding))
    starts_inside = floor * s < n + padding[0]
    return reach if 0 < reach < s and starts_inside else 0


def conv(call: Call) -> None:
    weight = call.needed(1)
    bias = call.constant(2)
    found = window(call, tuple(weight.shape[2:]))
    call.add(
        Conv(
            name=call.name,
            inputs=(call.source(),),
            weight=weight,
            bias=np.zeros(len(weight)) if bias is None else bias,
            stride=found.stride,
            padding=found.padding,
            dilation=found.dilation,
            groups=int(call.attributes.get("group", 1)),
        )
    )


def max_pool(call: Call) -> None:
    if call.further_outputs:
        raise Refusal("its indices are asked for; unpooling has no spiking form")
    found = window(call, None)
    call.add(
        MaxPool(
            name=call.name,
            inputs=(call.source(),),
            kernel=found.kernel,
            stride=found.stride,
            padding=found.reach,
            dilation=found.dilation,
        )
    )


def average_pool(call: Call) -> None:
    found = window(call, None)
    if any(d != 1 for d in found.dilation):
        raise Refusal("dilated average pooling is not supported")
    call.add(
        AvgPool(
            name=call.name,
            inputs=(call.source(),),
            kernel=found.kernel,
            stride=found.stride,
            padding=found.padding,
            overhang=found.overhang,
            count_padding=bool(call.attributes.get("count_include_pad", 0)),
        )
    )
