"""A percentile, exactly: equal to ``numpy.percentile`` in double precision over all float32 values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests._largest import Largest, LargestValues
from spikewright.calibration.requests.float_bits import INFINITY, floats
from spikewright.calibration.requests.histogram import SHIFT, Histogram, HistogramCounts
from spikewright.calibration.requests.ranks import IntervalCounts, RankSearch, interpolate, virtual_index
from spikewright.calibration.requests.request import Accumulator, Arrays, Counted, Totals, Values


@dataclass(frozen=True)
class Quantile(Counted[NDArray[np.float64]]):
    """A percentile of the rectified values.

    What is found is ``()`` or ``(channels,)``; NaN where no value is positive.

    Attributes:
        percentile: 0 to 100.
        channels: one for each channel, or one for the layer.
        zeros: over all rectified values; else over the positive ones only.
    """

    percentile: float
    channels: bool = False
    zeros: bool = False
    names: ClassVar[tuple[str, ...]] = ("values",)

    @property
    def key(self) -> str:
        return f"{self.percentile:.10g}" + (",channels" if self.channels else "") + (",zeros" if self.zeros else "")

    @classmethod
    def parse(cls, key: str) -> Self | None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-\d+)?)(,channels)?(,zeros)?", key)
        made = found and cls(float(found[1]), bool(found[2]), bool(found[3]))
        return made if made and made.percentile <= 100 else None

    @property
    def needs(self) -> tuple[Counted[Any], ...]:
        return (Histogram(self.channels),)

    def accumulator(self, channels: int, one_pass: bool = False, largest: Largest | None = None) -> QuantileSearch:
        """What finds it; among the ``largest`` values in the first pass where such are kept."""
        groups = channels if self.channels else 1
        return QuantileSearch(self, groups, one_pass and not self.channels, None if largest is None else largest.key)

    def found(self, arrays: Arrays) -> NDArray[np.float64]:
        return arrays["values"]

    def check(self, arrays: Arrays, totals: Totals) -> None:
        values = arrays["values"]
        active = totals.positives > 0 if self.channels else totals.positives.any()
        if values.dtype != np.float64 or values.shape != (totals.positives.shape if self.channels else ()):
            raise ValueError(f"{self} cannot be {values.dtype} {values.shape}")
        if (np.isnan(values) & active).any() or (values < 0).any() or np.isinf(values).any():
            raise ValueError(f"{self} is no number")

    def __str__(self) -> str:
        return f"percentile {self.key}"


class QuantileSearch(Accumulator):
    """Looks for the two neighbours of a percentile: among the largest values, then by searches.

    The first pass is that of the largest values, or of the histogram; where the neighbours are not among those values,
    searches start from the histogram, which takes a pass of its own where nobody else asked for one.

    Args:
        request: what is wanted.
        groups: channels, or 1 for the layer.
        one_pass: whether to be content with the middle of a bin.
        largest: key of the largest values that the first pass keeps; None where it keeps none.
    """

    def __init__(self, request: Quantile, groups: int, one_pass: bool, largest: str | None) -> None:
        self.request, self.groups, self.one_pass, self.largest = request, groups, one_pass, largest
        self.known = np.zeros((2, groups), bool)
        self.patterns = np.zeros((2, groups), np.int64)
        self.histogram: HistogramCounts | None = None
        self.sides: tuple[RankSearch, ...] = ()
        self.counting: dict[tuple[bytes, bytes], IntervalCounts] = {}
        self.finished = False

    @property
    def passes_left(self) -> int:
        if self.finished:
            return 0
        first = self.histogram is None and not self.counting
        return 1 if self.counting or self.one_pass or (first and self.largest) else 2

    def fresh(self) -> QuantileSearch:
        made = QuantileSearch(self.request, self.groups, self.one_pass, self.largest)
        made.histogram = None if self.histogram is None else self.histogram.fresh()
        made.counting = {key: counts.fresh() for key, counts in self.counting.items()}
        return made

    @property
    def floor(self) -> NDArray[np.int64] | None:
        lowest = [np.where(c.high - c.low > 1, c.low, INFINITY) for c in self.counting.values()]
        return np.min(lowest, axis=0) if lowest else None

    def add(self, values: Values) -> None:
        if self.histogram is not None:
            self.histogram.add(values)
        if self.counting:
            pattern, group = values.upper
            for counts in self.counting.values():
                counts.add(pattern, group if self.groups > 1 else np.zeros_like(group))

    def merge(self, other: QuantileSearch) -> None:
        if self.histogram is not None:
            assert other.histogram is not None
            self.histogram.merge(other.histogram)
        for key, counts in self.counting.items():
            counts.merge(other.counting[key])

    def finish_pass(self, totals: Totals, needed: Mapping[str, Accumulator]) -> None:
        if self.counting:
            for side in self.sides:
                if not side.done:
                    side.narrow(self.counting[side.intervals().key])
        elif self.histogram is not None:
            self._search(totals, self.histogram)
            self.histogram = None
        else:
            if self.largest is not None:
                self._look_among(totals, needed[self.largest])
            histogram = needed.get(Histogram(self.request.channels).key)
            if isinstance(histogram, HistogramCounts):
                self._search(totals, histogram)
            elif not self._all_known(totals):
                self.histogram = HistogramCounts(self.groups, self.request.channels)
        self.counting = {made.key: made for made in (s.intervals() for s in self.sides if not s.done)}
        self.finished = self.one_pass or not (self.counting or self.histogram)

    def _look_among(self, totals: Totals, largest: Accumulator) -> None:
        assert isinstance(largest, LargestValues)
        positives, _ = self._sizes(totals)
        for side, rank in enumerate(self._ranks(totals)):
            self.patterns[side], self.known[side] = largest.at(np.where(rank < 0, -1, positives - 1 - rank))

    def _all_known(self, totals: Totals) -> bool:
        return all((known | (rank < 0)).all() for known, rank in zip(self.known, self._ranks(totals), strict=True))

    def _search(self, totals: Totals, histogram: HistogramCounts) -> None:
        """Go on from a histogram, for what is not known."""
        bins = histogram.below(totals), histogram.counts, histogram.first, SHIFT
        wanted = [np.where(known, -1, rank) for known, rank in zip(self.known, self._ranks(totals), strict=True)]
        self.sides = tuple(RankSearch(ranks, *bins) for ranks in wanted)

    def _sizes(self, totals: Totals) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        positives, zeros = totals.sizes(self.request.channels)
        return positives, zeros * self.request.zeros

    def _ranks(self, totals: Totals) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ranks around the percentile among the positive values; -1 where that is a zero, or there is none."""
        positives, zeros = self._sizes(totals)
        low = np.floor(virtual_index(self.request.percentile, positives + zeros)).astype(np.int64)
        high = np.minimum(low + 1, positives + zeros - 1)
        return np.maximum(low - zeros, -1), np.maximum(high - zeros, -1)

    def arrays(self, totals: Totals) -> Arrays:
        positives, zeros = self._sizes(totals)
        index = virtual_index(self.request.percentile, positives + zeros)
        found = [np.nan_to_num(side.values) for side in self.sides] or [np.zeros(self.groups)] * 2
        low, high = np.where(self.known, floats(self.patterns).astype(np.float64), found)
        value = interpolate(low, high, index - np.floor(index))
        value = np.where(positives > 0, value, np.nan)
        return {"values": value if self.request.channels else np.asarray(value[0])}
