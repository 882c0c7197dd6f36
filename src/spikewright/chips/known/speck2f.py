"""Speck 2f: nine cores, and a sensor of 128 x 128 pixels on the chip."""

from spikewright.chips.known._dynapcnn import dynapcnn

CHIP = dynapcnn("speck2f")
