"""Exact order statistics of a stream, in memory that does not grow with it.

The bit patterns of positive float32 numbers are ordered like the numbers. A first pass counts values by the high
bits of their pattern; each further pass counts, by the next bits, only the values that share the high bits of the
wanted one. After the last bits the value is known exactly, however many values there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

LAYER_SHIFTS = (16, 0)
"""After how many passes how many low bits are still unknown: two passes for a whole layer."""
CHANNEL_SHIFTS = (19, 9, 0)
"""Three passes for every channel on its own, so that hundreds of histograms stay small."""

RUN = 16
"""Samples that are looked at together when few of their values matter."""
WORTHWHILE = 1 << 16
"""So many numbers, at least, are counted at once."""


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
    whole = len(rows) // RUN * RUN
    values, channels = [], []
    for part in (rows[:whole], rows[whole:]):
        if len(part):
            runs = part.reshape(-1, min(RUN, len(part)), *rows.shape[1:])
            run, channel, place = (runs.amax(dim=1) >= limit[:, None]).nonzero(as_tuple=True)
            near = runs[run, :, channel, place]
            hit, sample = (near >= limit[channel, None]).nonzero(as_tuple=True)
            values.append(near[hit, sample])
            channels.append(channel[hit])
    return torch.cat(values), torch.cat(channels)


class Tally:
    """How often each whole number below ``size`` came, counted when enough have gathered to be worth it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._counts = np.zeros(size, np.int64)
        self._waiting: list[Tensor] = []

    def add(self, numbers: Tensor) -> None:
        self._waiting.append(numbers)
        if sum(n.numel() for n in self._waiting) >= max(self.size, WORTHWHILE):
            self._flush()

    def counts(self) -> NDArray[np.int64]:
        self._flush()
        return self._counts

    def _flush(self) -> None:
        import torch

        if self._waiting:
            self._counts += torch.bincount(torch.cat(self._waiting), minlength=self.size).cpu().numpy()
            self._waiting = []


class RankSearch:
    """Finds, for each group of a stream (a layer is one group, or each channel is), the value of some rank.

    Args:
        histogram: ``(groups, bins)``: the counts of the first pass, by ``pattern >> shifts[0]``.
        ranks: ``(groups,)``: which value is wanted, counted from 0 among the positive ones, ascending; a
            negative rank asks for nothing.
        shifts: low bits still unknown after each pass.
    """

    def __init__(self, histogram: NDArray[np.int64], ranks: NDArray[np.int64], shifts: tuple[int, ...]) -> None:
        self.shifts = shifts
        self.level = 0
        self.wanted = ranks >= 0
        self.ranks = np.where(self.wanted, ranks, 0)
        self.prefix = np.zeros(len(ranks), np.int64)
        self._choose(histogram)

    @property
    def done(self) -> bool:
        return self.level == len(self.shifts)

    @property
    def low(self) -> NDArray[np.float32]:
        """``(groups,)``: the smallest value that may still be the wanted one; infinity where none is wanted."""
        return np.where(self.wanted, floats(self.prefix << self.shifts[self.level - 1]), np.float32(np.inf))

    @property
    def place(self) -> tuple[Any, ...]:
        """Equal for searches that count the same values in the next pass: one of them can count for all."""
        return self.shifts, self.level, self.prefix.tobytes(), self.wanted.tobytes()

    def start(self) -> None:
        """Before a pass over the data."""
        self.width = self.shifts[self.level - 1] - self.shifts[self.level]
        self.tally = Tally(len(self.ranks) << self.width)

    def add(self, pattern: Tensor, channel: Tensor) -> None:
        """Count values, all from ``low`` up among them, by their pattern and channel."""
        import torch

        unknown = self.shifts[self.level - 1]
        bits = (pattern >> self.shifts[self.level]) & ((1 << self.width) - 1)
        if len(self.prefix) == 1:
            self.tally.add(bits[(pattern >> unknown) == int(self.prefix[0])])
            return
        prefix = torch.from_numpy(np.where(self.wanted, self.prefix, -1)).to(pattern.device)
        same = (pattern >> unknown) == prefix[channel]
        self.tally.add((channel * (1 << self.width) + bits)[same])

    def finish(self, counted: Tally) -> None:
        """After a pass over the data, with what this search, or another at the same place, has counted."""
        self._choose(counted.counts().reshape(len(self.ranks), -1))

    def _choose(self, counts: NDArray[np.int64]) -> None:
        """Step into the bin that holds the wanted rank."""
        cumulative = counts.cumsum(axis=1)
        chosen = np.minimum((cumulative <= self.ranks[:, None]).sum(axis=1), counts.shape[1] - 1)
        rows = np.arange(len(chosen))
        self.ranks = self.ranks - (cumulative[rows, chosen] - counts[rows, chosen])
        bits = 0 if self.level == 0 else self.shifts[self.level - 1] - self.shifts[self.level]
        self.prefix = (self.prefix << bits) + chosen
        self.level += 1

    @property
    def values(self) -> NDArray[np.float64]:
        """The values found; after an unfinished search the middle of the bin. NaN where nothing was wanted."""
        unknown = self.shifts[self.level - 1]
        low = (self.prefix << unknown).astype(np.uint32).view(np.float32).astype(np.float64)
        if unknown:
            last = (((self.prefix + 1) << unknown) - 1).astype(np.uint32).view(np.float32).astype(np.float64)
            low = (low + last) / 2
        return np.where(self.wanted, low, np.nan)


class Refinement:
    """One more pass over one node, for all searches that are not done."""

    def __init__(self, searches: list[RankSearch], channels: int) -> None:
        self.searches = searches
        self.leaders = {search.place: search for search in searches}
        self.low = np.min([np.broadcast_to(search.low, channels) for search in searches], axis=0)
        for leader in self.leaders.values():
            leader.start()

    def __call__(self, x: Tensor) -> None:
        """Look at a batch ``(B, C, ...)``."""
        value, channel = values_from(x, self.low)
        pattern = patterns(value)
        for leader in self.leaders.values():
            leader.add(pattern, channel)

    def finish(self) -> None:
        counted = [self.leaders[search.place].tally for search in self.searches]
        for search, tally in zip(self.searches, counted, strict=True):
            search.finish(tally)


def virtual_index(percentile: float, count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where a percentile lies between ranks, linear as in ``numpy.percentile``."""
    return np.asarray(percentile / 100, np.float64) * (count - 1)


def interpolate(
    low: NDArray[np.float64], high: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Between two neighbours, with the rounding of ``numpy.percentile`` on float64."""
    gap = high - low
    result: NDArray[np.float64] = np.where(weight < 0.5, low + gap * weight, high - gap * (1 - weight))
    return np.where(gap == 0, low, result)
