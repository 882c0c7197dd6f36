"""Engines run a spiking graph over time. All give what the reference engine gives."""

from __future__ import annotations

from spikewright.engines.choose import ENGINES, Engine
from spikewright.engines.reference import RECORDS, BatchRun, Simulation
from spikewright.engines.simulation import Run, simulate

__all__ = ["ENGINES", "RECORDS", "BatchRun", "Engine", "Run", "Simulation", "simulate"]
