"""Nearest-neighbour upsampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Upsample(Node):
    """Every value repeated along each spatial axis.

    Attributes:
        factor: per spatial axis.
    """

    factor: Shape

    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != len(self.factor) + 1:
            raise GraphError(f"{self}: factors {self.factor} do not fit an input of shape {inputs[0]}")
        return (inputs[0][0], *(n * f for n, f in zip(inputs[0][1:], self.factor, strict=True)))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        def forward(x: Tensor) -> Tensor:
            for axis, factor in enumerate(self.factor, start=2):
                x = x.repeat_interleave(factor, dim=axis)
            return x

        return forward

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        repeated = numbers[0]
        for axis, factor in enumerate(self.factor, start=1):
            repeated = repeated.repeat(factor, axis=axis)
        return repeated
