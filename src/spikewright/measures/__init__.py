"""Measures of a spiking network, one a file, and all of them at once."""

from spikewright.measures.accuracy import accuracy
from spikewright.measures.agreement import agreement
from spikewright.measures.base import Measure, MeasureResult
from spikewright.measures.correlation import Correlation, CorrelationObserver
from spikewright.measures.early_exit import EarlyExit, ExitMeasure, check_exit, choose_exit
from spikewright.measures.energy import Energy
from spikewright.measures.energy_models import EnergyConstants, EnergyEstimate, energy_estimates
from spikewright.measures.error_split import ErrorSplit, PopulationError
from spikewright.measures.firing_rate import FiringRate, firing_rates
from spikewright.measures.intervals import Interval
from spikewright.measures.loss import Loss, looked_at, losses, reasons
from spikewright.measures.measurement import measure, near_chance
from spikewright.measures.operations import Operations, operations
from spikewright.measures.protocol import Overlap, Protocol, check_overlap, overlap_of
from spikewright.measures.quantised import QuantisedScores
from spikewright.measures.scores import HeadMeasures
from spikewright.measures.soon import costliest_layer, enough_timesteps, less_energy_up_to
from spikewright.measures.splitting import split_errors
from spikewright.measures.synops import SynOps, synops
from spikewright.measures.value import LayerMeasures, Measures

__all__ = [
    "Correlation",
    "CorrelationObserver",
    "EarlyExit",
    "Energy",
    "EnergyConstants",
    "EnergyEstimate",
    "ErrorSplit",
    "ExitMeasure",
    "FiringRate",
    "HeadMeasures",
    "Interval",
    "LayerMeasures",
    "Loss",
    "Measure",
    "MeasureResult",
    "Measures",
    "Operations",
    "Overlap",
    "PopulationError",
    "Protocol",
    "QuantisedScores",
    "SynOps",
    "accuracy",
    "agreement",
    "check_exit",
    "check_overlap",
    "choose_exit",
    "costliest_layer",
    "energy_estimates",
    "enough_timesteps",
    "firing_rates",
    "less_energy_up_to",
    "looked_at",
    "losses",
    "measure",
    "near_chance",
    "operations",
    "overlap_of",
    "reasons",
    "split_errors",
    "synops",
]
