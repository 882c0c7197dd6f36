"""One factor and one shift a channel: explicit shortcuts, input scaling, and batch norms that fold nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from spikewright.connections import Connections, one_to_one
from spikewright.connections.scales import across_channels
from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


def _spread(values: Array, shape: Shape) -> Array:
    """Per-channel values over the whole shape of a sample."""
    return values if values.shape == shape else across_channels(values, shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelAffine(Node):
    """``y = scale · x + bias``: a one-to-one projection.

    Attributes:
        scale, bias: ``(channels,)``, or one for each neuron in the shape of a sample.
    """

    scale: Array
    bias: Array
    weighted = True

    def infer_shape(self, *inputs: Shape) -> Shape:
        for label, array in self.arrays.items():
            if array.shape not in (inputs[0][:1], inputs[0]):
                raise GraphError(f"{self}: {label} {array.shape} does not fit an input of shape {inputs[0]}")
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        scale, bias = to_tensor(self.scale), to_tensor(self.bias)

        def forward(x: Tensor) -> Tensor:
            ones = tuple(1 for _ in x.shape[2:])
            wide = [a if a.ndim == x.ndim - 1 else a.view(-1, *ones) for a in (scale, bias)]
            return x * wide[0] + wide[1]

        return forward

    def connections(self, *inputs: Shape) -> Connections:
        return one_to_one(inputs[0], _spread(self.scale, inputs[0]))

    def rescale(self, before: Array, after: Array) -> Self:
        scale = _spread(self.scale, before.shape).astype(np.float64) * before / after
        bias = _spread(self.bias, before.shape).astype(np.float64) / after
        return self.replace(scale=_narrow(scale), bias=_narrow(bias))

    def reweigh(self, change: Callable[[Array], Array]) -> Self:
        return self.replace(scale=change(self.scale))

    def followed_by(self, scale: Array, shift: Array) -> Self:
        wide = [_spread(scale, own.shape) for own in (self.scale, self.bias)]
        return self.replace(scale=self.scale * wide[0], bias=self.bias * wide[1] + _spread(shift, self.bias.shape))


def _narrow(values: Array) -> Array:
    """Back to one value a channel where the positions of each channel agree."""
    flat = values.reshape(values.shape[0], -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else values
