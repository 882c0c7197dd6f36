"""Measures of a spiking network, one a file, and all of them at once."""

from spikewright.measure.accuracy import accuracy
from spikewright.measure.agreement import agreement
from spikewright.measure.correlation import Correlation, CorrelationObserver
from spikewright.measure.energy import Energy
from spikewright.measure.firing_rate import FiringRate, firing_rates
from spikewright.measure.measure import LayerMeasures, Measures, measure
from spikewright.measure.operations import Operations, operations
from spikewright.measure.scores import HeadMeasures
from spikewright.measure.synops import SynOps, synops

__all__ = [
    "Correlation",
    "CorrelationObserver",
    "Energy",
    "FiringRate",
    "HeadMeasures",
    "LayerMeasures",
    "Measures",
    "Operations",
    "SynOps",
    "accuracy",
    "agreement",
    "firing_rates",
    "measure",
    "operations",
    "synops",
]
