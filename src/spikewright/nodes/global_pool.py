"""Pooling over everything but the channels; a pass turns both into ordinary pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.connections import Connections
from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class _GlobalPool(Node):
    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) < 2:
            raise GraphError(f"{self}: has no axes to pool over in an input of shape {inputs[0]}")
        return (inputs[0][0], *(1 for _ in inputs[0][1:]))


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAvgPool(_GlobalPool):
    """The mean of each channel; the pooled axes stay, with length one."""

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)

    def connections(self, *inputs: Shape) -> Connections:
        shape, spatial = self.infer_shape(*inputs), inputs[0][1:]
        axes, shares = tuple(np.arange(n)[None, :] for n in spatial), tuple(np.array([1 / n]) for n in spatial)
        return Connections(inputs[0], shape, axes, groups=shape[0], factors=shares)


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel; the pooled axes stay, with length one."""

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)
