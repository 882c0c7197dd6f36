"""Speck 2d mini: the cores of Speck 2c mini."""

from spikewright.chips.known._dynapcnn import FIVE, HISTORY, dynapcnn

CHIP = dynapcnn("speck2dmini", f"{HISTORY}: chips/speck2dmini.py", cores=FIVE)
