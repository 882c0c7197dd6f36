"""λ is the largest activation (Diehl et al. 2015): nothing is clipped, but one outlier slows the whole layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.thresholds.method import Method, NodeFacts


@dataclass(frozen=True)
class Max(Method):
    """``λ = max(a)``.

    Attributes:
        channels: one λ for each channel.
    """

    channels: bool = False

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        return node.maximum if self.channels else np.asarray(np.max(node.maximum))
