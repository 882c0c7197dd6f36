"""Tuning: which settings make the best conversion, chosen on calibration samples by a rule that the user states."""

from spikewright.experiment.tuning.grid import Grid
from spikewright.experiment.tuning.point import Point
from spikewright.experiment.tuning.result import Settled, Tuning
from spikewright.experiment.tuning.rule import Row, Rule, Tried
from spikewright.experiment.tuning.running import tune

__all__ = ["Grid", "Point", "Row", "Rule", "Settled", "Tried", "Tuning", "tune"]
