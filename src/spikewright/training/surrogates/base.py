"""The base of surrogate gradients: what stands for the slope of spikes, whose own is zero almost everywhere."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.worded import Worded

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Surrogate(Worded):
    """A surrogate gradient. Its text, ``atan:alpha=2``, parses back: see ``surrogate``."""

    @abstractmethod
    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        """What is taken for dn/dv, the change of the spikes with the membrane potential.

        Args:
            v: membrane potentials before the reset.
            threshold: of the neurons, in the same unit; it broadcasts to ``v``.

        Returns:
            in the shape of ``v``.
        """

    def _check_positive(self, *labels: str) -> None:
        """Refuse widths and steepnesses that are not above zero.

        Raises:
            SettingsError: naming the first.
        """
        for label in labels:
            value = getattr(self, label)
            if not 0 < value < float("inf"):
                raise SettingsError(f"{self.name}: {label} must be a positive number, not {value:g}")


@dataclass(frozen=True)
class InThresholds:
    """A surrogate gradient of potentials in units of the threshold: ``g(v/θ, 1)/θ``.

    Some surrogates have a width in units of the potential. Taken so, a network trains in the same way whether its
    weights or its thresholds took the scale of conversion.

    Attributes:
        surrogate: whose slope is taken.
    """

    surrogate: Surrogate

    def slope(self, v: Tensor, threshold: Tensor) -> Tensor:
        """``(…)`` as ``Surrogate.slope``."""
        if v.device.type == "cpu" and bool((threshold == 1).all()):  # looking would make a GPU wait
            return self.surrogate.slope(v, threshold)
        return self.surrogate.slope(v / threshold, threshold.new_ones(())) / threshold
