"""Fixed weights along each axis of a map: interpolation, smoothing, running sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from spikewright.connections import Connections
from spikewright.connections.products import along_axis
from spikewright.connections.scales import across_channels, channel_scale
from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor

STAYS = (0, 0)
"""The size of the matrix of an axis that has none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Resample(Node):
    """``y[c, o₁, o₂, …] = Σ W₁[o₁, i₁] · W₂[o₂, i₂] · … · x[c, i₁, i₂, …]``, of every channel alike.

    The weights are no trained ones: they say which positions lie between which others.

    Attributes:
        weights: the matrices ``W₁, W₂, …`` one behind the other, each row by row.
        sizes: of the matrix of each spatial axis, outputs and inputs; ``(0, 0)`` for an axis that stays as it is.
    """

    weights: Array
    sizes: tuple[tuple[int, int], ...]
    windowed = True

    @property
    def parameters(self) -> int:
        return 0

    @property
    def matrices(self) -> tuple[Array | None, ...]:
        """The matrix ``(outputs, inputs)`` of each spatial axis; None for one that stays as it is."""
        ends = np.cumsum([prod(size) for size in self.sizes])[:-1]
        parts = np.split(self.weights, ends)
        return tuple(None if s == STAYS else p.reshape(s) for p, s in zip(parts, self.sizes, strict=True))

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.weights.shape != (sum(map(prod, self.sizes)),) or any(len(size) != 2 for size in self.sizes):
            raise GraphError(f"{self}: {self.weights.shape} weights are not matrices of {self.sizes}")
        fits = len(inputs[0]) == len(self.sizes) + 1 and len(self.sizes) > 0
        if not fits or any(s not in (STAYS, (s[0], n)) for s, n in zip(self.sizes, inputs[0][1:], strict=True)):
            raise GraphError(f"{self}: matrices of {self.sizes} do not fit an input of shape {inputs[0]}")
        return (inputs[0][0], *(s[0] or n for s, n in zip(self.sizes, inputs[0][1:], strict=True)))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch

        matrices = {axis: to_tensor(m) for axis, m in enumerate(self.matrices, start=2) if m is not None}

        def forward(x: Tensor) -> Tensor:
            for axis, matrix in matrices.items():
                x = torch.tensordot(x, matrix, dims=([axis], [1])).movedim(-1, axis)
            return x.contiguous()

        return forward

    def connections(self, *inputs: Shape) -> Connections:
        shape = self.infer_shape(*inputs)
        pairs = zip(self.matrices, inputs[0][1:], strict=True)
        found = [along_axis(np.eye(n) if m is None else m.astype(np.float64)) for m, n in pairs]
        axes, mixes = zip(*found, strict=True)
        kernel = np.ones((shape[0], 1, 1, *(1,) * len(axes)), np.float32)
        return Connections(inputs[0], shape, axes, groups=shape[0], kernel=kernel, mixes=mixes)

    def carry_scale(self, *scales: Array) -> Array:
        shape = self.infer_shape(*(scale.shape for scale in scales))
        return across_channels(channel_scale(self, scales[0]), shape)
