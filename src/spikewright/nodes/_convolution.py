"""What a convolution and its transpose have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from spikewright.connections.scales import channel_scale
from spikewright.graph import Array, Node, Shape
from spikewright.nodes._window import Padding


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Node):
    """A kernel that moves along the axes behind the channels. What the fields mean, the node types say."""

    weight: Array
    bias: Array
    stride: Shape
    padding: Padding
    dilation: Shape
    groups: int = 1
    weighted = True
    windowed = True

    @property
    def kernel(self) -> Shape:
        """The lengths of the kernel along the axes behind the channels."""
        return self.weight.shape[2:]

    def rescale(self, before: Array, after: Array) -> Self:
        return self._scaled(channel_scale(self, before), 1 / channel_scale(self, after))

    def followed_by(self, scale: Array, shift: Array) -> Self:
        inputs, _ = self._channels()
        scaled = self._scaled(np.ones(inputs), scale)
        return scaled.replace(bias=scaled.bias + self._along_bias(shift))

    def _channels(self) -> tuple[int, int]:
        """How many input and output channels there are."""
        raise NotImplementedError

    def _times(self, source: Array, target: Array) -> Array:
        """The weights times a factor of each input channel and of each output channel."""
        raise NotImplementedError

    def _scaled(self, source: Array, target: Array) -> Self:
        """Weights times a factor of each input channel and of each output channel; the bias times the latter."""
        return self.replace(
            weight=self._times(source, target), bias=self.bias * self._along_bias(target).astype(np.float64)
        )

    def _along_bias(self, values: Array) -> Array:
        """One value a channel in the bias's axes."""
        return values.reshape(-1, *(1,) * (self.bias.ndim - 1))
