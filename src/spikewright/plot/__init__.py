"""Pictures as figures of matplotlib, which can be kept as SVG, PNG and PDF: the charts of the report.

>>> graph = sw.load(module, shape=(1, 28, 28))
>>> figure = sw.plot.before_and_after(sw.convert(graph, train), sw.calibrate(graph, train))
>>> path = sw.plot.save(figure, "layers.svg")
>>> figure = sw.plot.accuracy(sw.compare(graph, train, test, ["max", "percentile:99.9"], timesteps=64))
"""

from spikewright.plot.chips import floor_plan
from spikewright.plot.neuron import if_experiment
from spikewright.plot.pictures import (
    accuracy,
    activations,
    before_and_after,
    correlation,
    firing_rates,
    has_weights,
    layer,
    layer_names,
    raster,
    rates_over_time,
    weights,
)
from spikewright.plot.samples import distributions
from spikewright.plot.saving import check_plots, save, save_all
from spikewright.plot.sweeps import gain, pareto
from spikewright.plot.work import accuracy_over_work, energy, operations

__all__ = [
    "accuracy",
    "accuracy_over_work",
    "activations",
    "before_and_after",
    "check_plots",
    "correlation",
    "distributions",
    "energy",
    "firing_rates",
    "floor_plan",
    "gain",
    "has_weights",
    "if_experiment",
    "layer",
    "layer_names",
    "operations",
    "pareto",
    "raster",
    "rates_over_time",
    "save",
    "save_all",
    "weights",
]
