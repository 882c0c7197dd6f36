"""How much each population fires."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.engines import Run
from spikewright.text import brief

BINS = 50


@dataclass(frozen=True, eq=False)
class FiringRate:
    """Firing rates of one population, in spikes per neuron and timestep, each neuron averaged over all samples.

    Spikes of −1 count like those of +1: it is what a neuron costs. What it stands for, the net rate, is in ``Rates``.

    Attributes:
        mean: over its neurons.
        silent: fraction of neurons that never fired.
        histogram, edges: ``(50,)`` and ``(51,)``: how many neurons fire how much, up to the first of 1, ½, ¼, … that is
            not below the highest rate, or up to that where it is above 1.
        negative: the part of its spikes that was −1.
    """

    mean: float
    silent: float
    histogram: NDArray[np.int64]
    edges: NDArray[np.float64]
    negative: float = 0.0

    __repr__ = brief


def firing_rates(run: Run) -> dict[str, FiringRate]:
    """The firing rates of every population of a run."""
    found = {}
    for name, sent in run.sent.items():
        rates = sent / run.total_steps
        histogram, edges = np.histogram(rates, BINS, (0.0, _end(float(rates.max()))))
        below = float(run.negative[name].sum()) if name in run.negative else 0.0
        negative = below / max(float(sent.sum()), 1.0)
        found[name] = FiringRate(float(rates.mean()), float((rates == 0).mean()), histogram, edges, negative)
    return found


def _end(highest: float) -> float:
    """Where a histogram of rates ends: neurons on events fire so rarely that up to 1 all would stand in one bin."""
    return highest if highest > 1 else 2.0 ** math.ceil(math.log2(highest)) if highest > 0 else 1.0
