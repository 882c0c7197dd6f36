"""Average pools side by side that keep nothing for their way back: torch's own keep what they read.

torch is imported with the file.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
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
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Shape) -> Tensor:
        ctx.shape, ctx.kernel = x.shape, kernel
        found = F.avg_pool2d(x.flatten(0, 1), kernel, kernel)
        return found.view(*x.shape[:2], *found.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (rows, columns), (high, wide) = gradient.shape[-2:], ctx.kernel
        whole = (rows * high, columns * wide) == tuple(ctx.shape[-2:])
        found = gradient.new_empty(ctx.shape) if whole else gradient.new_zeros(ctx.shape)
        inside = found[..., : rows * high, : columns * wide]
        each = (gradient / prod(ctx.kernel))[..., :, None, :, None]
        lead = ctx.shape[:-2]
        strides = inside.stride()
        apart = inside.as_strided(
            (*lead, rows, high, columns, wide),
            (*strides[:-2], strides[-2] * high, strides[-2], strides[-1] * wide, strides[-1]),
        )
        apart.copy_(each.expand(*lead, rows, high, columns, wide))
        return found, None
