"""Options of all commands: the group of the help that each stands in, and what can be completed behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

PANELS: dict[str, str] = {
    name: panel
    for panel, names in {
        "The network": "weights shape verify answer leaky",
        "Samples": "data calibration preprocess binning columns samples first_samples sample_seed task",
        "Thresholds and corrections": "method statistics memory correct correct_samples",
        "Neurons": "neurons spikes reset v_init v_min leak max_pool view readout",
        "Input": "encoder seed input_scale negative",
        "The choice": "grid rule trials hold_out store",
        "Training": "epochs rate surrogate detach_reset labels distillation biases thresholds synops_weight "
        "firing_rate clip noise budget checkpoint",
        "The chip": "chip dt chip_rules spread beside synops_limit window chip_readout try_remedies ticks bias_bits "
        "return_to_zero decimator threshold_scale keep_means settings feedback",
        "The synapses": "rates pools pool_weight shard workers partition",
        "The measurement": "test timesteps readout_from early_exit explain allow_overlap",
        "How it is run": "engine dtype device batch_size cluster",
        "What is written": "output kind report plots plots_as picture events folder force resume as_json",
    }.items()
    for name in names.split()
}
"""The group of each option, by the name of its parameter; groups stand in this order."""
ORDER = list(dict.fromkeys(PANELS.values()))


def _methods() -> Iterable[str]:
    from spikewright.calibration import methods

    return methods.names()


def _corrections() -> Iterable[str]:
    from spikewright.corrections import correctors

    return correctors.names()


def _encoders() -> Iterable[str]:
    from spikewright.encoders import encoders

    return encoders.names()


def _tasks() -> Iterable[str]:
    from spikewright.tasks import tasks

    return tasks.names()


def _chips() -> Iterable[str]:
    from spikewright.chips.known import chips

    return chips.names()


def _surrogates() -> Iterable[str]:
    from spikewright.training.surrogates import surrogates

    return surrogates.names()


def _graph_formats() -> Iterable[str]:
    from spikewright.synapse_graph.writers import formats

    return formats.names()


CHOICES = {
    "engine": ("auto", "event", "cuda", "reference"),
    "dtype": ("float32", "float64", "int16", "int8"),
    "device": ("cpu", "cuda"),
    "encoder": ("constant", "events", "poisson", "recordings"),
}
"""Values that are few enough to stand in the help beside the option; of encoders, those that are ours."""
COMPLETED: dict[str, Callable[[], Iterable[str]]] = {
    "method": _methods,
    "correct": _corrections,
    "encoder": _encoders,
    "task": _tasks,
    "chip": _chips,
    "surrogate": _surrogates,
    "kind": _graph_formats,
    "engine": lambda: CHOICES["engine"],
    "dtype": lambda: CHOICES["dtype"],
    "device": lambda: CHOICES["device"],
    "neurons": lambda: ("signed", "no_debt", "layered", "few_spike", "spikes=", "reset=zero", "v_init=", "leak="),
    "spikes": lambda: ("single", "multi"),
    "preprocess": lambda: ("totensor", "imagenet", "keras:tf", "keras:caffe", "keras:torch", "scale=1/255"),
    "input_scale": lambda: ("max", "99.9%"),
    "readout_from": lambda: ("auto", "0"),
    "rule": lambda: ("fewest synops within 1 point", "smallest T within 1 point", "lowest rate within 1 point", "best"),
}
"""What can be typed behind an option whose values are words, beside those that name their choices themselves."""


def arranged(command: Any) -> Any:
    """A command whose options stand in groups, in the order of ``PANELS``, and whose values are completed.

    Args:
        command: as typer made it; it is changed in place.
    """
    for parameter in command.params:
        if parameter.param_type_name == "option":
            parameter.rich_help_panel = PANELS.get(parameter.name, "Options")
            if parameter.name in CHOICES and parameter.metavar is None:
                parameter.metavar = "|".join(CHOICES[parameter.name])
            words = COMPLETED.get(parameter.name)
            if words is not None and parameter._custom_shell_complete is None:
                parameter._custom_shell_complete = _completing(words)
    place = {panel: k for k, panel in enumerate(ORDER)}
    command.params.sort(key=lambda one: place.get(getattr(one, "rich_help_panel", None) or "", -1))
    return command


def _completing(words: Callable[[], Iterable[str]]) -> Callable[[Any, Any, str], list[str]]:
    def complete(_context: Any, _parameter: Any, incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return complete
