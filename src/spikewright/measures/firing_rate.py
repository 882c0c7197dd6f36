"""How much each population fires."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.engines import Run

BINS = 50


@dataclass(frozen=True, eq=False)
class FiringRate:
    """Firing rates of one population, in spikes per neuron and timestep, each neuron averaged over all samples.

    Attributes:
        mean: over its neurons.
        silent: fraction of neurons that never fired.
        histogram, edges: ``(50,)`` and ``(51,)``: how many neurons fire how much.
    """

    mean: float
    silent: float
    histogram: NDArray[np.int64]
    edges: NDArray[np.float64]


def firing_rates(run: Run) -> dict[str, FiringRate]:
    """The firing rates of every population of a run."""
    found = {}
    for name, counts in run.counts.items():
        rates = counts / (run.samples * run.timesteps)
        histogram, edges = np.histogram(rates, BINS, (0.0, max(1.0, float(rates.max()))))
        found[name] = FiringRate(float(rates.mean()), float((rates == 0).mean()), histogram, edges)
    return found
