"""Xylo IMU (SYNS63300)."""

from spikewright.chips.known._xylo import xylo

CHIP = xylo(
    "xylo_imu",
    "rockpool 42cee1c9: docs/devices/xylo-imu/xylo-imu-intro.ipynb",
    notes=("31,744 recurrent weights",),
    inputs_max=16,
    hidden_max=496,
    outputs_max=16,
    first_max=128,
    last_max=128,
    fan_out_max=512,
)
