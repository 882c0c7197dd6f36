"""The slope of an arc tangent: long tails, so that neurons far from their threshold learn too."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ATan(Surrogate):
    """``g(v) = (α/2) / (1 + (π/2·α·(v − θ))²)``.

    The derivative of ``arctan(π/2·α·x)/π + 1/2``. Source: Fang et al. 2021 (arXiv 2007.05785); the surrogate that
    snnTorch takes unless told otherwise, one of SpikingJelly.

    Attributes:
        alpha: the steepness, 1/potential; the slope at the threshold is α/2.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("alpha")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        import torch

        x = v - threshold
        top, steep = x.new_full((), 2 / self.alpha), pi**2 / 2 * self.alpha  # g = 1 / (2/α + π²/2·α·x²)
        return torch.addcmul(top, x, x, value=steep, out=x).reciprocal_()  # one tensor in all
