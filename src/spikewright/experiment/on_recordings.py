"""What a conversion for recordings can be asked for, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikewright.calibration import Method
from spikewright.calibration.thresholds.auto import Auto
from spikewright.corrections import Corrector
from spikewright.corrections.correcting import check_on_events
from spikewright.data import Dataset, Recordings
from spikewright.errors import SettingsError


def check_recordings(methods: Sequence[Method], corrections: Sequence[Corrector], dt: float | None) -> None:
    """Refuse what cannot be done with recordings, which run on their events, before any work is done.

    Args:
        methods: threshold methods.
        corrections: in order.
        dt: seconds of a timestep.

    Raises:
        SettingsError: saying what, why, and what to do.
    """
    for method in methods:
        if isinstance(method, Auto):
            raise SettingsError(
                f"{method} chooses by runs on values over T timesteps, and recordings run on their events: name a "
                "method, and let 'spikewright tune --grid gain=1..10 --dt 1ms' choose the gain"
            )
    check_on_events(corrections, dt)


def length_of(
    data: Dataset, timesteps: int, dt: float | None, readout_from: int | str = 0, early_exit: float | None = None
) -> dict[str, Any]:
    """How long a measurement runs, as keywords of ``measure``: T; of recordings the timestep that T follows from.

    Args:
        data: to measure with.
        timesteps: T of data of other kinds.
        dt: seconds of a timestep.
        readout_from: from when on answers are read.
        early_exit: whether samples are stopped.

    Raises:
        SettingsError: for recordings without a timestep, or answers that are read of them in another way.
    """
    if not isinstance(data, Recordings):
        return {"timesteps": timesteps, "dt": dt}
    if dt is None:
        raise SettingsError("recordings are measured on their events: say how long a timestep is, dt=1e-3 (--dt 1ms)")
    if readout_from != 0:
        raise SettingsError("recordings answer at their own ends: leave the timestep out from which answers are read")
    if early_exit is not None:
        raise SettingsError("recordings answer at their own ends, which differ: leave the early exit out")
    return {"dt": dt}
