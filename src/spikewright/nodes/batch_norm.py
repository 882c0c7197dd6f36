"""Batch normalisation with its statistics frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections, one_to_one
from spikewright.connections.scales import across_channels
from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNorm(Node):
    """``y = gamma · (x - mean) / sqrt(variance + epsilon) + beta``, per channel.

    Attributes:
        mean, variance: the statistics gathered in training, ``(channels,)``.
        gamma, beta: the trained scale and shift, ``(channels,)``.
        epsilon: added to the variance.
    """

    mean: Array
    variance: Array
    gamma: Array
    beta: Array
    epsilon: float = 1e-5

    @property
    def parameters(self) -> int:
        return self.gamma.size + self.beta.size  # the statistics are gathered, not trained

    @property
    def scale(self) -> NDArray[np.float64]:
        """The factor of each channel, ``γ / √(variance + ε)``."""
        return self.gamma / np.sqrt(self.variance.astype(np.float64) + self.epsilon)

    @property
    def shift(self) -> NDArray[np.float64]:
        """What each channel is shifted by, ``β − mean · scale``."""
        return self.beta - self.mean * self.scale

    def infer_shape(self, *inputs: Shape) -> Shape:
        sizes = {array.shape for array in self.arrays.values()}
        if sizes != {inputs[0][:1]}:
            raise GraphError(f"{self}: statistics of shape {sizes} do not fit an input of shape {inputs[0]}")
        if (self.variance + self.epsilon <= 0).any():
            raise GraphError(f"{self}: a variance is negative; the trained statistics are damaged")
        return inputs[0]

    def connections(self, *inputs: Shape) -> Connections:
        return one_to_one(inputs[0], across_channels(self.scale, inputs[0]))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        scale, shift = to_tensor(self.scale), to_tensor(self.shift)

        def forward(x: Tensor) -> Tensor:
            view = (-1, *(1 for _ in x.shape[2:]))
            return x * scale.view(view) + shift.view(view)

        return forward
