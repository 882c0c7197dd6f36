"""Lowering: a spiking network as layers of a chip, by rewrites that keep the function, one a file."""

from spikewright.chips.lowering.lowering import Lowered, lower
from spikewright.chips.lowering.readout import spread

__all__ = ["Lowered", "lower", "spread"]
