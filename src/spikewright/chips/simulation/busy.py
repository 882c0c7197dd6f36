"""How busy the cores of a chip are while it runs a network of integers, event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spikewright.chips.bandwidth import Bandwidth, mean_load
from spikewright.chips.network import ChipNetwork
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import sensor_events
from spikewright.chips.simulation.measuring import ChipMeasures, measure_chip
from spikewright.chips.simulation.trains import clock_of
from spikewright.errors import SettingsError


def busy_on_chip(
    quantised: Quantised,
    data: Any,
    timesteps: int | None,
    dt: float,
    *,
    window: float,
    progress: Callable[[int, int], None] | None = None,
) -> Bandwidth:
    """The load of every core while a chip runs a data set.

    Args:
        quantised: what it runs.
        data: as for ``measure_chip``.
        timesteps: of the trains that it is sent; 64 unless given, and of a recording all.
        dt: of a step, in seconds.
        window: in which operations are counted, in seconds.
        progress: called with (samples done, samples in all).

    Raises:
        DataError: for data that do not fit.
        SettingsError: for a window or a dt that is no whole number of microseconds.
    """
    micros = micros_of(window)
    data = sensor_events(data)
    clock = clock_of(data, timesteps, dt, quantised.ticks)
    measures = measure_chip(quantised, data, clock, window=micros, every_neuron=True, progress=progress)
    return bandwidth_of(quantised.network, measures, micros / 1e6)


def micros_of(window: float) -> int:
    """A window in microseconds.

    Args:
        window: in seconds.

    Raises:
        SettingsError: where it is no whole number of them, above 0.
    """
    micros = round(window * 1e6) if window < float("inf") else 0
    if micros < 1 or abs(micros - window * 1e6) > 1e-6 * micros:
        raise SettingsError(f"a window on a chip is a whole number of microseconds above 0, not {window:g} s")
    return micros


def bandwidth_of(network: ChipNetwork, measures: ChipMeasures, window: float) -> Bandwidth:
    """The load of every core of a run that counted what each neuron sends.

    Args:
        network: that ran.
        measures: of it.
        window: in seconds.
    """
    loads = []
    for layer in network.layers:
        peak, begins = measures.over_time[layer.name].peak
        loads.append(replace(mean_load(network, layer, measures.sent), peak=peak, peak_at=begins))
    trains = measures.trains
    return Bandwidth(
        tuple(loads), trains.dt, window, measures.samples, trains.timesteps, measures.sent, measures.over_time
    )
