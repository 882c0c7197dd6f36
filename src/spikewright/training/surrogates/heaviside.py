"""A step: everything above a potential learns alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.engines.neurons import reached
from spikewright.training.surrogates.base import Surrogate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Heaviside(Surrogate):
    """``g(v) = 1[v ≥ θ − window] / θ``.

    The slope of several spikes a step without its steps: ``v/θ`` above the threshold. Source: sinabs 3.1.3, whose
    window is in units of the potential too.

    Attributes:
        window: so far below the threshold it begins, in units of the potential.
    """

    window: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("window")

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        return reached(v, threshold - self.window) / threshold
