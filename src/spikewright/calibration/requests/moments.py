"""Mean, variance, and the smallest and largest value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests._exact import ExactSums
from spikewright.calibration.requests.request import Accumulator, Arrays, Counted, Totals, Values
from spikewright.text import brief


@dataclass(frozen=True, eq=False)
class MomentSums:
    """Sums over the values of a population.

    Attributes:
        count: ``()`` or ``(channels,)``: how many values there are.
        sum: of them, in double precision.
        squares: the sum of their squares.
        smallest, largest: of the values; infinity and minus infinity where there are none.
    """

    count: NDArray[np.int64]
    sum: NDArray[np.float64]
    squares: NDArray[np.float64]
    smallest: NDArray[np.float64]
    largest: NDArray[np.float64]

    __repr__ = brief

    @property
    def mean(self) -> NDArray[np.float64]:
        """``()`` or ``(channels,)``; NaN where there are no values."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sum / self.count)

    @property
    def variance(self) -> NDArray[np.float64]:
        """``()`` or ``(channels,)``: over all values, without Bessel's correction; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.maximum(self.squares / self.count - self.mean**2, 0))


@dataclass(frozen=True)
class Moments(Counted[MomentSums]):
    """Count, sum, sum of squares, the smallest and the largest value.

    Attributes:
        channels: of each channel, or of the layer.
        zeros: of all rectified values; else of the positive ones only.
        before_relu: of the values before rectification, all of them and with their sign; of an input, of its values
            rather than of their sizes.
    """

    channels: bool = False
    zeros: bool = False
    before_relu: bool = False
    names: ClassVar[tuple[str, ...]] = ("count", "sum", "squares", "smallest", "largest")

    @property
    def key(self) -> str:
        words = (("channels", self.channels), ("zeros", self.zeros), ("before", self.before_relu))
        return ",".join(["moments", *(word for word, said in words if said)])

    @classmethod
    def parse(cls, key: str) -> Self | None:
        name, *words = key.split(",")
        return cls("channels" in words, "zeros" in words, "before" in words) if name == "moments" else None

    @property
    def before(self) -> bool:
        return self.before_relu

    def accumulator(self, channels: int, one_pass: bool = False) -> MomentAccumulator:  # noqa: ARG002
        return MomentAccumulator(channels, positive=not (self.zeros or self.before_relu), by_channel=self.channels)

    def found(self, arrays: Arrays) -> MomentSums:
        return MomentSums(**arrays)

    def check(self, arrays: Arrays, totals: Totals) -> None:
        shape = totals.positives.shape if self.channels else ()
        positives, zeros = totals.sizes(self.channels)
        count = positives if not (self.zeros or self.before_relu) else positives + zeros
        for name in self.names:
            kind = np.dtype(np.int64 if name == "count" else np.float64)
            if arrays[name].dtype != kind or arrays[name].shape != shape or np.isnan(arrays[name]).any():
                raise ValueError(f"its {name} cannot be {arrays[name].dtype} {arrays[name].shape} with such values")
        some = arrays["count"] > 0
        ordered = np.where(some, arrays["smallest"] <= arrays["largest"], True)
        if (arrays["count"] != count).any() or not ordered.all() or (arrays["squares"] < 0).any():
            raise ValueError("its sums contradict each other")


class MomentAccumulator(Accumulator):
    """Adds up in double precision over a batch, channel by channel, and exactly over batches, whatever their order.

    Args:
        channels: of the population.
        positive: whether only positive values count.
        by_channel: whether channels stay apart.
    """

    def __init__(self, channels: int, positive: bool, by_channel: bool) -> None:
        self.positive, self.by_channel = positive, by_channel
        self.count = np.zeros(channels, np.int64)
        self.sum, self.squares = ExactSums(channels), ExactSums(channels)
        self.smallest, self.largest = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.finished = False

    @property
    def passes_left(self) -> int:
        return 0 if self.finished else 1

    def fresh(self) -> MomentAccumulator:
        return MomentAccumulator(len(self.count), self.positive, self.by_channel)

    def add(self, values: Values) -> None:
        import torch

        for rows in values.chunks(values.rows):
            exact = rows.double()
            self.sum.add(exact.sum(dim=(0, 2)).cpu().numpy())
            self.squares.add(exact.square().sum(dim=(0, 2)).cpu().numpy())
            seen = torch.where(rows > 0, rows, torch.inf) if self.positive else rows
            self.smallest = np.minimum(self.smallest, seen.amin(dim=(0, 2)).double().cpu().numpy())
        largest = np.where(values.maximum > 0, values.maximum, -np.inf) if self.positive else values.maximum
        self.largest = np.maximum(self.largest, largest)
        self.count += values.positives if self.positive else values.count // len(self.count)

    def merge(self, other: MomentAccumulator) -> None:
        self.count += other.count
        self.sum.merge(other.sum)
        self.squares.merge(other.squares)
        self.smallest = np.minimum(self.smallest, other.smallest)
        self.largest = np.maximum(self.largest, other.largest)

    def finish_pass(self, totals: Totals, needed: Mapping[str, Accumulator]) -> None:  # noqa: ARG002
        self.finished = True

    def arrays(self, totals: Totals) -> Arrays:  # noqa: ARG002
        if self.by_channel:
            sums = {"sum": self.sum.values, "squares": self.squares.values}
            return {"count": self.count, **sums, "smallest": self.smallest, "largest": self.largest}
        return {
            "count": np.asarray(self.count.sum()),
            "sum": np.asarray(self.sum.whole),
            "squares": np.asarray(self.squares.whole),
            "smallest": np.asarray(self.smallest.min()),
            "largest": np.asarray(self.largest.max()),
        }
