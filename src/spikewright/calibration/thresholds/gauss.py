"""λ makes the least expected squared error of normally distributed activations: from mean and variance alone (H-MT)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Moments
from spikewright.calibration.rounding import SMALLEST, least_error
from spikewright.calibration.tails import NormalTails
from spikewright.calibration.thresholds._for_timesteps import ForTimesteps
from spikewright.calibration.thresholds.method import NodeFacts

LEAST = 1e-6
"""A standard deviation below this part of the mean is none: all activations are alike."""
WIDEST = 8.0
"""Standard deviations above the mean, behind which no λ lies."""


@dataclass(frozen=True)
class Gauss(ForTimesteps):
    """``λ = argmin E (a − (λ/T)·clip(floor(x·T/λ + v_init), 0, φ·T))²`` for ``x ~ N(μ, σ²)``, ``a = max(x, 0)``.

    The threshold iteration of H-MT (2026) goes to such a λ; μ and σ are those of the values before rectification. As
    ``mmse`` it heeds the neurons' initial potential, and φ where they send up to φ spikes a step. λ is never above the
    largest activation.
    """

    def requests(self, layer: int) -> tuple[Moments, ...]:  # noqa: ARG002
        return tuple(Moments(channels, before_relu=True) for channels in {False, self.channels})

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        best = self._best(node, self.channels)
        return np.minimum(best, node.maximum) if self.channels else np.minimum(best[0], np.max(node.maximum))

    def whole(self, node: NodeFacts) -> float:
        return float(np.minimum(self._best(node, channels=False)[0], np.max(node.maximum)))

    def _best(self, node: NodeFacts, channels: bool) -> NDArray[np.float64]:
        """``(channels,)`` or ``(1,)``; NaN where nothing is positive."""
        moments = node[Moments(channels, before_relu=True)]
        mean, deviation = np.atleast_1d(moments.mean), np.sqrt(np.atleast_1d(moments.variance))
        deviation = np.maximum(deviation, LEAST * np.maximum(np.abs(mean), SMALLEST))
        ceiling = np.inf if node.ceiling is None else node.ceiling
        highest = np.minimum(np.maximum(mean, 0) + WIDEST * deviation, ceiling)
        return least_error(NormalTails(mean, deviation, ceiling), highest, self.levels(node))
