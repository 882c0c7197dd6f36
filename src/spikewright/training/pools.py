"""Average pools side by side that keep nothing for their way back: torch's own keep what they read.

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class _MeanOfTiles(torch.autograd.Function):
    """Rows first, then columns: torch's own pools of maps with channels first work number by number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Shape) -> Tensor:
        ctx.shape, ctx.kernel = x.shape, kernel
        high, wide = kernel
        height, width = (n // k * k for n, k in zip(x.shape[-2:], kernel, strict=True))
        found = x[..., 0:height:high, :width]
        for row in range(1, high):
            found = found + x[..., row:height:high, :width]
        rows, found = found, found[..., 0::wide]
        for column in range(1, wide):
            found = found + rows[..., column::wide]
        return found / prod(kernel)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows, columns), (high, wide) = gradient.shape[-2:], ctx.kernel
        whole = (rows * high, columns * wide) == tuple(ctx.shape[-2:])
        found = _empty(gradient, ctx.shape) if whole else _empty(gradient, ctx.shape).zero_()
        each = gradient / prod(ctx.kernel)
        spread = _empty(gradient, (*gradient.shape[:-1], columns * wide))
        for column in range(wide):
            spread[..., column::wide] = each
        for row in range(high):
            found[..., row : rows * high : high, : columns * wide] = spread
        return found, None


def _empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor of maps with its channels where they lie in another: last in memory, or first."""
    if like.stride(-3) > like.stride(-1):
        return like.new_empty(tuple(shape))
    *leading, channels, rows, columns = shape
    return like.new_empty((*leading, rows, columns, channels)).movedim(-1, -3)
