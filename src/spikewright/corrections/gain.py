"""The gain of the first layer as a correction: every λ is divided by it, and corrections that follow meet its rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikewright.conversion import Conversion
from spikewright.conversion.gain import with_gain
from spikewright.corrections.corrector import Corrector, Given
from spikewright.errors import SettingsError


@dataclass(frozen=True)
class Gain(Corrector):
    """Every population sends ``factor`` times as much: see ``with_gain``.

    Attributes:
        factor: above 0.
    """

    factor: float = 1.0
    main: ClassVar[str | None] = "factor"
    looks_at_samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timesteps is not None:
            raise SettingsError("gain: it is the same for every number of timesteps; write gain:5")
        if self.factor <= 0:
            raise SettingsError(f"gain: must be above 0, not {self.factor:g}")

    def apply(self, given: Given) -> Conversion:
        return with_gain(given.conversion, self.factor)
