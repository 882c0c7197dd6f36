"""Intervals that hold a score in 95 of 100 draws of samples: of one network, and of two on the same samples.

Shares of samples that are right have formulas: Wilson's interval, and for two networks that are asked the same samples
the interval of Agresti and Min for paired shares. Other scores, whose samples count more or less, are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
Z = 1.959963984540054
"""The quantile of a normal distribution that leaves 2.5 % on each side."""
DRAWS = 2000
SEED = 0
"""The seed of the draws, so that an interval is the same every time."""

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low, high: its ends.
    """

    low: float
    high: float

    def text(self, percent: bool) -> str:
        """``91.2 to 95.9`` of shares in percent, of other values their digits."""
        return " to ".join(
            (f"{100 * e:.1f}" if percent else f"{e:.3g}").replace("-", "−") for e in (self.low, self.high)
        )

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval(values: Values) -> Interval | None:
    """The interval of the mean of what each sample scored; None of fewer than two samples.

    Args:
        values: ``(N,)``; of 0 and 1 the interval is Wilson's (1927), else that of 2,000 draws of N samples.
    """
    if len(values) < 2:
        return None
    if not _shares(values):
        return _drawn(values)
    return wilson(float(values.mean(dtype=np.float64)), len(values))


def wilson(share: float, count: int) -> Interval:
    """Wilson's interval (1927) of a share.

    Args:
        share: of samples that are right.
        count: of samples.
    """
    n, p = count, share
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def paired_interval(first: Values, second: Values) -> Interval | None:
    """The interval of how much more the first of two scores on the same samples; None of fewer than two samples.

    Of 0 and 1 it is Wald's interval for paired shares, with half a sample added to each of the four kinds of pairs
    (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions"); else that of 2,000
    draws of pairs.

    Args:
        first: ``(N,)``: what each sample scored.
        second: the same of the other network, in the same order of samples.
    """
    if len(first) < 2:
        return None
    if not (_shares(first) and _shares(second)):
        return _drawn(np.asarray(first, np.float64) - second)
    more, less = float(((first == 1) & (second == 0)).sum()) + 0.5, float(((first == 0) & (second == 1)).sum()) + 0.5
    n = len(first) + 2
    middle, reach = (more - less) / n, Z * sqrt(more + less - (more - less) ** 2 / n) / n
    return Interval(max(-1.0, middle - reach), min(1.0, middle + reach))


def _shares(values: Values) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _drawn(values: Values) -> Interval:
    """Percentiles of the means of samples drawn with replacement, some draws at a time."""
    random, n = np.random.default_rng(SEED), len(values)
    few = max(1, 2**21 // n)
    means = [values[random.integers(0, n, (min(few, DRAWS - k), n))].mean(axis=1) for k in range(0, DRAWS, few)]
    low, high = np.percentile(np.concatenate(means), [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Interval(float(low), float(high))
