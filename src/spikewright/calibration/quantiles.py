"""Exact order statistics of a stream, in memory that does not grow with it.

The bit patterns of positive float32 numbers are ordered like the numbers. A first pass counts values by the high
bits of their pattern; each further pass counts, by the next bits, only the values that share the high bits of the
wanted one. After the last bits the value is known exactly, however many values there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

LAYER_SHIFTS = (16, 0)
"""After how many passes how many low bits are still unknown: two passes for a whole layer."""
CHANNEL_SHIFTS = (19, 9, 0)
"""Three passes for every channel on its own, so that hundreds of histograms stay small."""


RUN = 64
"""Values that are looked at together when few of them matter."""


def patterns(x: Tensor) -> Tensor:
    """Bit patterns of float32 values as int32; everything that is not positive has a pattern of 0 or below."""
    import torch

    return x.float().contiguous().view(torch.int32)


def values_from(x: Tensor, low: float) -> Tensor:
    """All values of a tensor from ``low`` up, found quickly where they are few: most runs of 64 hold none."""
    import torch

    flat = x.reshape(-1)
    whole = flat.numel() // RUN * RUN
    runs = flat[:whole].view(-1, RUN)
    found = torch.cat([runs[runs.amax(dim=1) >= low].reshape(-1), flat[whole:]])
    return found[found >= low]


def channel_values_from(x: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
    """The values ``(B, C, ...)`` from each channel's own ``low`` ``(C,)`` up, and the channel of each."""
    rows = x.reshape(*x.shape[:2], -1)
    hit = rows.amax(dim=2) >= low
    chosen, channel = rows[hit], hit.nonzero()[:, 1]
    above = chosen >= low[channel, None]
    return chosen[above], channel.repeat_interleave(above.sum(dim=1))


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

    def start(self) -> None:
        """Before a pass over the data."""
        self.width = self.shifts[self.level - 1] - self.shifts[self.level]
        self.counts = np.zeros((len(self.ranks), 1 << self.width), np.int64)

    def add(self, x: Tensor) -> None:
        """Count a batch of values ``(B, C, ...)``."""
        import torch

        unknown = self.shifts[self.level - 1]
        prefix = torch.from_numpy(np.where(self.wanted, self.prefix, 0)).to(x.device)
        low = (prefix << unknown).clamp(min=1).int().view(torch.float32)
        if len(self.prefix) == 1:
            value, group = values_from(x, float(low)), torch.zeros((), dtype=torch.int64, device=x.device)
        else:
            value, group = channel_values_from(x, low)
        pattern = patterns(value)
        same = (pattern >> unknown) == prefix[group]
        bits = (pattern >> self.shifts[self.level]) & ((1 << self.width) - 1)
        index = (group * (1 << self.width) + bits)[same]
        counted = torch.bincount(index, minlength=self.counts.size)
        self.counts += counted.cpu().numpy().reshape(self.counts.shape)

    def finish(self) -> None:
        """After a pass over the data."""
        self._choose(self.counts)
        self.counts = np.zeros((0, 0), np.int64)

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
