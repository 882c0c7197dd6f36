"""The slope of a fast sigmoid, x/(1 + |x|)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """``g(v) = 1 / (1 + k·|v − θ|)²``.

    Source: the surrogate of SuperSpike, Zenke and Ganguli 2018 (arXiv 1705.11146), as snnTorch has it.

    Attributes:
        k: the steepness, 1/potential; the slope at the threshold is 1, at a distance of 1/k a quarter of it.
    """

    k: float = 25.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("k")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        return (1 + self.k * (v - threshold).abs()) ** -2
