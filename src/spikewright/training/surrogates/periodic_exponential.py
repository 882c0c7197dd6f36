"""An exponential around every multiple of the threshold, for neurons that send several spikes a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PeriodicExponential(Surrogate):
    """``g(v) = exp(−|u|/width)``: ``u = v − θ`` below the threshold, above it the distance to the nearest multiple.

    That distance is ``u = θ·(2·frac(v/θ − 1/2) − 1)``, which is twice as long as the way to the multiple itself.
    Source: Weidel and Sheik 2021 (arXiv 2111.01456), as sinabs 3.1.3 has it.

    Attributes:
        width: in units of the potential.
        scale: the height at a multiple of the threshold.
    """

    width: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("width", "scale")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        shifted = v / threshold - 0.5
        above = threshold * (2 * (shifted - shifted.floor()) - 1)
        u = (v - threshold).where(v < threshold, above)
        return self.scale * (-u.abs() / self.width).exp()
