"""The histogram of all positive values, in bins whose width is at most 0.8 % of what lies in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests.float_bits import INFINITY, MANTISSA, patterns
from spikewright.calibration.requests.request import Accumulator, Arrays, Counted, Totals, Values
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor

MANTISSA_BITS = 7
SHIFT = MANTISSA - MANTISSA_BITS
"""Low bits of a pattern that a bin leaves open: 2^7 bins an octave, of a relative width of 2^-7 at most."""
OCTAVES, CHANNEL_OCTAVES = 256, 24
"""Octaves that bins cover: for a layer all that float32 has, for a channel those right below its largest value. What is
smaller than 2^-24 of that value lies below its rounding in float32."""
CHUNK = 1 << 16
"""Values that numpy counts at once: they stay in cache."""
NUMPY_IS_FASTER = 2
"""Threads up to which numpy, in one of them, counts a layer sooner than torch in all of them."""
FEW = np.iinfo(np.int32).max
"""Up to so many values of a group are counted in 32 bits."""


def bytes_of_channels(channels: int, values: int = 0) -> int:
    """The memory of a histogram of every channel.

    12 KiB a channel: 165 MB for all 13,416 channels of VGG16 (4,224 of convolutions, 9,192 of linear layers); twice
    that for a layer of which a channel has more than 2^31 values.

    Args:
        channels: how many.
        values: of each.
    """
    return channels * (CHANNEL_OCTAVES << MANTISSA_BITS) * (4 if values <= FEW else 8)


@dataclass(frozen=True, eq=False)
class Distribution:
    """The values of a population over the whole data set, as a histogram with logarithmic bins.

    Bin k of a group lies between the float32 numbers with the patterns ``(first + k) << 16`` and one more: 128 bins an
    octave, each at most 2^-7 (0.78 %) wide, but for the smallest numbers (below 2^-126), which float32 itself holds
    coarsely. Of a layer they reach over all of float32, of a channel over the 24 octaves below its largest value.

    Attributes:
        counts: ``(bins,)``, or ``(channels, bins)``; of channels in 32 bits where these suffice.
        first: ``()`` or ``(channels,)``: the number of the first bin.
        below: ``()`` or ``(channels,)``: how many positive values lie below the first bin.
        zeros: ``()`` or ``(channels,)``: how many values are 0 once rectified.
    """

    counts: NDArray[np.integer[Any]]
    first: NDArray[np.int64]
    below: NDArray[np.int64]
    zeros: NDArray[np.int64]

    __repr__ = brief

    @property
    def edges(self) -> NDArray[np.float64]:
        """``(bins + 1,)`` or ``(channels, bins + 1)``: the borders of the bins."""
        number = self.first[..., None] + np.arange(self.counts.shape[-1] + 1)
        bits = np.minimum(number << SHIFT, INFINITY).astype(np.uint32)  # patterns beyond infinity are no numbers
        return np.asarray(bits.view(np.float32), np.float64)

    @property
    def centres(self) -> NDArray[np.float64]:
        """``(bins,)`` or ``(channels, bins)``: the middle of each bin; the largest float32 where there is none."""
        edges = np.minimum(self.edges, np.finfo(np.float32).max)
        return (edges[..., :-1] + edges[..., 1:]) / 2


@dataclass(frozen=True)
class Histogram(Counted[Distribution]):
    """The histogram of all rectified values.

    Attributes:
        channels: one of each channel, or one of the layer.
    """

    channels: bool = False
    names: ClassVar[tuple[str, ...]] = ("counts", "first", "below", "zeros")

    @property
    def key(self) -> str:
        return "histogram" + (",channels" if self.channels else "")

    @classmethod
    def parse(cls, key: str) -> Self | None:
        return {"histogram": cls(), "histogram,channels": cls(channels=True)}.get(key)

    def accumulator(self, channels: int, one_pass: bool = False) -> HistogramCounts:  # noqa: ARG002
        return HistogramCounts(channels if self.channels else 1, self.channels)

    def found(self, arrays: Arrays) -> Distribution:
        return Distribution(**arrays)

    def check(self, arrays: Arrays, totals: Totals) -> None:
        positives, zeros = totals.sizes(self.channels)
        groups = positives.shape if self.channels else ()
        bins = (CHANNEL_OCTAVES if self.channels else OCTAVES) << MANTISSA_BITS
        shapes = {"counts": (*groups, bins), "first": groups, "below": groups, "zeros": groups}
        for name, shape in shapes.items():
            kinds = (np.int32, np.int64) if name == "counts" and self.channels else (np.int64,)
            if arrays[name].dtype not in kinds or arrays[name].shape != shape or (arrays[name] < 0).any():
                raise ValueError(f"its {name} cannot be {arrays[name].dtype} {arrays[name].shape} with such values")
        seen = arrays["counts"].sum(axis=-1) + arrays["below"]
        if (arrays["zeros"] != zeros).any() or (seen != positives).any() or (arrays["first"] > OCTAVES << 7).any():
            raise ValueError("its counts are not those of the population")


class HistogramCounts(Accumulator):
    """Counts the values of each group (a channel, or the layer) by the upper 16 bits of their patterns.

    The window of octaves of a channel ends with its largest value so far. When that rises, the counts of the octaves
    that fall out at the bottom are forgotten: they are what is missing of all positive values, which are counted
    anyway. So the order of values and of merging does not matter.

    Args:
        groups: channels, or 1 for the layer.
        windowed: whether only so many octaves are kept of each group.
    """

    def __init__(self, groups: int, windowed: bool) -> None:
        self.windowed = windowed
        self.octaves = CHANNEL_OCTAVES if windowed else OCTAVES
        self.bins = self.octaves << MANTISSA_BITS
        self.top = np.full(groups, self.octaves, np.int64)  # the octave behind the window
        self.values = 0
        self.slots = np.zeros((groups, self.bins + 1), np.int32 if windowed else np.int64)
        self.finished = False

    @property
    def counts(self) -> NDArray[Any]:
        """``(groups, bins)``; the slot before them is for all that lies below, zeros too, which nobody reads."""
        return self.slots[:, 1:]

    @property
    def passes_left(self) -> int:
        return 0 if self.finished else 1

    def fresh(self) -> HistogramCounts:
        return HistogramCounts(len(self.slots), self.windowed)

    @property
    def first(self) -> NDArray[np.int64]:
        """``(groups,)``: the number of the first bin; bin 0 holds zeros and so is never one of them."""
        return np.asarray(np.maximum((self.top - self.octaves) << MANTISSA_BITS, 1))

    def add(self, values: Values) -> None:
        if self.windowed:
            largest = values.maximum.astype(np.float32).view(np.int32).astype(np.int64)
            self._widen((largest >> MANTISSA) + 1)
        self._hold(values.count // len(self.slots))
        if values.seen is not None and not self.windowed:
            self.slots[0, :-1] += values.seen.histogram
            return
        rows = patterns(values.rows)
        if rows.device.type != "cpu":
            self._count_there(rows)
        elif self.windowed:
            channels = np.array_split(np.arange(rows.shape[1]), values.threads)
            values.each(lambda some: self._count_channels(rows, some, values.chunk), [c for c in channels if len(c)])
        elif values.threads <= NUMPY_IS_FASTER:
            self.slots += self._counted_alone(rows.reshape(-1).numpy())
        else:
            parts = rows.reshape(-1).tensor_split(values.threads)
            self.slots += sum(values.each(lambda part: self._counted(part, values.chunk), list(parts)))

    def _counted(self, pattern: Tensor, chunk: int) -> NDArray[np.int64]:
        """``(1, slots)``: counts of patterns ``(values,)`` of a layer."""
        import torch

        found = torch.zeros(self.slots.shape[1], dtype=torch.int64)
        one = torch.ones(1, dtype=torch.int64)
        for start in range(0, len(pattern), chunk):
            slot = (pattern[start : start + chunk] >> SHIFT).clamp_(min=0).long()
            found.scatter_add_(0, slot, one.expand(len(slot)))
        return found.numpy()[None]

    def _counted_alone(self, pattern: NDArray[np.int32]) -> NDArray[np.int64]:
        """The same in one thread: numpy counts twice as fast as torch, and lets no other thread count meanwhile."""
        upper = pattern.view(np.uint16)[1 if sys.byteorder == "little" else 0 :: 2]
        found = np.zeros(1 << (32 - SHIFT), np.int64)
        for start in range(0, len(upper), CHUNK):
            part = np.bincount(upper[start : start + CHUNK])
            found[: len(part)] += part
        positive = 1 << (31 - SHIFT)
        found[0] += found[positive:].sum()  # with a sign: zeros
        return np.append(found[:positive], 0)[None]

    def _count_channels(self, rows: Tensor, channels: NDArray[np.int64], chunk: int) -> None:
        """Count patterns ``(B, C, positions)`` of neighbouring channels into their own slots."""
        import torch

        first, last = int(channels[0]), int(channels[-1]) + 1
        slots = torch.from_numpy(self.slots[first:last].reshape(-1))
        one = torch.ones(1, dtype=slots.dtype)
        before = torch.from_numpy((self.first[first:last, None] - 1).astype(np.int32))
        starts = torch.arange(last - first)[:, None] * self.slots.shape[1]
        width = max(1, min(rows.shape[2], chunk // (last - first)))
        samples = max(1, chunk // ((last - first) * width))
        for sample in range(0, len(rows), samples):
            for position in range(0, rows.shape[2], width):
                part = rows[sample : sample + samples, first:last, position : position + width]
                slot = (part >> SHIFT).sub_(before).clamp_(min=0) + starts
                slots.scatter_add_(0, slot.reshape(-1), one.expand(slot.numel()))

    def _count_there(self, rows: Tensor) -> None:
        """Count patterns ``(B, C, positions)`` where they are."""
        import torch

        groups, width = self.slots.shape
        slot = rows >> SHIFT
        if self.windowed:
            slot.sub_(torch.from_numpy((self.first[:, None] - 1).astype(np.int32)).to(rows.device))
        slot.clamp_(min=0)
        if self.windowed:
            slot.add_(torch.arange(groups, dtype=torch.int32, device=rows.device)[:, None] * width)
        table = torch.bincount(slot.reshape(-1), minlength=groups * width).reshape(groups, width)
        np.add(self.slots, table.cpu().numpy(), out=self.slots, casting="unsafe")

    def _hold(self, values: int) -> None:
        """Make room for the counts of so many more values a group."""
        self.values += values
        if self.values > FEW and self.slots.dtype == np.int32:
            self.slots = self.slots.astype(np.int64)

    def _widen(self, top: NDArray[np.int64]) -> None:
        """Move the windows of groups with larger values up."""
        before = self.first
        self.top = np.maximum(self.top, top)
        for group in np.flatnonzero(self.first > before):
            moved = min(int(self.first[group] - before[group]), self.bins)
            self.counts[group, : self.bins - moved] = self.counts[group, moved:].copy()
            self.counts[group, self.bins - moved :] = 0

    def merge(self, other: HistogramCounts) -> None:
        self._widen(other.top)
        self._hold(other.values)
        for group, gap in enumerate(self.first - other.first):
            if gap < self.bins:
                self.counts[group, : self.bins - gap] += other.counts[group, gap:].astype(self.counts.dtype)

    def finish_pass(self, totals: Totals, needed: Mapping[str, Accumulator]) -> None:  # noqa: ARG002
        self.finished = True

    def below(self, totals: Totals) -> NDArray[np.int64]:
        """``(groups,)``: how many positive values lie below the first bin."""
        return np.asarray(totals.sizes(self.windowed)[0] - self.counts.sum(axis=1, dtype=np.int64))

    def arrays(self, totals: Totals) -> Arrays:
        found = {
            "counts": self.counts,
            "first": self.first,
            "below": self.below(totals),
            "zeros": totals.sizes(self.windowed)[1],
        }
        return found if self.windowed else {name: np.asarray(array[0]) for name, array in found.items()}
