"""λ makes the least mean squared error of clipping and rounding to T levels (Li et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Histogram
from spikewright.calibration.rounding import USUAL, Levels, least_error
from spikewright.calibration.tails import HistogramTails
from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.timesteps import Timesteps

RARE = 10
"""A channel with fewer positive activations says too little of its distribution, and takes the λ of the layer."""


@dataclass(frozen=True)
class Mmse(Method):
    """``λ = argmin Σ (a − (λ/T)·clip(floor(a·T/λ + v_init), 0, φ·T))²`` over all activations, from their histogram.

    Li et al. 2021, eq. 10, with the rounding of the neurons that will be there: their initial potential ``v_init``, and
    φ where they send up to φ spikes a step. λ is never above the largest activation.

    Attributes:
        timesteps: T. Of a range λ has the least sum of errors, each relative to the least at its own T.
        channels: one λ for each channel.
    """

    timesteps: Timesteps = USUAL
    channels: bool = False
    main: ClassVar[str | None] = "timesteps"

    def __post_init__(self) -> None:
        object.__setattr__(self, "timesteps", Timesteps.of(self.timesteps))
        super().__post_init__()

    def requests(self, layer: int) -> tuple[Histogram, ...]:  # noqa: ARG002
        return tuple(Histogram(channels) for channels in {False, self.channels})

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        best = self._best(node, self.channels)
        return best if self.channels else best[0]

    def whole(self, node: NodeFacts) -> float:
        return float(self._best(node, channels=False)[0])

    def _best(self, node: NodeFacts, channels: bool) -> NDArray[np.float64]:
        """``(channels,)`` or ``(1,)``; NaN where there is too little to go by."""
        found = node[Histogram(channels)]
        highest = node.maximum if channels else np.max(node.maximum, keepdims=True)
        positives = np.atleast_1d(found.counts.sum(axis=-1) + found.below)
        levels = [Levels.of(node.neurons, t) for t in self.timesteps.values]
        scale = least_error(HistogramTails.of(found), np.where(positives > 0, highest, 1.0), levels)
        return np.where(positives >= (RARE if channels else 1), scale, np.nan)
