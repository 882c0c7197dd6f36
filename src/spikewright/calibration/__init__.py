"""Statistics of a network's activations over data of any size, and thresholds from them."""

from spikewright.calibration.calibrate import calibrate, statistics_key
from spikewright.calibration.statistics import NodeStatistics, Statistics
from spikewright.calibration.thresholds import Method, methods, parse
from spikewright.calibration.thresholds.max import Max
from spikewright.calibration.thresholds.percentile import Percentile
from spikewright.calibration.thresholds.scale import Scale

__all__ = [
    "Max",
    "Method",
    "NodeStatistics",
    "Percentile",
    "Scale",
    "Statistics",
    "calibrate",
    "methods",
    "parse",
    "statistics_key",
]
