"""Max pooling of analog values. Its spiking counterpart is SpikeMaxPool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.connections.scales import across_channels, channel_scale
from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor
from spikewright.nodes._window import (
    Padding,
    check_axes,
    has_padding,
    reaches_inputs,
    torch_padding,
    window_shape,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Node):
    """The largest value in each window of each channel; padding never wins.

    Attributes:
        kernel: per axis.
        stride: per axis.
        padding: ``(low, high)`` per axis, the overhang of ``ceil_mode`` included.
        dilation: per axis.
    """

    kernel: Shape
    stride: Shape
    padding: Padding
    dilation: Shape
    windowed = True

    def infer_shape(self, *inputs: Shape) -> Shape:
        check_axes(self, kernel=self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)
        if len(inputs[0]) != len(self.kernel) + 1:
            raise GraphError(f"{self}: a kernel of {self.kernel} needs channels and {len(self.kernel)} axes")
        spatial = window_shape(self, inputs[0][1:], self.kernel, self.stride, self.padding, self.dilation)
        self._check_windows(inputs[0][1:])
        return (inputs[0][0], *spatial)

    def _check_windows(self, spatial: Shape) -> None:
        """Refuse windows wholly in padding, which have no largest value."""
        for axis in zip(spatial, self.kernel, self.stride, self.padding, self.dilation, strict=True):
            if max(axis[3]) > 0 and not reaches_inputs(*axis):
                raise GraphError(
                    f"{self}: a window of {self.kernel} lies wholly in the padding {self.padding}, where there is no "
                    "largest value; pad less"
                )

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(self.kernel) - 1]
        padded = has_padding(self.padding)

        def forward(x: Tensor) -> Tensor:
            if padded:
                x = F.pad(x, torch_padding(self.padding), value=-float("inf"))
            return pool(x, self.kernel, self.stride, 0, self.dilation)

        return forward

    def carry_scale(self, *scales: Array) -> Array:
        return across_channels(channel_scale(self, scales[0]), self.infer_shape(scales[0].shape))
