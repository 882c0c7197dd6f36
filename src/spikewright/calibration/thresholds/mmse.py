"""λ makes the least mean squared error of clipping and rounding to T levels (Li et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Histogram
from spikewright.calibration.rounding import least_error
from spikewright.calibration.tails import HistogramTails
from spikewright.calibration.thresholds._for_timesteps import ForTimesteps
from spikewright.calibration.thresholds.method import NodeFacts

RARE = 10
"""A channel with fewer positive activations says too little of its distribution, and takes the λ of the layer."""


@dataclass(frozen=True)
class Mmse(ForTimesteps):
    """``λ = argmin Σ (a − (λ/T)·clip(floor(a·T/λ + v_init), 0, φ·T))²`` over all activations, from their histogram.

    Li et al. 2021, eq. 10, with the rounding of the neurons that will be there: their initial potential ``v_init``, and
    φ where they send up to φ spikes a step. λ is never above the largest activation.
    """

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
        scale = least_error(HistogramTails.of(found), np.where(positives > 0, highest, 1.0), self.levels(node))
        return np.where(positives >= (RARE if channels else 1), scale, np.nan)
