"""λ is a fraction of the largest activation: the plainest trade of clipping against speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.errors import SettingsError


@dataclass(frozen=True)
class Scale(Method):
    """``λ = factor · max(a)``.

    Attributes:
        factor: in (0, 1].
        channels: one λ for each channel.
    """

    factor: float = 1.0
    channels: bool = False
    main: ClassVar[str | None] = "factor"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.factor <= 1:
            raise SettingsError(f"scale: the factor must be above 0 and at most 1, not {self.factor:g}")

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        return self.factor * (node.maximum if self.channels else np.asarray(np.max(node.maximum)))

    def whole(self, node: NodeFacts) -> float:
        return self.factor * super().whole(node)
