"""Nearest-neighbour upsampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Place, Shape

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

    def bind(self, place: Place) -> Callable[..., Tensor]:
        def forward(x: Tensor) -> Tensor:
            for axis, factor in enumerate(self.factor, start=2):
                x = x.repeat_interleave(factor, dim=axis)
            return x

        return forward

    def fan_out(self, *inputs: Shape) -> tuple[NDArray[np.int64], ...]:
        return (np.full(inputs[0], prod(self.factor), np.int64),)

    def _repeated(self, values: Array) -> Array:
        for axis, factor in enumerate(self.factor, start=1):
            values = values.repeat(factor, axis=axis)
        return values

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._repeated(counts[0])

    def carry_scale(self, *scales: Array) -> Array:
        return self._repeated(scales[0])
