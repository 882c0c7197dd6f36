"""Pictures as figures of matplotlib, which can be kept as SVG, PNG and PDF: the charts of the report.

>>> graph = sw.load(module, shape=(1, 28, 28))
>>> figure = sw.plot.before_and_after(sw.convert(graph, train), sw.calibrate(graph, train))
>>> path = sw.plot.save(figure, "layers.svg")
>>> figure = sw.plot.accuracy(sw.compare(graph, train, test, ["max", "percentile:99.9"], timesteps=64))
"""

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
    operations,
    raster,
    weights,
)
from spikewright.plot.saving import check_plots, save, save_all

__all__ = [
    "accuracy",
    "activations",
    "before_and_after",
    "check_plots",
    "correlation",
    "firing_rates",
    "has_weights",
    "if_experiment",
    "layer",
    "layer_names",
    "operations",
    "raster",
    "save",
    "save_all",
    "weights",
]
