"""Speck 2b: no decimators, and a readout that cannot be used."""

from spikewright.chips.known._dynapcnn import HISTORY, dynapcnn

CHIP = dynapcnn(
    "speck2b",
    HISTORY,
    notes=("memories are switched off by kill bits (1 is off)", "no congestion balancer"),
    decimators=(1,),
    kill_bits=True,
    readout_classes=0,
)
