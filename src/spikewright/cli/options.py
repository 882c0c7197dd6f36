"""Options that several commands have, as one value each, and what is done with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, Literal, get_type_hints

import typer

from spikewright.chips.quantise import Quantised
from spikewright.cli.console import (
    BatchOption,
    BinningOption,
    ColumnsOption,
    DeviceOption,
    EncoderOption,
    EventValueOption,
    NegativeOption,
    SeedOption,
    chosen_encoder,
)
from spikewright.cli.samples import DrawOption, FirstOption, SamplesOption, picked
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Choice, Dataset, Preprocessing, load_data
from spikewright.encoders import Encoder
from spikewright.engines.settings import MOST_TIMESTEPS
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.recordings import Binning


@dataclass(frozen=True)
class SampleOptions:
    """Which samples of a data set are used for a converted network: the same for every command that takes some.

    Attributes:
        samples, first_samples, sample_seed: which samples: see ``picked``.
        preprocess, binning: in place of what a conversion says; None for that.
        columns: which of a table are sample and label.
    """

    samples: SamplesOption = None
    first_samples: FirstOption = None
    sample_seed: DrawOption = 0
    preprocess: Annotated[str | None, typer.Option(help="Instead of what convert stored.")] = None
    binning: BinningOption = None
    columns: ColumnsOption = None

    def data(
        self,
        network: Graph | Conversion | Quantised,
        spec: str,
        split: Literal["train", "test"] = "test",
        usual: int | None = None,
    ) -> tuple[Dataset, Choice]:
        """The samples for a network, preprocessed and with classes in the order as when it was converted.

        Args:
            network: spiking, or in a chip's integers.
            spec: as typed.
            split: which part of a data set that has several: "train" or "test".
            usual: how many are drawn where nobody says; None for all.

        Raises:
            DataError: as ``load_data``.
        """
        steps, classes, binning = Preprocessing(), tuple[str, ...](), None
        if isinstance(network, Conversion | Quantised):
            steps, classes = network.preprocessing, network.classes
        if isinstance(network, Conversion):
            binning = network.binning
        if self.binning is not None:
            binning = Binning.parse(self.binning)
        if self.preprocess is not None:
            steps = Preprocessing.parse(self.preprocess)
        inputs = network.inputs if isinstance(network, Quantised) else spiking_graph(network).inputs
        how: dict[str, Any] = {"preprocessing": steps, "classes": classes, "binning": binning}
        how["columns"] = self.columns
        whole = load_data(spec, split=split, inputs=inputs, **how)
        return picked(whole, self.samples, self.first_samples, self.sample_seed, usual)


@dataclass(frozen=True)
class RunOptions(SampleOptions):
    """What samples a spiking network runs on, and how: the same for every command that runs one.

    Attributes:
        timesteps: T.
        encoder, seed, input_scale, negative: see ``chosen_encoder``.
        batch_size, device: of the simulation.
    """

    timesteps: Annotated[int, typer.Option("--timesteps", "-T", help="How many.")] = 64
    encoder: EncoderOption = "constant"
    seed: SeedOption = 0
    input_scale: EventValueOption = None
    negative: NegativeOption = "events"
    batch_size: BatchOption = 100
    device: DeviceOption = "cpu"

    def check(self) -> Encoder:
        """The encoder, once it is clear that the options make sense; nothing has been read yet.

        Raises:
            SettingsError: for options that do not.
        """
        check_timesteps(self.timesteps)
        return chosen_encoder(self.encoder, self.seed, self.input_scale, self.negative)


RECORDED = frozenset(f.name for f in fields(RunOptions)) - {"timesteps", "batch_size", "device"}
"""Options that a recording of a sensor has no use for: it is one sample, and its events are as they are."""


IDLE_ON_EVENTS = {
    "timesteps": "the number of timesteps follows from the recordings and --dt",
    "explain": "reasons are those of runs on values, the same at every timestep, and recordings run on their events",
}
"""Options of a run that recordings have no use for, and why."""


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether an option was typed, and not left at what is usual."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


def check_timesteps(timesteps: int) -> None:
    """Refuse a number of timesteps that no run can have.

    Raises:
        SettingsError: saying what there can be.
    """
    if timesteps < 1:
        raise SettingsError(f"--timesteps must be 1 or more, not {timesteps}")
    if timesteps > MOST_TIMESTEPS:
        raise SettingsError(f"--timesteps must be {MOST_TIMESTEPS:,} or less, not {timesteps}")


def check_not_code(spec: str) -> None:
    """Refuse code where a converted network is wanted, before any of it is run; ``spec`` is as typed.

    Raises:
        SettingsError: for ``FILE.py:FACTORY``.
    """
    if ".py:" in spec:
        raise SettingsError(
            f"{spec}: is code that makes a trained network; run 'spikewright convert' first, and give what it writes"
        )


def check_spiking(network: Graph | Conversion, spec: str) -> Graph:
    """The spiking graph of a network, refused where it has no spiking populations; ``spec`` is as typed.

    Raises:
        SettingsError: where it has none.
    """
    graph = spiking_graph(network)
    if not graph.populations and isinstance(network, Graph):
        raise SettingsError(f"{spec}: has no spiking populations; run 'spikewright convert' first")
    return graph


def check_idle(context: typer.Context, options: type | Collection[str], why: str) -> None:
    """Refuse options that were typed where they would change nothing.

    Args:
        context: of the command.
        options: the dataclass of a group, or the names of parameters.
        why: they would not, and what to do about it.

    Raises:
        SettingsError: naming the first.
    """
    names = [f.name for f in fields(options)] if isinstance(options, type) else options
    typed = {name for name in names if is_typed(context, name)}
    for parameter in context.command.params:
        if parameter.name in typed:
            off = context.params[parameter.name] is False and parameter.secondary_opts  # typed as --no-...
            raise SettingsError(f"{(off or parameter.opts)[0]} would change nothing: {why}")


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses of options are spread out, an option for each field."""
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    groups = {name: hint for name, hint in hints.items() if is_dataclass(hint) and isinstance(hint, type)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters += [
            inspect.Parameter(f.name, keyword, default=f.default, annotation=inner[f.name])
            for f in fields(groups[name])
        ]

    @wraps(command)
    def spread(**given: Any) -> None:
        made = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        command(**given, **made)

    # What has no default stands first, as Python wants it.
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread
