"""What methods share whose λ is made for a number of timesteps, or for a range of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikewright.calibration.rounding import USUAL, Levels
from spikewright.calibration.thresholds.method import Method, NodeFacts
from spikewright.timesteps import Timesteps


@dataclass(frozen=True)
class ForTimesteps(Method):
    """Base of methods whose λ rounds best after some numbers of timesteps.

    Attributes:
        timesteps: T. Of a range λ has the least sum of errors, each relative to the least at its own T.
        channels: one λ for each channel.
    """

    timesteps: Timesteps = USUAL
    channels: bool = False
    main: ClassVar[str | None] = "timesteps"

    def __post_init__(self) -> None:
        object.__setattr__(self, "timesteps", Timesteps.of(self.timesteps))
        super().__post_init__()

    def levels(self, node: NodeFacts) -> list[Levels]:
        """What the neurons of a population can count after each T."""
        return [Levels.of(node.neurons, t) for t in self.timesteps.values]
