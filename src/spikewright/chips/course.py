"""Synaptic operations per second over the time of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINTS = 400
"""So many points are more than a page or a screen tells apart."""


@dataclass(frozen=True, eq=False)
class Course:
    """What one core does over time, in windows; all arrays are ``(windows,)``.

    Attributes:
        begins: the second at which each window begins.
        mean: synaptic operations per second in it, on average over samples.
        most: the most of any sample.
    """

    begins: Floats
    mean: Floats
    most: Floats

    @property
    def peak(self) -> tuple[float, float]:
        """The most of all windows, and the second at which that one begins: the first of several."""
        first = int(self.most.argmax())
        return float(self.most[first]), float(self.begins[first])

    def thinned(self, points: int = POINTS) -> Course:
        """The same with at most so many points, each for windows in a row: their mean, and their most."""
        if len(self.begins) <= points:
            return self
        starts = np.linspace(0, len(self.begins), points, endpoint=False).astype(np.int64)
        counts = np.diff([*starts, len(self.begins)])
        means = np.add.reduceat(self.mean, starts) / counts
        return Course(self.begins[starts], means, np.maximum.reduceat(self.most, starts))

    def summary(self) -> dict[str, Any]:
        """Its points, thinned, as plain JSON-like values."""
        few = self.thinned()
        return {label: getattr(few, label).tolist() for label in ("begins", "mean", "most")}


def course(
    totals: NDArray[Any], mosts: NDArray[Any], samples: NDArray[Any] | float, step: float, width: float
) -> Course:
    """A course from counts of windows.

    Args:
        totals: of each window, over all samples.
        mosts: the most of any sample.
        samples: how many; where some end before the others, how many there are in each window, a part for a part of it.
        step: seconds from one window to the next.
        width: seconds of a window.
    """
    begins = np.arange(len(totals), dtype=np.float64) * step
    return Course(begins, np.asarray(totals, np.float64) / (samples * width), np.asarray(mosts, np.float64) / width)
