"""Statistics of a network's activations over data of any size, and thresholds from them."""

from spikewright.calibration.gathering import Calibration, Counts, calibrate, statistics_key
from spikewright.calibration.inputs import InputRange, input_scale_text, parse_input_scale
from spikewright.calibration.looking import Look, look
from spikewright.calibration.parts import gather_part, merge_parts
from spikewright.calibration.requests import (
    Counted,
    Distribution,
    Histogram,
    InOrder,
    LocalThresholdBalancing,
    Moments,
    MomentSums,
    Quantile,
    Request,
)
from spikewright.calibration.room import MEMORY
from spikewright.calibration.score import AnalogScore
from spikewright.calibration.statistics import NodeStatistics, Statistics
from spikewright.calibration.thresholds import Method, NodeFacts, methods, parse_all, threshold_method
from spikewright.calibration.thresholds.gauss import Gauss
from spikewright.calibration.thresholds.ltb import Ltb
from spikewright.calibration.thresholds.max import Max
from spikewright.calibration.thresholds.mmse import Mmse
from spikewright.calibration.thresholds.percentile import Percentile
from spikewright.calibration.thresholds.scale import Scale

__all__ = [
    "MEMORY",
    "AnalogScore",
    "Calibration",
    "Counted",
    "Counts",
    "Distribution",
    "Gauss",
    "Histogram",
    "InOrder",
    "InputRange",
    "LocalThresholdBalancing",
    "Look",
    "Ltb",
    "Max",
    "Method",
    "Mmse",
    "MomentSums",
    "Moments",
    "NodeFacts",
    "NodeStatistics",
    "Percentile",
    "Quantile",
    "Request",
    "Scale",
    "Statistics",
    "calibrate",
    "gather_part",
    "input_scale_text",
    "look",
    "merge_parts",
    "methods",
    "parse_all",
    "parse_input_scale",
    "statistics_key",
    "threshold_method",
]
