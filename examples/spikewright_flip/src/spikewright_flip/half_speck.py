"""A chip: half of a Speck 2f, so that fewer networks fit."""

from dataclasses import replace

from spikewright.chips.chip import Speck
from spikewright.chips.known.speck2f import CHIP as WHOLE

CHIP: Speck = replace(
    WHOLE, name="half_speck", cores=WHOLE.cores[:4], sources={**WHOLE.sources, "cores": "made up: the first four"}
)
