"""DynapCNN: nine cores without a sensor on the chip."""

from spikewright.chips.known._dynapcnn import HISTORY, dynapcnn

CHIP = dynapcnn(
    "dynapcnndevkit",
    HISTORY,
    notes=("no sensor on the chip", "memories are switched off by kill bits (1 is off)"),
    decimators=(1,),
    kill_bits=True,
)
