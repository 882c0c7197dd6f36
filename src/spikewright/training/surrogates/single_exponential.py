"""An exponential on both sides of the threshold, as wide as the threshold is high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SingleExponential(Surrogate):
    """``g(v) = exp(−|v − θ|/(θ·width)) / (θ·width)``.

    Source: Shrestha and Orchard 2018 (SLAYER, arXiv 1810.08646), as sinabs 3.1.3 has it, which takes it unless told
    otherwise.

    Attributes:
        width: as a part of the threshold.
        scale: a factor.
    """

    width: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("width", "scale")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        tau = threshold * self.width
        return self.scale * (-(v - threshold).abs() / tau).exp() / tau
