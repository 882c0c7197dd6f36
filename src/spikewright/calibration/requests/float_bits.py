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
SAMPLES_AT_ONCE = 8
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
    """Samples side by side, by runs of 8 or fewer.

    Attributes:
        runs: ``(R, n, C · positions)``: their values, as they lie in memory.
        tops: ``(R, C · positions)``: the largest of each run at every place.
        positions: values of a channel in one sample.
    """

    runs: Tensor
    tops: Tensor
    positions: int

    def parts(self, values: int) -> Iterator[tuple[slice, slice]]:
        """Runs and places of pieces of about so many values."""
        samples, places = self.runs.shape[1:]
        width = min(places, max(1, values // samples))
        rows = max(1, values // (samples * width))
        for first in range(0, len(self.runs), rows):
            for place in range(0, places, width):
                yield slice(first, first + rows), slice(place, place + width)

    def values_from(
        self, low: NDArray[np.float32], rows: slice = slice(None), places: slice = slice(None)
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The patterns of values from each channel's own ``low`` up, and the channel of each.

        Quick where they are few: the largest of a run tells whether any of it is worth a look.

        Args:
            low: ``(C,)``, or ``(1,)`` for all channels; positive.
            rows: which runs.
            places: which places of each.
        """
        samples, all_places = self.runs.shape[1:]
        tops, first = self.tops[rows, places], places.start or 0
        limit = low if len(low) == 1 else low.repeat(self.positions)[places]
        if self.tops.device.type == "cpu":
            hit = np.flatnonzero(tops.numpy() >= limit)
            run, at = np.divmod(hit, tops.shape[1])
            start = (run + (rows.start or 0)) * (samples * all_places) + at + first
            near = self.runs.numpy().reshape(-1).take(start + np.arange(0, samples * all_places, all_places)[:, None])
            good = np.flatnonzero(near >= (limit if len(limit) == 1 else limit.take(at)))
            return near.take(good).view(np.int32), (at.take(good % max(len(hit), 1)) + first) // self.positions
        import torch

        limits = torch.from_numpy(limit).to(self.tops.device)
        runs, at_place = (tops >= limits).nonzero(as_tuple=True)
        nearby = self.runs[rows, :, places][runs, :, at_place]
        found, sample = (nearby >= (limits if len(limit) == 1 else limits[at_place])[:, None]).nonzero(as_tuple=True)
        channel = (at_place[found] + first) // self.positions
        return patterns(nearby[found, sample]).cpu().numpy(), channel.cpu().numpy()


def blocks_of(rows: Tensor) -> list[Block]:
    """A batch ``(B, C, positions)`` in runs of 8 samples, and one of those left."""
    flat = rows.reshape(len(rows), -1)
    whole = len(rows) // SAMPLES_AT_ONCE * SAMPLES_AT_ONCE
    found = []
    for part in (flat[:whole], flat[whole:]):
        if len(part):
            runs = part.reshape(-1, min(SAMPLES_AT_ONCE, len(part)), part.shape[1])
            found.append(Block(runs, runs.amax(dim=1), rows.shape[2]))
    return found
