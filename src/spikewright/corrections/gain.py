"""The gain of the first layer: every population sends so many times as much, and the network computes what it did.

The guide of Sinabs to rate-coded conversion scales up the weights of the first layer by 1 to 10 once a network is
normalised, so that "more spikes are output and therefore the information can flow". Everything behind the first layer
then receives, and sends, g times as much. Here biases grow with that, and outputs are read in units g times as fine, so
that answers keep their unit and a network with biases computes what it did: each λ is divided by g. Of a network
without biases the spikes are exactly those of the network whose first layer's weights are multiplied by g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from spikewright.conversion import Conversion, scales_in_use, spiking_of
from spikewright.corrections.corrector import Corrector, Given
from spikewright.errors import SettingsError
from spikewright.nodes import IF, Input
from spikewright.timesteps import Timesteps


@dataclass(frozen=True)
class Gain(Corrector):
    """The first layer scaled, and all that follows with it: λ of every population divided by the gain.

    Neurons that send one spike a step clip at λ, so that a gain clips them earlier; those that may send several become
    finer. Of a ReLU that was trained in steps, and of one with a ceiling where several spikes are allowed, λ is a
    fraction of the ceiling that the conversion chooses, next to what is asked for. No samples are looked at.

    Attributes:
        factor: g, above 0.
    """

    factor: float = 1.0
    main: ClassVar[str | None] = "factor"
    looks_at_samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factor > 0:
            raise SettingsError(f"gain: the factor must be above 0, not {self.factor:g}")
        if self.timesteps is not None:
            raise SettingsError(f"gain: it is the same for every T; leave {self.timesteps} out")

    def check(self, conversion: Conversion, timesteps: Timesteps, before: Sequence[str] = ()) -> None:
        if before or conversion.changed:
            what = before[-1] if before else "a change by hand"
            raise SettingsError(f"the gain comes first: {what} was made for other rates; put {self} before it")
        super().check(conversion, timesteps, before)

    def apply(self, given: Given) -> Conversion:
        one = given.conversion
        inputs = {node.name for node in one.folded.of_type(Input)}
        asked = {name: value if name in inputs else value / self.factor for name, value in one.scales.items()}
        scales = scales_in_use(one.folded, asked, one.neurons, one.readout)
        unchanged = all(np.array_equal(value, one.scales[name]) for name, value in scales.items())
        if unchanged and self.factor != 1:
            trained = "every λ is given by the steps or the ceiling that were trained"
            why = trained if one.spiking.of_type(IF) else "no population spikes"
            raise SettingsError(f"{self} changes nothing: {why}; leave it out")
        spiking = spiking_of(one.folded, scales, one.neurons, view=one.view, readout=one.readout)
        louder = replace(one, scales=scales, spiking=spiking, made=spiking)
        return louder.corrected(spiking, self.remembered(given))
