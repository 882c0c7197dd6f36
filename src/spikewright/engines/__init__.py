"""Engines run a spiking graph over time. All give what the reference engine gives."""

from __future__ import annotations

from spikewright.engines.eight_bits import EightBits, round_weights
from spikewright.engines.neurons import IntegrateAndFire, NeuronState, NeuronStep, Population
from spikewright.engines.recording import RECORDS, Record
from spikewright.engines.reference import BatchRun, Simulation
from spikewright.engines.run import Run
from spikewright.engines.settings import ENGINES, Engine, RunSettings
from spikewright.engines.simulating import simulate

__all__ = [
    "ENGINES",
    "RECORDS",
    "BatchRun",
    "EightBits",
    "Engine",
    "IntegrateAndFire",
    "NeuronState",
    "NeuronStep",
    "Population",
    "Record",
    "Run",
    "RunSettings",
    "Simulation",
    "round_weights",
    "simulate",
]
