"""Average pools side by side that keep nothing for their way back: torch's own keep what they read.

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikewright.graph import Shape
from spikewright.nodes import AvgPool
from spikewright.nodes._window import has_padding


def tiles(pool: AvgPool, shape: Shape) -> bool:
    """Whether the windows of a pool lie side by side on a map of two axes, without padding.

    Args:
        pool: the windows.
        shape: of what it reads, ``(channels, height, width)``.
    """
    aligned = tuple(pool.kernel) == tuple(pool.stride) and not has_padding(pool.padding)
    return len(shape) == 3 and aligned and pool.uniform


def mean_of_tiles(x: Tensor, kernel: Shape) -> Tensor:
    """The mean of each window, ``(steps, samples, channels, …)``.

    Args:
        x: ``(steps, samples, channels, height, width)``.
        kernel: of windows side by side; what they leave over is dropped.
    """
    found: Tensor = _MeanOfTiles.apply(x, kernel)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class Tiles:
    """Windows side by side on maps that lie in one row, with their channels last: a pool right behind neurons.

    Attributes:
        kernel: of a window.
        shape: ``(height, width, channels)`` of a map.
    """

    kernel: Shape
    shape: Shape

    @property
    def small(self) -> Shape:
        """``(height, width, channels)`` of the means."""
        return (*(n // k for n, k in zip(self.shape, self.kernel, strict=False)), self.shape[-1])

    def mean(self, rows: Tensor) -> Tensor:
        """The mean of each window, ``(steps, samples, *small)``, of ``(steps, samples, neurons)``."""
        maps = rows.reshape(-1, *self.shape).movedim(-1, 1)
        return _means(maps, self.kernel).movedim(1, -1).reshape(*rows.shape[:2], *self.small)

    def spread(self, gradient: Tensor) -> Tensor:
        """The gradient of ``(steps, samples, neurons)`` from that of the means."""
        channels_first = gradient.movedim(-1, -3)
        height, width, channels = self.shape
        found = _spread(channels_first, (*gradient.shape[:2], channels, height, width), self.kernel)
        return found.movedim(-3, -1).flatten(2)


class _MeanOfTiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Shape) -> Tensor:
        ctx.shape, ctx.kernel = x.shape, kernel
        found = _means(x.flatten(0, 1), kernel)
        return found.view(*x.shape[:2], *found.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _spread(gradient, ctx.shape, ctx.kernel), None


def _means(maps: Tensor, kernel: Shape) -> Tensor:
    return torch.nn.functional.avg_pool2d(maps, tuple(kernel))


def _spread(gradient: Tensor, shape: Sequence[int], kernel: Shape) -> Tensor:
    """The gradient of means, handed out to the places of their windows; ``shape`` is that of the maps."""
    (rows, columns), (high, wide) = gradient.shape[-2:], kernel
    found = _empty(gradient, shape)
    if (rows * high, columns * wide) != tuple(shape[-2:]):
        found.zero_()
    covered = found[..., : rows * high, : columns * wide]
    windows = covered.view(*covered.shape[:-2], rows, high, columns, wide)
    windows.copy_((gradient / prod(kernel))[..., :, None, :, None])
    return found


def _empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor of maps with its channels where they lie in another: last in memory, or first."""
    if like.stride(-3) > like.stride(-1):
        return like.new_empty(tuple(shape))
    *leading, channels, rows, columns = shape
    return like.new_empty((*leading, rows, columns, channels)).movedim(-1, -3)
