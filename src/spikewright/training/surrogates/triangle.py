"""A triangle around the threshold: nothing learns that is further away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Triangle(Surrogate):
    """``g(v) = max(0, α − α²·|v − θ|)``.

    It is zero at a distance of 1/α, with an area of 1. Sources: Esser et al. 2016 (arXiv 1603.08270), Bellec et al.
    2018 (arXiv 1803.09574); SpikingJelly calls it PiecewiseQuadratic.

    Attributes:
        alpha: the height, at the threshold, 1/potential.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("alpha")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        return (self.alpha - self.alpha**2 * (v - threshold).abs()).clamp(min=0)
