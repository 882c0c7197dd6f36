"""λ is learnt while the data pass by, each layer's clipping felt by the next (Bu et al., CVPR 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import LocalThresholdBalancing
from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.settings import LARGEST, whole


@dataclass(frozen=True)
class Ltb(Method):
    """Local threshold balancing: ``λ ← λ + 2·mean(max(a − λ, 0))`` batch after batch, from 0, where ``a`` are the
    activations of a network whose earlier layers are clipped at their λ already; one λ for each channel.

    The order of the samples matters, so that it takes a run of its own over the data, which cannot be cut into parts.
    Few batches favour few timesteps: λ keeps growing with their number.

    Attributes:
        batches: how many.
        size: samples of each.
        seed: of the order of the samples, which go round and round until there were so many batches.
    """

    batches: int = 100
    size: int = 100
    seed: int = 0
    main: ClassVar[str | None] = "batches"

    def __post_init__(self) -> None:
        for label, least, most in (("batches", 1, 10**5), ("size", 1, 10**5), ("seed", 0, LARGEST)):
            object.__setattr__(self, label, whole(f"ltb: {label}", getattr(self, label), least, most))
        super().__post_init__()

    @property
    def _request(self) -> LocalThresholdBalancing:
        return LocalThresholdBalancing(self.batches, self.size, self.seed)

    def requests(self, layer: int) -> tuple[LocalThresholdBalancing, ...]:  # noqa: ARG002
        return (self._request,)

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:
        return node[self._request]

    def whole(self, node: NodeFacts) -> float:
        return float(np.max(self.scale(node)))
