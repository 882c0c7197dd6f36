"""Trained networks in, spiking networks out.

>>> import spikewright as sw
>>> graph = sw.load(module, shape=(1, 28, 28))
>>> conversion = sw.convert(graph, train, "percentile:99.9,channels")
>>> measures = sw.measure(conversion, test, timesteps=32)
>>> measures.accuracy[-1]
>>> comparison = sw.compare(graph, train, test, ["max", "percentile:99.9,channels"], timesteps=64)
>>> sw.report("report.html", comparison)
"""

from spikewright import training as training
from spikewright.calibration import Look, Max, Method, Percentile, Scale, Statistics, calibrate, look
from spikewright.calibration import parse as threshold_method
from spikewright.chips.fit import check
from spikewright.chips.formats import export_chip
from spikewright.chips.quantise import Quantised, quantise
from spikewright.chips.simulation.comparing import ChipComparison, compare_on_chip
from spikewright.chips.simulation.measuring import ChipMeasures, measure_chip
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.trains import PictureTrains, StepClock
from spikewright.chips.storage import load_quantised, save_quantised
from spikewright.chips.value import Fit
from spikewright.conversion import CalibrationFacts, Conversion, Correction, Neurons, NeuronsByPopulation
from spikewright.corrections import Corrector, corrector
from spikewright.corrections.correcting import correct
from spikewright.data import ArrayDataset, Dataset, Preprocessing, Recordings, load_data
from spikewright.encoders.constant import Constant
from spikewright.encoders.poisson import Poisson
from spikewright.engines import Record, Run, RunSettings, simulate
from spikewright.errors import SpikewrightError, SpikewrightWarning
from spikewright.events import Events, StoredEvents, load_events
from spikewright.experiment import Candidate, Comparison, compare, convert, readout_start
from spikewright.experiment.tuning import Grid, Rule, Tuning, tune
from spikewright.exporters import export
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.measures import EarlyExit, Energy, Measures, choose_exit, measure
from spikewright.normalisation import normalise
from spikewright.preparation import prepare
from spikewright.rates import Rates, load_rates, simulated_rates
from spikewright.recordings import Binning, Recording, load_recording
from spikewright.reports import report, write_picture
from spikewright.reports.recording import recording_report
from spikewright.reports.tuning import tuning_report
from spikewright.storage import save
from spikewright.synapse_graph import Synapses, synapses

__version__ = "0.1.0"
__all__ = [
    "ArrayDataset",
    "Binning",
    "CalibrationFacts",
    "Candidate",
    "ChipComparison",
    "ChipMeasures",
    "ChipRules",
    "Comparison",
    "Constant",
    "Conversion",
    "Correction",
    "Corrector",
    "Dataset",
    "EarlyExit",
    "Energy",
    "Events",
    "Fit",
    "Graph",
    "Grid",
    "Look",
    "Max",
    "Measures",
    "Method",
    "Neurons",
    "NeuronsByPopulation",
    "Percentile",
    "PictureTrains",
    "Poisson",
    "Preprocessing",
    "Quantised",
    "Rates",
    "Record",
    "Recording",
    "Recordings",
    "Rule",
    "Run",
    "RunSettings",
    "Scale",
    "SpikewrightError",
    "SpikewrightWarning",
    "Statistics",
    "StepClock",
    "StoredEvents",
    "Synapses",
    "Tuning",
    "calibrate",
    "check",
    "choose_exit",
    "compare",
    "compare_on_chip",
    "convert",
    "correct",
    "corrector",
    "export",
    "export_chip",
    "load",
    "load_data",
    "load_events",
    "load_quantised",
    "load_rates",
    "load_recording",
    "look",
    "measure",
    "measure_chip",
    "normalise",
    "prepare",
    "quantise",
    "readout_start",
    "recording_report",
    "report",
    "save",
    "save_quantised",
    "simulate",
    "simulated_rates",
    "synapses",
    "threshold_method",
    "tune",
    "tuning_report",
    "write_picture",
]
