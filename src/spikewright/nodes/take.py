"""Positions read in another order, several times, or not at all: flips, rolls, gathers, borders that repeat."""

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
class Take(Node):
    """``y[i, j, …] = x[p₀[i], p₁[j], …]``: along each axis of its own.

    Attributes:
        positions: for every axis of a sample, channels included, the positions that are read, in order; empty for an
            axis that stays as it is.
    """

    positions: tuple[tuple[int, ...], ...]

    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(self.positions) != len(inputs[0]):
            raise GraphError(f"{self}: has positions for {len(self.positions)} axes, its input has {len(inputs[0])}")
        for axis, (read, n) in enumerate(zip(self.positions, inputs[0], strict=True)):
            if read and not (min(read) >= 0 and max(read) < n):
                raise GraphError(f"{self}: reads positions from {min(read)} to {max(read)} of axis {axis}, of {n}")
        return tuple(len(read) or n for read, n in zip(self.positions, inputs[0], strict=True))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch

        read = {axis: torch.tensor(found) for axis, found in enumerate(self.positions, start=1) if found}

        def forward(x: Tensor) -> Tensor:
            for axis, found in read.items():
                x = x.index_select(axis, found.to(x.device))
            return x

        return forward

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        found = numbers[0]
        for axis, read in enumerate(self.positions):
            found = found.take(read, axis) if read else found
        return found
