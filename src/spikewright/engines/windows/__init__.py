"""Networks whose populations exchange window by window: ``layered`` and ``few_spike``. See ``docs/windows.md``.

A window has T steps. In one window a population adds up all that arrives, in the next it sends. ``layout.py`` says
which window every node speaks in; ``stepwise.py`` is what happens, step by step; ``one_step.py`` computes a whole
window as one step of neurons that may send many spikes, which any engine runs; ``simulation.py`` makes a run of that.
"""

from spikewright.engines.windows.dense import DenseStep
from spikewright.engines.windows.layout import (
    LONGEST_FEW_SPIKE,
    check_length,
    check_windows,
    latency_of,
    schedule_of,
    windows_of,
)
from spikewright.engines.windows.one_step import one_step
from spikewright.engines.windows.simulation import WindowSimulation
from spikewright.engines.windows.stepwise import StepwiseWindows
from spikewright.engines.windows.trains import (
    levels_of,
    number_of_spikes,
    number_told,
    spike_weight,
    spikes_at,
)

__all__ = [
    "LONGEST_FEW_SPIKE",
    "DenseStep",
    "StepwiseWindows",
    "WindowSimulation",
    "check_length",
    "check_windows",
    "latency_of",
    "levels_of",
    "number_of_spikes",
    "number_told",
    "one_step",
    "schedule_of",
    "spike_weight",
    "spikes_at",
    "windows_of",
]
