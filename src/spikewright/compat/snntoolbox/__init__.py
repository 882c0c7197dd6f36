"""SNN Toolbox's words: activations and scale factors of its ``conversion.utils``, and its INI files.

>>> from spikewright.compat.snntoolbox import normalize_parameters
>>> normalised = normalize_parameters(model, "config.ini", x_norm=samples)

``python -m spikewright.compat.snntoolbox config.ini`` runs an experiment.
"""

from spikewright.compat.snntoolbox.activations import (
    get_activations_batch,
    get_activations_layer,
    try_reload_activations,
)
from spikewright.compat.snntoolbox.experiment import Experiment, OptionsError, experiment_of
from spikewright.compat.snntoolbox.options import options_table, parser_of
from spikewright.compat.snntoolbox.parameters import normalize_parameters
from spikewright.compat.snntoolbox.percentiles import apply_normalization_schedule, get_percentile, get_scale_fac
from spikewright.compat.snntoolbox.pipeline import run_pipeline

__all__ = [
    "Experiment",
    "OptionsError",
    "apply_normalization_schedule",
    "experiment_of",
    "get_activations_batch",
    "get_activations_layer",
    "get_percentile",
    "get_scale_fac",
    "normalize_parameters",
    "options_table",
    "parser_of",
    "run_pipeline",
    "try_reload_activations",
]
