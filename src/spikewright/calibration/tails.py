"""Distributions of activations by their tails: how many values lie above a border, and what they add up to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Distribution
from spikewright.calibration.requests.histogram import SHIFT

Floats = NDArray[np.float64]


class Tails(ABC):
    """A distribution of activations of each of several groups, by how many lie above a border."""

    @abstractmethod
    def some(self, which: slice) -> Tails:
        """Some of the groups."""

    @abstractmethod
    def above(self, border: Floats) -> tuple[Floats, Floats]:
        """How many activations lie from a border up, and their sum, each in the shape of ``border (groups, n)``.

        A border at zero or below has all of them above it, those that are zero too.
        """

    @abstractmethod
    def squares_above(self, border: Floats) -> Floats:
        """The sum of the squares of the activations from a border up, in its shape ``(groups, n)``."""


@dataclass(frozen=True, eq=False)
class HistogramTails(Tails):
    """The tails of a histogram, whose values lie evenly in each bin.

    Attributes:
        counts: ``(groups, bins)``.
        first: ``(groups,)``: the number of the first bin.
        below: ``(groups,)``: how many positive values lie below the first bin.
        zeros: ``(groups,)``: how many values are zero.
    """

    counts: NDArray[np.integer[Any]]
    first: NDArray[np.int64]
    below: NDArray[np.int64]
    zeros: NDArray[np.int64]

    @classmethod
    def of(cls, found: Distribution) -> HistogramTails:
        """Those of a distribution of a layer, one group, or of channels."""
        rest = (np.atleast_1d(array) for array in (found.first, found.below, found.zeros))
        return cls(np.atleast_2d(found.counts), *rest)

    def some(self, which: slice) -> HistogramTails:
        return HistogramTails(self.counts[which], self.first[which], self.below[which], self.zeros[which])

    @cached_property
    def _edges(self) -> Floats:
        found = Distribution(self.counts, self.first, self.below, self.zeros).edges
        return np.minimum(found, np.finfo(np.float32).max)  # beyond are no numbers

    @cached_property
    def _inside(self) -> NDArray[np.complex128]:
        """``(groups, bins)``: how many values lie in a bin, and i times their sum."""
        return np.asarray(self.counts * (1 + 0.5j * (self._edges[:, 1:] + self._edges[:, :-1])))

    @cached_property
    def _squares(self) -> Floats:
        """``(groups, bins)``: the sum of the squares of the values in a bin."""
        low, high = self._edges[:, :-1], self._edges[:, 1:]
        return np.asarray(self.counts * (low**2 + low * high + high**2) / 3)

    @cached_property
    def _sums(self) -> NDArray[np.complex128]:
        """``(groups, bins + 1)``: of each bin and all above it."""
        return _sums_from(self._inside)

    @cached_property
    def _sums_of_squares(self) -> Floats:
        return _sums_from(self._squares)

    def above(self, border: Floats) -> tuple[Floats, Floats]:
        below = self.below * (1 + 0.5j * self._edges[:, 0])
        everything = self._sums[:, 0] + below + self.zeros
        found = np.where(border > 0, self._between(self._sums, border), everything[:, None])
        return found.real, found.imag

    def squares_above(self, border: Floats) -> Floats:
        if not border.any():
            return np.broadcast_to(self._squares.sum(axis=1, keepdims=True), border.shape)
        return self._between(self._sums_of_squares, border)

    def _between(self, sums: NDArray[Any], border: Floats) -> NDArray[Any]:
        """What sums over bins are at borders between theirs."""
        bits = border.clip(0, np.finfo(np.float32).max).astype(np.float32).view(np.int32)
        place = (bits >> SHIFT) - self.first[:, None]
        part = (bits & ((1 << SHIFT) - 1)) * 2.0**-SHIFT  # patterns are linear between the borders of a bin
        width = sums.shape[1]
        part[place < 0] = 0.0
        part[place > width - 2] = 1.0
        low = place.clip(0, width - 2) + width * np.arange(len(sums))[:, None]
        flat = sums.reshape(-1)
        found: NDArray[Any] = flat[low]
        found += part * (flat[low + 1] - found)
        return found


@dataclass(frozen=True, eq=False)
class NormalTails(Tails):
    """The tails of rectified normal distributions, of one value each.

    Attributes:
        mean, deviation: ``(groups,)``: of the values before rectification; deviations are positive.
        ceiling: values above are this; infinity for none.
    """

    mean: Floats
    deviation: Floats
    ceiling: float = np.inf

    def some(self, which: slice) -> NormalTails:
        return NormalTails(self.mean[which], self.deviation[which], self.ceiling)

    def above(self, border: Floats) -> tuple[Floats, Floats]:
        count, total, _ = self._moments(np.maximum(border, 0.0))
        if np.isfinite(self.ceiling):
            beyond = self._moments(np.full((len(self.mean), 1), self.ceiling))
            total = np.where(border <= self.ceiling, total - beyond[1] + self.ceiling * beyond[0], 0.0)
            count = np.where(border <= self.ceiling, count, 0.0)
        return np.where(border > 0, count, 1.0), total

    def squares_above(self, border: Floats) -> Floats:
        inside = self._moments(np.maximum(border, 0.0))[2]
        if np.isinf(self.ceiling):
            return inside
        beyond = self._moments(np.full((len(self.mean), 1), self.ceiling))
        return np.where(border <= self.ceiling, inside - beyond[2] + self.ceiling**2 * beyond[0], 0.0)

    def _moments(self, border: Floats) -> tuple[Floats, Floats, Floats]:
        """The share of values before rectification above a border, and the integrals of them and of their squares."""
        import torch

        mean, deviation = self.mean[:, None], self.deviation[:, None]
        z = np.asarray((border - mean) / deviation)
        share = torch.special.erfc(torch.from_numpy(z * np.sqrt(0.5))).numpy() / 2
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        squares = (mean**2 + deviation**2) * share + (z * deviation + 2 * mean) * deviation * density
        return share, mean * share + deviation * density, squares


def _sums_from(values: NDArray[Any]) -> NDArray[Any]:
    """``(groups, bins + 1)``: for each bin the sum of its values and of those that follow."""
    sums = np.zeros((len(values), values.shape[1] + 1), values.dtype)
    sums[:, :-1] = values[:, ::-1].cumsum(axis=1)[:, ::-1]
    return sums
