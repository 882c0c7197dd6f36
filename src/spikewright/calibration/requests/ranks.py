"""Exact order statistics of a stream: intervals of bit patterns that grow narrower with every pass.

A histogram tells between which patterns the value of some rank lies. Each further pass looks only at the values in that
interval: where they are few it keeps them, which settles the search, else it counts them in narrower intervals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests.float_bits import floats
from spikewright.parts import storable

Ints = NDArray[np.int64]

LAYER_BITS, CHANNEL_BITS = 16, 8
"""Bits of a pattern that one pass settles: 512 KiB of counts for a layer, 2 KiB for a channel."""
KEPT = 1 << 18
"""Values that are kept in one search, or 256 a channel where that is more: no more memory than counts would take."""
ROWS = 256
"""Groups whose histograms are looked at side by side."""


@storable
class IntervalCounts:
    """Counts or keeps the values in one interval of patterns for each group, in one pass.

    Args:
        low, high: ``(groups,)``: the intervals, without ``high``; empty where nothing is wanted.
        inside: ``(groups,)``: how many values lie in them.
    """

    def __init__(self, low: Ints, high: Ints, inside: Ints) -> None:
        self.low, self.high, self.inside = low, high, inside
        bits = LAYER_BITS if len(low) == 1 else CHANNEL_BITS
        widths = [int(width - 1).bit_length() for width in np.maximum(high - low, 1)]
        self.shifts = np.maximum(np.array(widths, np.int64) - bits, 0)
        self.keeps = int(inside[high - low > 1].sum()) <= max(KEPT, len(low) << CHANNEL_BITS)
        self.counts = np.zeros((len(low), 0 if self.keeps else 1 << min(bits, max(widths))), np.int64)
        self.kept: list[Ints] = []

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Equal for two that count the same."""
        return self.low.tobytes(), self.high.tobytes()

    def fresh(self) -> IntervalCounts:
        """Counts of the same intervals that have seen nothing."""
        return IntervalCounts(self.low, self.high, self.inside)

    def add(self, pattern: Ints, group: Ints) -> None:
        """Count values, all from ``low`` up among them, by their pattern and group."""
        wanted = (pattern >= self.low[group]) & (pattern < self.high[group])
        pattern, group = pattern[wanted], group[wanted]
        if self.keeps:
            self.kept.append((group << 31) | pattern)
        else:
            position = ((pattern - self.low[group]) >> self.shifts[group]) + group * self.counts.shape[1]
            np.add.at(self.counts.reshape(-1), position, np.int64(1))

    def merge(self, other: IntervalCounts) -> None:
        """Take in what another one counted in the same intervals."""
        self.counts += other.counts
        self.kept += other.kept

    def narrowed(self, ranks: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """The intervals that hold the values of these ranks: ``low``, ``high``, the ranks within, the values inside."""
        groups = np.arange(len(self.low))
        if self.keeps:
            kept = np.sort(np.concatenate([*self.kept, np.zeros(0, np.int64)]))
            open_groups = self.high - self.low > 1
            position = np.searchsorted(kept, groups << 31) + ranks
            if not len(kept):
                return self.low, self.high, ranks, self.inside
            found = kept[np.minimum(position, len(kept) - 1)] & ((1 << 31) - 1)
            low = np.where(open_groups, found, self.low)
            return low, np.where(open_groups, low + 1, self.high), np.where(open_groups, 0, ranks), self.inside
        bin_, ranks, inside = chosen_bins(self.counts, ranks)
        low = self.low + (bin_ << self.shifts)
        return low, np.minimum(low + (1 << self.shifts), self.high), ranks, inside


def chosen_bins(counts: Ints, ranks: Ints) -> tuple[Ints, Ints, Ints]:
    """``(groups,)`` each: the bin of ``counts (groups, bins)`` that holds a rank, the rank within, and its count."""
    found, before, inside = (np.zeros(len(counts), np.int64) for _ in range(3))
    for start in range(0, len(counts), ROWS):
        some = slice(start, start + ROWS)
        cumulative = counts[some].cumsum(axis=1, dtype=np.int64)
        found[some] = np.minimum((cumulative <= ranks[some, None]).sum(axis=1), counts.shape[1] - 1)
        rows = np.arange(len(cumulative))
        inside[some] = counts[some][rows, found[some]]
        before[some] = cumulative[rows, found[some]] - inside[some]
    return found, ranks - before, inside


@storable
class RankSearch:
    """Finds the value of some rank in each group.

    Args:
        ranks: ``(groups,)``: which value is wanted, counted from 0 among the positive ones, ascending; a negative rank
            asks for nothing.
        below: ``(groups,)``: how many positive values lie below the first bin.
        counts: ``(groups, bins)`` of those in bins.
        first: ``(groups,)``: the number of the first bin.
        shift: low bits of a pattern that a bin leaves open.
    """

    def __init__(self, ranks: Ints, below: Ints, counts: Ints, first: Ints, shift: int) -> None:
        self.wanted = ranks >= 0
        under = ranks < below
        found, within, inside = chosen_bins(counts, np.maximum(ranks - below, 0))
        low = np.where(under, 1, (first + found) << shift)
        high = np.where(under, first << shift, (first + found + 1) << shift)
        self.ranks, self.inside = np.where(under, np.maximum(ranks, 0), within), np.where(under, below, inside)
        self._within(low, high)

    def _within(self, low: Ints, high: Ints) -> None:
        self.low, self.high = np.where(self.wanted, low, 0), np.where(self.wanted, high, 0)

    @property
    def done(self) -> bool:
        """Whether every interval is down to one bit pattern, the value that was sought."""
        return bool((self.high - self.low <= 1).all())

    def intervals(self) -> IntervalCounts:
        """What must be counted in the next pass."""
        return IntervalCounts(self.low, self.high, np.where(self.wanted, self.inside, 0))

    def narrow(self, counted: IntervalCounts) -> None:
        """Go on with what a pass over all samples counted."""
        low, high, self.ranks, self.inside = counted.narrowed(self.ranks)
        self._within(low, high)

    @property
    def values(self) -> NDArray[np.float64]:
        """``(groups,)``: what was found; before the search is done the middle of its interval. NaN where unwanted."""
        ends = [floats(end).astype(np.float64) for end in (self.low, np.maximum(self.high - 1, self.low))]
        return np.where(self.wanted, (ends[0] + ends[1]) / 2, np.nan)


def virtual_index(percentile: float, count: Ints) -> NDArray[np.float64]:
    """Where a percentile lies between ranks, linear as in ``numpy.percentile``."""
    return np.asarray(percentile / 100, np.float64) * (count - 1)


def interpolate(
    low: NDArray[np.float64], high: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Between two neighbours, with the rounding of ``numpy.percentile`` on float64."""
    gap = high - low
    result: NDArray[np.float64] = np.where(weight < 0.5, low + gap * weight, high - gap * (1 - weight))
    return np.where(gap == 0, low, result)
