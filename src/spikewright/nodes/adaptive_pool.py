"""Average pooling to a given size, with windows that may differ in length and overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections
from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptiveAvgPool(Node):
    """Output ``i`` of ``m`` is the mean of the inputs from ``floor(i·n/m)`` to before ``ceil((i+1)·n/m)`` of ``n``.

    Attributes:
        size: the spatial shape it pools to.
    """

    size: Shape
    windowed = True

    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != len(self.size) + 1 or not 1 <= len(self.size) <= 3:
            raise GraphError(f"{self}: an input of shape {inputs[0]} cannot be pooled to {self.size}")
        return (inputs[0][0], *self.size)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        pool: Callable[..., Tensor] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[
            len(self.size) - 1
        ]
        return lambda x: pool(x, self.size)

    def windows(self, spatial: Shape) -> list[NDArray[np.bool_]]:
        """The windows along each axis ``(outputs, inputs)``: which input lies in the window of which output."""
        found = []
        for n, m in zip(spatial, self.size, strict=True):
            output, position = np.arange(m)[:, None], np.arange(n)[None, :]
            found.append((position >= output * n // m) & (position < -(-(output + 1) * n // m)))
        return found

    def connections(self, *inputs: Shape) -> Connections:
        axes, factors = [], []
        for within in self.windows(inputs[0][1:]):
            length = within.sum(axis=1)
            steps = np.arange(length.max())[None, :]
            axes.append(np.where(steps < length[:, None], within.argmax(axis=1)[:, None] + steps, -1))
            factors.append(1 / length)
        shape = self.infer_shape(*inputs)
        return Connections(inputs[0], shape, tuple(axes), groups=shape[0], factors=tuple(factors))
