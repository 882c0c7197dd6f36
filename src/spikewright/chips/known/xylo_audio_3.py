"""Xylo Audio 3 (SYNS65302)."""

from spikewright.chips.known._xylo import xylo

CHIP = xylo(
    "xylo_audio_3",
    "rockpool.ai/devices/xylo-overview.html; rockpool 42cee1c9: xylo/syns65302",
    notes=("at most 15 spikes of an input in a step", "its rule check warns above 16 outputs"),
    inputs_max=16,
    hidden_max=992,
    outputs_max=32,
    first_max=128,
    last_max=128,
    fan_out_max=1024,
)
