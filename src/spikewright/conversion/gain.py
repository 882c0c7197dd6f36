"""The gain of the first layer: every population sends so many times as much, and the network computes what it did.

The guide of Sinabs to rate-coded conversion scales up the weights of the first layer by 1 to 10 once a network is
normalised, so that "more spikes are output and therefore the information can flow". Everything behind the first layer
then receives, and sends, g times as much. Here biases grow with that, and outputs are read in units g times as fine, so
that answers keep their unit and a network with biases computes what it did: each λ is divided by g. Of a network
without biases the spikes are exactly those of the network whose first layer's weights are multiplied by g.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np

from spikewright.conversion.facts import Correction
from spikewright.conversion.spiking import scales_in_use, spiking_of
from spikewright.conversion.value import Conversion
from spikewright.errors import SettingsError
from spikewright.nodes import Input
from spikewright.settings import plain

NAME = "gain"


def with_gain(conversion: Conversion, factor: float) -> Conversion:
    """The conversion with its first layer scaled: λ of every population divided by the gain.

    Neurons that send one spike a step clip at λ, so that a gain clips them earlier; those that may send several become
    finer. Of a ReLU that was trained in steps, and of one with a ceiling where several spikes are allowed, λ is a
    fraction of the ceiling that the conversion chooses, next to what is asked for.

    Args:
        conversion: as conversion made it: corrections come after the gain, since they are made for the rates it gives.
        factor: g, above 0.

    Raises:
        SettingsError: for another factor, a conversion that was changed before, or where no λ can change.
        GraphError: for scales outside their domain.
    """
    gain = plain(factor)
    if not isinstance(gain, int | float) or isinstance(gain, bool) or not (isfinite(gain) and gain > 0):
        raise SettingsError(f"the gain of the first layer must be a number above 0, not {factor!r:.40}")
    if conversion.corrections or conversion.changed:
        what = conversion.corrections[-1].name if conversion.corrections else "a change by hand"
        raise SettingsError(f"the gain comes first: {what} was made for other rates; put gain:{gain:g} before it")
    inputs = {node.name for node in conversion.folded.of_type(Input)}
    asked = {name: value if name in inputs else value / gain for name, value in conversion.scales.items()}
    scales = scales_in_use(conversion.folded, asked, conversion.neurons, conversion.readout)
    same = all(np.array_equal(value, conversion.scales[name]) for name, value in scales.items())
    if same and gain != 1:
        raise SettingsError(
            f"a gain of {gain:g} changes nothing: every λ is given by the steps or the ceiling that were trained"
        )
    spiking = spiking_of(
        conversion.folded, scales, conversion.neurons, view=conversion.view, readout=conversion.readout
    )
    made = replace(conversion, scales=scales, spiking=spiking, made=spiking)
    return made.corrected(spiking, Correction(NAME, (("factor", float(gain)),)))
