"""A normal distribution around the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """``g(v) = scale·N(v − θ; mu, sigma)``.

    ``N(x; μ, σ) = exp(−(x − μ)²/2σ²) / (σ·√2π)``. Source: Yin et al. 2020 (arXiv 2005.11633), as sinabs 3.1.3 has it.

    Attributes:
        sigma: the width, in units of the potential.
        mu: where the middle is, from the threshold on.
        scale: a factor.
    """

    sigma: float = 0.5
    mu: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("sigma", "scale")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        return self.scale * normal(v - threshold, self.mu, self.sigma)


def normal(x: Tensor, mu: float, sigma: float) -> Tensor:
    """The density of a normal distribution with mean ``mu`` and standard deviation ``sigma`` at ``x``."""
    return (-((x - mu) ** 2) / (2 * sigma**2)).exp() / (sigma * sqrt(2 * pi))
