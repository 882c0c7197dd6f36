"""Thresholds, corrections and, where that is allowed, neurons that lose least at some T: chosen when converting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.rounding import USUAL
from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.errors import SettingsError
from spikewright.settings import plain
from spikewright.timesteps import Timesteps

CONTRACTS = ("step_bias", "signed", "bursts", "layered", "few_spike")
"""What neurons may be allowed beyond one spike a step and a bias that stays."""


@dataclass(frozen=True)
class Auto(Method):
    """λ, corrections and neurons that lose least on calibration samples held out of calibration.

    ``convert`` and ``compare`` choose, among a list that ``experiment/automatic.py`` has; λ alone cannot say.

    Attributes:
        timesteps: one T or a range, of which the losses are averaged.
        allow: what neurons may do beyond sending one spike a step under a constant bias, with ``+`` between:
            "step_bias", "signed", "bursts", "layered", "few_spike".
    """

    timesteps: Timesteps = USUAL
    allow: str = ""
    main: ClassVar[str | None] = "timesteps"

    def __post_init__(self) -> None:
        steps: Any = plain(self.timesteps)
        if isinstance(steps, str | int) and not isinstance(steps, bool):
            object.__setattr__(self, "timesteps", Timesteps.parse(str(steps)))
        super().__post_init__()
        for contract in self.contracts:
            if contract not in CONTRACTS:
                raise SettingsError(
                    f"auto: nothing that neurons may be allowed is called '{contract[:40]}'; there are "
                    f"{', '.join(CONTRACTS)}, with + between"
                )

    @property
    def contracts(self) -> tuple[str, ...]:
        """What neurons may do beyond one spike a step and a bias that stays."""
        return tuple(filter(None, self.allow.split("+")))

    def scale(self, node: NodeFacts) -> NDArray[np.float64]:  # noqa: ARG002
        raise SettingsError(f"{self} chooses on samples: give it to convert or compare, with data to calibrate with")
