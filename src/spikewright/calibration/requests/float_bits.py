"""Bit patterns of float32 numbers: those of positive numbers are ordered like the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

MANTISSA = 23
"""Bits of a float32 below its exponent."""
INFINITY = 0x7F800000
"""The pattern of infinity: those of positive numbers lie below."""
SAMPLES_AT_ONCE = 16
"""Samples that are looked at together when few of their values matter."""


def patterns(x: Tensor) -> Tensor:
    """Bit patterns of float32 values as int32; everything that is not positive has a pattern of 0 or below."""
    import torch

    return x.float().contiguous().view(torch.int32)


def floats(pattern: NDArray[np.int64]) -> NDArray[np.float32]:
    """The float32 values of bit patterns; the smallest positive one for a pattern of 0."""
    return pattern.clip(1).astype(np.int32).view(np.float32)


def values_from(x: Tensor, low: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """The values of a batch ``(B, C, ...)`` from each channel's own ``low`` ``(C,)`` up, and the channel of each.

    Quick where they are few: the maximum over 16 samples at once tells where any of them is worth a look.
    """
    import torch

    rows = x.reshape(*x.shape[:2], -1)
    limit = torch.from_numpy(low).to(x.device)
    whole = len(rows) // SAMPLES_AT_ONCE * SAMPLES_AT_ONCE
    values, channels = [], []
    for part in (rows[:whole], rows[whole:]):
        if len(part):
            runs = part.reshape(-1, min(SAMPLES_AT_ONCE, len(part)), *rows.shape[1:])
            run, channel, position = (runs.amax(dim=1) >= limit[:, None]).nonzero(as_tuple=True)
            near = runs[run, :, channel, position]
            hit, sample = (near >= limit[channel, None]).nonzero(as_tuple=True)
            values.append(near[hit, sample])
            channels.append(channel[hit])
    return torch.cat(values), torch.cat(channels)
