"""Speck 2e: the same limits as Speck 2f."""

from spikewright.chips.known._dynapcnn import dynapcnn

CHIP = dynapcnn("speck2e")
