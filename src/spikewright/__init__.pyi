"""What `sw.` has: type checkers read this file, and `__init__.py` imports each name when it is first asked for."""

from . import calibration as calibration
from . import chips as chips
from . import data as data
from . import encoders as encoders
from . import engines as engines
from . import errors as errors
from . import plot as plot
from . import training as training
from .calibration import Look, Max, Method, Percentile, Scale, Statistics, calibrate, look, threshold_method
from .chips.fit import check
from .chips.formats import export_chip
from .chips.quantise import Quantised, quantise
from .chips.simulation.comparing import ChipComparison, compare_on_chip
from .chips.simulation.measuring import ChipMeasures, measure_chip
from .chips.simulation.rules import ChipRules
from .chips.simulation.trains import PictureTrains, StepClock
from .chips.storage import load_quantised, save_quantised
from .chips.value import Fit
from .conversion import CalibrationFacts, Conversion, Correction, Neurons, NeuronsByPopulation
from .corrections import Corrector, corrector
from .corrections.correcting import correct
from .data import ArrayDataset, Dataset, Preprocessing, Recordings, load_data
from .encoders.constant import Constant
from .encoders.poisson import Poisson
from .engines import Record, Run, RunSettings, simulate
from .errors import SpikewrightError, SpikewrightWarning
from .events import Events, StoredEvents, load_events
from .experiment import Candidate, Comparison, compare, convert, readout_start
from .experiment.tuning import Grid, Rule, Tuning, tune
from .exporters import export
from .graph import Graph
from .loading import load
from .measures import EarlyExit, Energy, Measures, choose_exit, measure
from .normalisation import normalise
from .preparation import prepare
from .rates import Rates, load_rates, simulated_rates
from .recordings import Binning, Recording, load_recording
from .reports import report, write_picture
from .reports.recording import recording_report
from .reports.tuning import tuning_report
from .storage import save
from .synapse_graph import Synapses, synapses

__version__: str
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
