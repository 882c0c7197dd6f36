"""A normal distribution with negative sides: neurons near the threshold against those around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate
from spikewright.training.surrogates.gaussian import normal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MultiGaussian(Surrogate):
    """``g(v) = (1 + h)·N(x; mu, σ) − h·N(x; σ, s·σ) − h·N(x; −σ, s·σ)`` with ``x = v − θ``.

    Source: Yin, Corradi and Bohté 2021 (arXiv 2103.12593), as sinabs 3.1.3 has it.

    Attributes:
        sigma: the width of the middle, in units of the potential.
        mu: where the middle is, from the threshold on.
        h: the height of the sides.
        s: how much wider the sides are.
        scale: a factor.
    """

    sigma: float = 0.5
    mu: float = 0.0
    h: float = 0.15
    s: float = 6.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("sigma", "s", "scale")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        x, wide = v - threshold, self.s * self.sigma
        sides = normal(x, self.sigma, wide) + normal(x, -self.sigma, wide)
        return self.scale * ((1 + self.h) * normal(x, self.mu, self.sigma) - self.h * sides)
