"""Speck 2c mini: five cores, three of them without biases."""

from spikewright.chips.known._dynapcnn import FIVE, HISTORY, dynapcnn

CHIP = dynapcnn("speck2cmini", f"{HISTORY}: chips/speck2cmini.py", cores=FIVE)
