"""Trained networks in, spiking networks out.

>>> import spikewright as sw
>>> graph = sw.load(module, shape=(1, 28, 28))
>>> folded, _ = sw.prepare(graph)
>>> method = sw.threshold_method("percentile:99.9")
>>> scales = sw.calibrate(folded, images, [method]).scales(method)
>>> spiking = sw.convert(graph, scales)
>>> measures = sw.measure(spiking, sw.normalise(folded, scales), (images, labels), timesteps=64)
>>> measures.accuracy[-1]
"""

from spikewright.calibration import Look, Statistics, calibrate, look
from spikewright.calibration import parse as threshold_method
from spikewright.conversion import Neurons, convert
from spikewright.data import Preprocessing, load_data
from spikewright.engines import Record, Run, RunSettings, simulate
from spikewright.errors import SpikewrightError, SpikewrightWarning
from spikewright.events import Events, StoredEvents, load_events
from spikewright.exporters import export
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.measures import Measures, measure
from spikewright.normalisation import normalise
from spikewright.preparation import prepare
from spikewright.rates import Rates, load_rates, simulated_rates
from spikewright.storage import save
from spikewright.synapse_graph import Synapses, synapses

__version__ = "0.1.0"
__all__ = [
    "Events",
    "Graph",
    "Look",
    "Measures",
    "Neurons",
    "Preprocessing",
    "Rates",
    "Record",
    "Run",
    "RunSettings",
    "SpikewrightError",
    "SpikewrightWarning",
    "Statistics",
    "StoredEvents",
    "Synapses",
    "calibrate",
    "convert",
    "export",
    "load",
    "load_data",
    "load_events",
    "load_rates",
    "look",
    "measure",
    "normalise",
    "prepare",
    "save",
    "simulate",
    "simulated_rates",
    "synapses",
    "threshold_method",
]
