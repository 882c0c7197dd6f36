"""λ is half of the largest activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.thresholds.method import Method, NodeFacts


@dataclass(frozen=True)
class Half(Method):
    """``λ = max(a) / 2``, one for each layer."""

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        return np.asarray(np.max(node.maximum) / 2)
