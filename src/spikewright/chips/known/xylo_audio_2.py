"""Xylo Audio 2 (SYNS61201)."""

from spikewright.chips.known._xylo import xylo

CHIP = xylo(
    "xylo_audio_2",
    "rockpool.ai/devices/xylo-overview.html; rockpool 42cee1c9: xylo/syns61201; fan-in, weights: open-neuromorphic.org",
    inputs_max=16,
    hidden_max=1000,
    outputs_max=8,
    first_max=1000,
    last_max=1000,
    fan_out_max=64,
    fan_in_max=63,
    weights_max=64_000,
)
