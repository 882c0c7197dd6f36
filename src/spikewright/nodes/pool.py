"""Average and sum pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections, sliding
from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor
from spikewright.nodes._window import (
    Padding,
    check_axes,
    check_pairs,
    has_padding,
    outer,
    sum_windows,
    window_counts,
    window_shape,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class SumPool(Node):
    """The sum over each window of each channel.

    Attributes:
        kernel: per axis.
        stride: per axis.
        padding: zeros, ``(low, high)`` per axis.
    """

    kernel: Shape
    stride: Shape
    padding: Padding
    windowed = True

    @property
    def reach(self) -> Padding:
        """All padding that windows may reach into."""
        return self.padding

    def infer_shape(self, *inputs: Shape) -> Shape:
        check_axes(self, kernel=self.kernel, stride=self.stride, padding=self.padding)
        check_pairs(self, self.padding)
        if len(inputs[0]) != len(self.kernel) + 1:
            raise GraphError(f"{self}: a kernel of {self.kernel} needs channels and {len(self.kernel)} axes")
        return (inputs[0][0], *window_shape(self, inputs[0][1:], self.kernel, self.stride, self.reach))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: sum_windows(x, self.kernel, self.stride, self.reach)

    def connections(self, *inputs: Shape) -> Connections:
        shape, once = self.infer_shape(*inputs), (1,) * len(self.kernel)
        settings = zip(inputs[0][1:], self.kernel, self.stride, self.reach, once, shape[1:], strict=True)
        axes = tuple(sliding(*axis) for axis in settings)
        return Connections(inputs[0], shape, axes, groups=shape[0], factors=self._shares(inputs[0][1:]))

    def _shares(self, spatial: Shape) -> tuple[NDArray[np.float64], ...] | None:
        """What each window is multiplied with, for each axis; None for a sum."""
        return None


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool(SumPool):
    """The mean over each window of each channel.

    Attributes:
        overhang: per axis, how far past the padding the last window may hang (``ceil_mode``); never counted.
        count_padding: whether padded zeros count in the divisor (``count_include_pad``).
    """

    overhang: Shape = ()
    count_padding: bool = True

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.overhang and len(self.overhang) != len(self.kernel):
            raise GraphError(f"{self}: overhang {self.overhang} is not one number for each axis of {self.kernel}")
        return super().infer_shape(*inputs)

    @property
    def reach(self) -> Padding:
        overhang = self.overhang or (0,) * len(self.kernel)
        return tuple((low, high + over) for (low, high), over in zip(self.padding, overhang, strict=True))

    @property
    def uniform(self) -> bool:
        """Whether every window has the same divisor, so that it is one linear map with one weight."""
        return not any(self.overhang) and (self.count_padding or not has_padding(self.padding))

    def divisors(self, spatial: Shape) -> NDArray[np.int64]:
        """What each window's sum is divided by, ``(*spatial output)``."""
        return outer(self._counted(spatial))

    def _shares(self, spatial: Shape) -> tuple[NDArray[np.float64], ...]:
        return tuple(1 / counts for counts in self._counted(spatial))

    def _counted(self, spatial: Shape) -> list[NDArray[np.int64]]:
        """How many positions of each window count in its mean, for each axis."""
        counts = []
        for n, k, s, (low, high), reach in zip(
            spatial, self.kernel, self.stride, self.padding, self.reach, strict=True
        ):
            counted = (n + low + high, (0, reach[1] - high)) if self.count_padding else (n, reach)
            counts.append(np.maximum(window_counts(counted[0], k, s, counted[1])[1], 1))
        return counts

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        if self.uniform and not has_padding(self.padding):
            pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(self.kernel) - 1]
            return lambda x: pool(x, self.kernel, self.stride)
        if self.uniform:
            return lambda x: sum_windows(x, self.kernel, self.stride, self.reach) / prod(self.kernel)

        def forward(x: Tensor) -> Tensor:
            divisors = to_tensor(self.divisors(tuple(x.shape[2:])))
            return sum_windows(x, self.kernel, self.stride, self.reach) / divisors

        return forward
