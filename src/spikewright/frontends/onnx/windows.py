"""Convolutions and pooling of ONNX: where padding hides in four attributes, or in six."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.windows import no_padding, overhang, reached, same_padding
from spikewright.frontends.onnx.call import Call
from spikewright.graph import Array, Shape
from spikewright.nodes import AvgPool, Conv, ConvTranspose, MaxPool
from spikewright.nodes._window import Padding, has_padding


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and explicit padding; ``overhang`` is what ``ceil_mode`` adds at the high side."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: Padding
    overhang: Shape


def window(call: Call, kernel: Shape | None) -> Window:
    """Read the attributes of a windowed operator."""
    spatial = call.shape()[1:]
    declared = call.ints("kernel_shape") or kernel
    if kernel not in (None, declared):
        raise Refusal(f"its kernel is declared to be {declared}, but its weights have {kernel}")
    kernel = declared
    if kernel is None or len(kernel) != len(spatial) or not 1 <= len(kernel) <= 3:
        raise Refusal(f"a kernel of {kernel} does not fit samples of {call.shape()}")
    ones = (1,) * len(kernel)
    stride, dilation = call.ints("strides") or ones, call.ints("dilations") or ones
    if min(*kernel, *stride, *dilation) < 1 or not len(kernel) == len(stride) == len(dilation):
        raise Refusal(f"a kernel of {kernel}, strides of {stride} and dilations of {dilation} make no window")
    padding = _padding(call, spatial, kernel, stride, dilation)
    over = (0,) * len(kernel)
    if call.attributes.get("ceil_mode"):
        over = tuple(overhang(*axis) for axis in zip(spatial, kernel, stride, padding, dilation, strict=True))
    return Window(kernel, stride, dilation, padding, over)


def _padding(call: Call, spatial: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Padding:
    auto = call.text("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = call.ints("pads") or (0,) * (2 * len(kernel))
        return tuple(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    if auto == "VALID":
        return no_padding(len(kernel))
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise Refusal(f"unknown auto_pad {auto}")
    found = []
    for n, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
        total = (-(-n // s) - 1) * s + d * (k - 1) + 1 - n
        differs = total < (-1 if auto == "SAME_UPPER" else 0) or d > 1
        if differs and call.proto.op_type != "Conv":
            raise Refusal(f"runtimes differ in where {auto} puts windows of {kernel} by {stride}; give it pads instead")
        sides = same_padding(n, k, s, d)
        found.append(sides if auto == "SAME_UPPER" else sides[::-1])
    return tuple(found)


def _bias(call: Call, outputs: int) -> Array:
    bias = call.weights(2) if call.input_name(2) else np.zeros(outputs)
    if bias.shape != (outputs,):
        raise Refusal(f"its bias has the shape {bias.shape}, not {(outputs,)}")
    return bias


def conv(call: Call) -> None:
    """Conv."""
    weight = call.weights(1)
    groups = call.whole("group", 1)
    if weight.ndim < 2 or weight.shape[1] * groups != call.shape()[0]:  # before they are copied: they may be large
        raise Refusal(f"its weights of {weight.shape} with {groups} group(s) do not fit samples of {call.shape()}")
    bias = _bias(call, len(weight))
    found = window(call, tuple(weight.shape[2:]))
    call.emit(
        Conv,
        weight=weight,
        bias=bias,
        stride=found.stride,
        padding=found.padding,
        dilation=found.dilation,
        groups=groups,
    )


def conv_transpose(call: Call) -> None:
    """What ``output_padding`` or ``output_shape`` adds at the high side is cut off less there."""
    weight = call.weights(1)
    if weight.ndim < 2 or weight.shape[0] != call.shape()[0]:
        raise Refusal(f"its weights of {weight.shape} do not fit samples of {call.shape()}")
    spatial, kernel = call.shape()[1:], tuple(weight.shape[2:])
    axes = len(kernel)
    ones = (1,) * axes
    stride, dilation = call.ints("strides") or ones, call.ints("dilations") or ones
    extra = call.ints("output_padding") or (0,) * axes
    if not len(spatial) == len(stride) == len(dilation) == len(extra) == axes or call.ints("kernel_shape") not in (
        None,
        kernel,
    ):
        raise Refusal(f"a kernel of {kernel} does not fit samples of {call.shape()}")
    reached = tuple((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(spatial, stride, kernel, dilation, strict=True))
    cut = _cut(call, tuple(n + e for n, e in zip(reached, extra, strict=True)), stride)
    groups = call.whole("group", 1)
    bias = _bias(call, weight.shape[1] * groups)
    call.emit(
        ConvTranspose,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=tuple((low, high - e) for (low, high), e in zip(cut, extra, strict=True)),
        dilation=dilation,
        groups=groups,
    )


def _cut(call: Call, reached: Shape, stride: Shape) -> Padding:
    """How much of the whole output a transposed convolution leaves away at both sides."""
    auto, wanted = call.text("auto_pad", "NOTSET"), call.ints("output_shape")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(n * s for n, s in zip(call.shape()[1:], stride, strict=True))
    if wanted is None:
        pads = (call.ints("pads") if auto == "NOTSET" else None) or (0,) * (2 * len(stride))
        return tuple(zip(pads[: len(stride)], pads[len(stride) :], strict=True))
    wanted = wanted[len(wanted) - len(stride) :]  # some writers put the batch and the channels before
    total = tuple(n - w for n, w in zip(reached, wanted, strict=True))
    if min(total) < -1:  # runtimes differ in where they put more than one position
        raise Refusal(f"its output of {wanted} would be larger than what it reaches, {reached}")
    return tuple(
        (0, t) if t < 0 else (t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in total
    )


def max_pool(call: Call) -> None:
    """MaxPool."""
    if call.further_outputs:
        raise Refusal(Cause.POSITIONS)
    found = window(call, None)
    call.emit(
        MaxPool,
        kernel=found.kernel,
        stride=found.stride,
        padding=reached(found.padding, found.overhang),
        dilation=found.dilation,
    )


def average_pool(call: Call) -> None:
    """AveragePool."""
    found = window(call, None)
    if any(d != 1 for d in found.dilation):
        _dilated(call, found)
        return
    call.emit(
        AvgPool,
        kernel=found.kernel,
        stride=found.stride,
        padding=found.padding,
        overhang=found.overhang,
        count_padding=bool(call.attributes.get("count_include_pad", 0)),
    )


def _dilated(call: Call, found: Window) -> None:
    """A mean over windows with gaps: a convolution of each channel, whose weights are the shares."""
    counts = call.attributes.get("count_include_pad", 0)
    if any(found.overhang) or (has_padding(found.padding) and not counts):
        raise Refusal("runtimes differ in what a dilated mean over a border is; pad before, and pool without padding")
    channels = call.shape()[0]
    call.emit(
        Conv,
        weight=np.full((channels, 1, *found.kernel), 1 / prod(found.kernel)),
        bias=np.zeros(channels),
        stride=found.stride,
        padding=found.padding,
        dilation=found.dilation,
        groups=channels,
    )
