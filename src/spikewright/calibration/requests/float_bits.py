"""Bit patterns of float32 numbers: those of positive numbers are ordered like the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Block:
    """Samples side by side, by runs of 16 or fewer.

    Attributes:
        runs: ``(R, n, C · positions)``: their values, as they lie in memory.
        tops: ``(R, C · positions)``: the largest of each run at every place.
        positions: values of a channel in one sample.
    """

    runs: Tensor
    tops: Tensor
    positions: int

    def parts(self, values: int) -> Iterator[tuple[Block, int]]:
        """Pieces of about so many values, and the place at which each begins."""
        samples, places = self.runs.shape[1:]
        width = min(places, max(1, values // samples))
        rows = max(1, values // (samples * width))
        for first in range(0, len(self.runs), rows):
            for place in range(0, places, width):
                runs = self.runs[first : first + rows, :, place : place + width]
                yield Block(runs, self.tops[first : first + rows, place : place + width], self.positions), place

    def values_from(self, low: NDArray[np.float32], place: int = 0) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The patterns of values from each channel's own ``low`` up, and the channel of each.

        Quick where they are few: the largest of a run tells whether any of it is worth a look.

        Args:
            low: ``(C,)``, or ``(1,)`` for all channels; positive.
            place: at which the first value lies.
        """
        channel_of = (np.arange(place, place + self.tops.shape[1])) // self.positions
        limit = low if len(low) == 1 else low[channel_of]
        if self.tops.device.type == "cpu":
            run, at = np.divmod(np.flatnonzero(self.tops.numpy() >= limit), self.tops.shape[1])
            near = self.runs.numpy()[run, :, at]
            good = near >= (limit if len(limit) == 1 else limit[at])[:, None]
            return near[good].view(np.int32), np.repeat(channel_of[at], good.sum(axis=1))
        import torch

        limits = torch.from_numpy(limit).to(self.tops.device)
        rows, places = (self.tops >= limits).nonzero(as_tuple=True)
        nearby = self.runs[rows, :, places]
        hit, sample = (nearby >= (limits if len(limit) == 1 else limits[places])[:, None]).nonzero(as_tuple=True)
        return patterns(nearby[hit, sample]).cpu().numpy(), channel_of[places[hit].cpu().numpy()]


def blocks_of(rows: Tensor) -> list[Block]:
    """A batch ``(B, C, positions)`` in runs of 16 samples, and one of those left."""
    flat = rows.reshape(len(rows), -1)
    whole = len(rows) // SAMPLES_AT_ONCE * SAMPLES_AT_ONCE
    found = []
    for part in (flat[:whole], flat[whole:]):
        if len(part):
            runs = part.reshape(-1, min(SAMPLES_AT_ONCE, len(part)), part.shape[1])
            found.append(Block(runs, runs.amax(dim=1), rows.shape[2]))
    return found
