"""What a chip does with each population, as plain values: what a format of floats can note beside them."""

from __future__ import annotations

from typing import Any

from spikewright.chips.formats._words import chip_of, outside, words_of
from spikewright.chips.placing import placed
from spikewright.chips.quantise import Quantised
from spikewright.provenance import PROVENANCE


def chip_settings(quantised: Quantised) -> dict[str, Any]:
    """The settings of a chip without its weights: of the whole, and by population in "layers".

    Args:
        quantised: of integers.

    Raises:
        SettingsError: for a network that does not fit the chip.
    """
    cores = placed(quantised.network, chip_of(quantised))
    factors = {loss.layer: loss.factor for loss in quantised.losses}
    layers = {}
    for words in words_of(quantised):
        name = words.layer.name
        numbers = {"threshold": int(words.threshold), "v_min": int(words.v_min), "factor": factors.get(name)}
        layers[name] = {**words.settings, "core": cores[name], **numbers}
    around = {label: value for label, value in outside(quantised).items() if label != PROVENANCE}
    return {**around, "layers": layers}
