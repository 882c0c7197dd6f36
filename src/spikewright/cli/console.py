"""What the commands share: options, and readers of typed text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spikewright.encoders import Encoder, encoders
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import SettingsError
from spikewright.graph import Shape
from spikewright.recordings.durations import seconds_of
from spikewright.settings import digits
from spikewright.tasks import tasks

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A .onnx, .pt2, .keras, .h5, .nir or Spikewright .safetensors file, or FILE.py:FACTORY.", metavar="MODEL"
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Of FILE.py:FACTORY, a state dict: .safetensors, or .pt read without unpickling.")
]
ShapeOption = Annotated[str | None, typer.Option(help="Shape of one sample, channels first: 1,28,28.", metavar="C,H,W")]
DtOption = Annotated[
    float | None,
    typer.Option(
        help="Length of a timestep, 1ms, 500us or 0.001 (seconds): of .nir files, recordings, and rates a second.",
        metavar="TIME",
        parser=lambda text: duration("--dt", text),
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        help="Workers that share the samples, to the same numbers: a Dask scheduler, tcp://HOST:8786, or local:4.",
        metavar="ADDRESS",
    ),
]
VerifyOption = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Run the graph beside the model's framework on random samples; by default where PyTorch does it.",
        show_default=False,
    ),
]
BinningOption = Annotated[
    str | None,
    typer.Option(
        help="How recordings of event cameras become frames: dt=50ms, count=5000 or frames=1; polarity=merged, "
        "downsample=2, crop=32x32, noise=5ms, scale=0.1, sensor=34x34, … (docs/recordings.md)."
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        help="Which column of a table, or key of items, is the sample and which its label: image,label; "
        "'image,' for none (docs/data.md)."
    ),
]
PreprocessOption = Annotated[
    str,
    typer.Option(
        help="What is done to samples: scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225; resize=, crop=; or "
        "totensor, imagenet, keras:tf, keras:caffe, keras:torch (docs/data.md)."
    ),
]
LeakyOption = Annotated[
    Literal["refuse", "split"], typer.Option(help="Leaky rectifiers: refused, or split into two populations each.")
]
TaskOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"What labels mean: {', '.join(tasks.names())}; with its options, as dense:ignore=255; of one of several "
        "outputs NAME=TASK. Seen in the labels otherwise."
    ),
]
EncoderOption = Annotated[str, typer.Option(help=f"{', '.join(encoders.names())}.")]
SeedOption = Annotated[int, typer.Option(help="Of the poisson encoder.")]
EventValueOption = Annotated[
    float | None,
    typer.Option(
        "--input-scale",
        help="Of the poisson encoder: the value that one event stands for, in place of what convert stored.",
    ),
]
NegativeOption = Annotated[
    Literal["events", "refuse"],
    typer.Option(help="Of the poisson encoder: negative values send events of their sign, or are refused."),
]
AnswerOption = Annotated[
    Literal["keep", "drop"],
    typer.Option(help="The activation that the network ends in: applied to the readout, or left away."),
]
ReadoutFromOption = Annotated[
    str,
    typer.Option(
        help="Read the answer over the timesteps behind this one; auto estimates it from calibration data.",
        metavar="STEP",
    ),
]
EarlyExitOption = Annotated[
    float | None,
    typer.Option(
        help="Say the mean T where samples are stopped once decided: at a margin, chosen on calibration data, at which "
        "so many of 100 answers change.",
        metavar="PERCENT",
    ),
]
OverlapOption = Annotated[
    bool, typer.Option("--allow-overlap", help="Measure on samples of calibration too, and say so beside every score.")
]
ExplainOption = Annotated[
    bool, typer.Option("--explain/--no-explain", help="Find out what costs most, beside the simulation.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Samples side by side; changes speed and memory only.")]
EngineOption = Annotated[str, typer.Option(help="auto, event (native, fast), cuda (fast on a GPU) or reference.")]
DtypeOption = Annotated[
    str,
    typer.Option(
        help="float32; float64 (reference engine); int16 (event engine: faster, not exact); int8: weights of 8 bits."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="A torch device: cpu, cuda.")]


def duration(option: str, text: str) -> float:
    """Seconds, from ``1ms``, ``500us``, ``0.02s`` or ``0.02``.

    Args:
        option: that was typed, for the message.
        text: what it was given.

    Raises:
        SettingsError: for anything else, or a time that is not above 0.
    """
    return seconds_of(text, option)


def chosen_encoder(name: str, seed: int, scale: float | None, negative: Literal["events", "refuse"]) -> Encoder:
    """The encoder of the command line; the settings of the poisson encoder are its alone.

    Raises:
        SettingsError: for a name that does not exist, or settings of another encoder.
    """
    if name == "poisson":
        return named_encoder(name, scale=scale, seed=seed, negative=negative)
    if scale is not None or negative != "events":
        option = "--negative" if scale is None else "--input-scale"
        raise SettingsError(f"{option} is a setting of the poisson encoder; add --encoder poisson")
    return named_encoder(name)


def parse_readout(text: str) -> int | Literal["auto"]:
    """``auto``, or the timestep from which an answer is read.

    Raises:
        SettingsError: for anything else.
    """
    if text == "auto":
        return "auto"
    step = digits(text)
    if step is None:
        raise SettingsError(f"--readout-from takes a number of timesteps, or auto, not '{text[:40]}'")
    return step


def exit_share(percent: float | None) -> float | None:
    """The share of answers that may change where samples are stopped early, from ``--early-exit``.

    Raises:
        SettingsError: for what is no percentage below 100.
    """
    if percent is None:
        return None
    if not 0 <= percent < 100:
        raise SettingsError(f"--early-exit takes so many of 100 answers, 0 or more and below 100, not {percent:g}")
    return percent / 100


def parse_shape(text: str | None) -> Shape | None:
    """``1,28,28`` or ``1x28x28`` as numbers."""
    if text is None:
        return None
    numbers = [digits(word.strip()) for word in text.lower().replace("x", ",").split(",")]
    shape = tuple(number for number in numbers if number)
    if len(shape) < len(numbers):
        raise SettingsError(f"--shape takes positive numbers like 1,28,28, not '{text}'")
    return shape
