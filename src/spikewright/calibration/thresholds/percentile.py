"""λ is a high percentile of the activations (Rueckauer et al. 2017): outliers saturate, everything else is faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import Quantile
from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.errors import SettingsError


@dataclass(frozen=True)
class Percentile(Method):
    """``λ = percentile(a)`` over the positive activations.

    Attributes:
        percentile: above 0 and at most 100.
        channels: one λ for each channel.
        schedule: how much lower the percentile is with each further weighted layer; 0.02 is SNN Toolbox's rule
            (whose code truncates the result to a whole number; this does not).
        zeros: over all rectified activations, zeros included.
    """

    percentile: float = 99.9
    channels: bool = False
    schedule: float = 0.0
    zeros: bool = False
    main: ClassVar[str | None] = "percentile"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.percentile <= 100:
            raise SettingsError(f"percentile: must be above 0 and at most 100, not {self.percentile:g}")
        if self.schedule < 0:
            raise SettingsError(f"percentile: schedule must be 0 or more, not {self.schedule:g}")

    def _request(self, layer: int, channels: bool) -> Quantile:
        return Quantile(max(self.percentile - self.schedule * layer, 0.0), channels, self.zeros)

    def requests(self, layer: int) -> tuple[Quantile, ...]:
        return tuple(self._request(layer, channels) for channels in {False, self.channels})

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        return node[self._request(node.layer, self.channels)]

    def whole(self, node: NodeFacts) -> float:
        return float(node[self._request(node.layer, channels=False)])
