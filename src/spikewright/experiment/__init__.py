"""The main job: calibrate once, convert by several methods, measure each."""

from spikewright.experiment.comparing import Candidate, Comparison, Progress, compare, compared
from spikewright.experiment.converting import METHOD, conversions, convert, converted, prepared, statistics_of
from spikewright.experiment.readout import readout_of, readout_start

__all__ = [
    "METHOD",
    "Candidate",
    "Comparison",
    "Progress",
    "compare",
    "compared",
    "conversions",
    "convert",
    "converted",
    "prepared",
    "readout_of",
    "readout_start",
    "statistics_of",
]
