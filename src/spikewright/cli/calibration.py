"""Options of the commands that read a trained network and calibrate on samples, as one value."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import typer

from spikewright.calibration import input_scale_text, parse_input_scale
from spikewright.cli.console import (
    AnswerOption,
    BatchOption,
    BinningOption,
    ColumnsOption,
    DeviceOption,
    EncoderOption,
    LeakyOption,
    PreprocessOption,
    ShapeOption,
    TaskOption,
    VerifyOption,
    WeightsOption,
    parse_shape,
)
from spikewright.cli.samples import DrawOption, FirstOption, picked
from spikewright.conversion import Conversion
from spikewright.corrections.correcting import SAMPLES
from spikewright.data import Choice, Dataset, Preprocessing, load_data
from spikewright.data.columns import columns_of
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.recordings import Binning

USUAL = 5000
"""How many calibration samples are used where nobody says."""


@dataclass(frozen=True)
class CalibrationOptions:
    """How a trained network is read, and what it is calibrated and corrected on.

    Attributes:
        weights, shape, verify: of the network: see ``load``.
        preprocess: what is done to samples.
        binning: how recordings become frames.
        columns: which of a table are sample and label.
        input_scale: what an event of the poisson encoder stands for.
        samples, first_samples, sample_seed: which samples: see ``picked``.
        correct_samples: how many of them corrections look at.
        answer, leaky: see ``convert``.
        task: what labels mean.
        encoder: of the runs that are to be good.
        batch_size, device: of calibration and runs.
    """

    weights: WeightsOption = None
    shape: ShapeOption = None
    verify: VerifyOption = None
    preprocess: PreprocessOption = ""
    binning: BinningOption = None
    columns: ColumnsOption = None
    input_scale: Annotated[
        str,
        typer.Option(help="What one event stands for (--encoder poisson): max, 99.9%, or a number like 255."),
    ] = "max"
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many samples of --data, in proportion to the classes; usually 5000."),
    ] = None
    first_samples: FirstOption = None
    sample_seed: DrawOption = 0
    correct_samples: Annotated[
        int, typer.Option(min=1, help="How many of them corrections look at, a draw in proportion to the classes.")
    ] = SAMPLES
    answer: AnswerOption = "keep"
    leaky: LeakyOption = "refuse"
    task: TaskOption = None
    encoder: EncoderOption = "constant"
    batch_size: BatchOption = 100
    device: DeviceOption = "cpu"

    def check(self) -> None:
        """Refuse what makes no sense; nothing has been read yet.

        Raises:
            SettingsError: for options that do not.
        """
        _ = self.scale, self.preprocessing, None if self.binning is None else Binning.parse(self.binning)
        columns_of(self.columns)
        named_encoder(self.encoder)

    @property
    def scale(self) -> str:
        """What an event stands for, as its text."""
        return input_scale_text(parse_input_scale(self.input_scale))

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to samples."""
        return Preprocessing.parse(self.preprocess)

    @property
    def preparation(self) -> dict[str, Any]:
        """The keywords of ``prepare``."""
        return {"answer": self.answer, "leaky": self.leaky}

    @property
    def runs(self) -> dict[str, Any]:
        """The keywords of everything that runs or measures."""
        return {"task": self.task, "encoder": self.encoder, "batch_size": self.batch_size, "device": self.device}

    def network(self, model: str) -> Graph:
        """The trained network.

        Raises:
            SpikewrightError: as ``load``; for a conversion.
        """
        graph = load(model, weights=self.weights, shape=parse_shape(self.shape), verify=self.verify)
        if isinstance(graph, Conversion):
            raise SettingsError(f"{model}: is a conversion already; give the trained network")
        return graph

    def data(
        self, graph: Graph, spec: str, split: Literal["train", "test"] = "train", classes: tuple[str, ...] = ()
    ) -> Dataset:
        """All samples of a data set, preprocessed.

        Args:
            graph: what they are for.
            spec: as typed.
            split: which part of a data set that has several.
            classes: in which order, where another data set says so.

        Raises:
            DataError: as ``load_data``.
        """
        return load_data(
            spec,
            split=split,
            inputs=graph.inputs,
            preprocessing=self.preprocessing,
            classes=classes,
            binning=self.binning,
            columns=self.columns,
        )

    def picked(self, data: Dataset) -> tuple[Dataset, Choice]:
        """Those to calibrate with: see ``picked`` of all commands."""
        return picked(data, self.samples, self.first_samples, self.sample_seed, usual=USUAL)


def typed(context: typer.Context) -> list[str]:
    """Those of the ``CalibrationOptions`` that were typed, as words: every command that has them takes them so."""
    names = {f.name for f in fields(CalibrationOptions)}
    found: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in names or getattr(context.get_parameter_source(name), "name", "") != "COMMANDLINE":
            continue
        value: Any = context.params[name]
        if isinstance(value, bool):
            found.append(parameter.opts[0] if value else parameter.secondary_opts[0])
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            found += [parameter.opts[0], str(one)]
    return found
