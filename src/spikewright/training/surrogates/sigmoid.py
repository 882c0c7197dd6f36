"""The slope of a logistic function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """``g(v) = α·s·(1 − s)`` with ``s = 1/(1 + exp(−α·(v − θ)))``.

    It is computed so that no exponential overflows, however far the potential is away. Source: Zenke and Ganguli 2018
    (arXiv 1705.11146) call it the sigmoidal surrogate; the one that SpikingJelly takes unless told otherwise.

    Attributes:
        alpha: the steepness, 1/potential; the slope at the threshold is α/4.
    """

    alpha: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("alpha")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        s = (self.alpha * (v - threshold)).sigmoid()
        return self.alpha * s * (1 - s)
