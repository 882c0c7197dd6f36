"""Windows of convolutions and pools: padding that frameworks say in words, and what hangs over the edge."""

from __future__ import annotations

from typing import Any

from spikewright.graph import Array, Node, Shape
from spikewright.nodes import MaxPool
from spikewright.nodes._window import Padding, output_length


def no_padding(axes: int) -> Padding:
    """Nothing on either side of any axis."""
    return ((0, 0),) * axes


def plain(axes: int) -> dict[str, Any]:
    """The settings of a window that moves on by one, without padding or dilation."""
    return {"stride": (1,) * axes, "padding": no_padding(axes), "dilation": (1,) * axes}


def mixing(weight: Array, bias: Array, axes: int) -> dict[str, Any]:
    """The fields of a convolution with a kernel of one: a fully connected layer over the channels of every position.

    Args:
        weight: ``(outputs, inputs)``.
        bias: ``(outputs,)``.
        axes: of a sample beside the channels.
    """
    return {"weight": weight.reshape(*weight.shape, *(1,) * axes), "bias": bias, **plain(axes)}


def side_by_side(kind: type[Node], kernel: Shape) -> dict[str, Any]:
    """The settings of a pool whose windows touch and do not overlap."""
    dilation = {"dilation": (1,) * len(kernel)} if issubclass(kind, MaxPool) else {}
    return {"kernel": kernel, "stride": kernel, "padding": no_padding(len(kernel)), **dilation}


def same_padding(length: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """The least padding that makes ``ceil(length / stride)`` windows fit along an axis, the odd one at the end."""
    missing = max((-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1 - length, 0)
    return missing // 2, missing - missing // 2


def overhang(length: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1) -> int:
    """How far the last window of a pool that rounds up (``ceil_mode``) reaches past the padding.

    A window that would start in the padding at the end, or past it, is left out.
    """
    start = output_length(length, kernel, stride, padding, dilation) * stride
    reach = start + dilation * (kernel - 1) + 1 - (length + sum(padding))
    return reach if 0 < reach < stride and start < length + padding[0] else 0


def reached(padding: Padding, overhangs: Shape) -> Padding:
    """The padding of a pool together with what hangs over at the end."""
    return tuple((low, high + over) for (low, high), over in zip(padding, overhangs, strict=True))
