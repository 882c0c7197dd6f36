"""``spikewright check``: whether a network fits a chip, why not, and what would."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from spikewright.chips.bandwidth import Bandwidth
from spikewright.chips.fit import Fit
from spikewright.chips.fit import check as checked
from spikewright.chips.known import chip as known_chip
from spikewright.chips.known import chips
from spikewright.chips.recording import frames, is_recording
from spikewright.cli.console import (
    JsonOption,
    ShapeOption,
    WeightsOption,
    compact_table,
    out,
    parse_shape,
    print_json,
    progress,
)
from spikewright.cli.options import RunOptions, check_idle, check_spiking, with_options
from spikewright.cli.samples import named, say
from spikewright.conversion import Conversion, spiking_graph
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.rates import load_rates
from spikewright.recordings.durations import seconds_of
from spikewright.settings import digits, number
from spikewright.text import shape_text, short

UNFIT = 1
"""Exit status of a network that does not fit."""


@with_options
def check(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(help="A network that 'convert' wrote; of a trained one the sizes are checked.", metavar="NET"),
    ],
    options: RunOptions,
    chip: Annotated[str, typer.Option(help=f"One of {', '.join(chips.names())}.")] = "speck2f",
    dt: Annotated[
        str | None,
        typer.Option(
            help="How long a step is: 1ms, 500us, 0.001 (seconds). Biases are added once a step.", metavar="TIME"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Samples, or a recording (.npz of t, x, y, p), for operations per second: as for simulate."),
    ] = None,
    rates: Annotated[Path | None, typer.Option(help="Instead of --data: rates that 'simulate -o' wrote.")] = None,
    window: Annotated[str, typer.Option(help="Peaks are taken over it.", metavar="TIME")] = "1ms",
    synops_limit: Annotated[
        str | None,
        typer.Option(help="Synaptic operations of a core in a second: 1e6, or by core 0:1e6,3:2e5.", metavar="LIMIT"),
    ] = None,
    chip_readout: Annotated[
        bool, typer.Option("--chip-readout", help="Answers are read by the chip's readout, not from events.")
    ] = False,
    try_remedies: Annotated[
        bool, typer.Option("--try", help="Simulate remedies that need no training, and what they cost in accuracy.")
    ] = False,
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a network against a chip: memory of every layer, limits, the core that it gets, what would fit instead.

    With --data or --rates also synaptic operations per second. Exit status: 0 if it fits, 1 if it does not or a limit
    that was given is exceeded, 2 for errors.

    Example: [bold]spikewright check spiking.safetensors --chip speck2f --data mnist/ --dt 1ms[/bold]
    """
    own, encoder = known_chip(chip), options.check()
    step = None if dt is None else seconds_of(dt, "--dt")
    settings: dict[str, Any] = {"window": seconds_of(window, "--window"), "synops_limit": parse_limit(synops_limit)}
    if data is not None and rates is not None:
        raise SettingsError("give --data, which is simulated, or --rates, which were")
    if data is None and rates is None and synops_limit is not None:
        raise SettingsError("--synops-limit would change nothing: operations are counted with --data or --rates")
    if data is None:
        check_idle(context, RunOptions, "nothing is simulated without --data")
        check_idle(context, ("window",), "peaks are those of single events: give --data")
        check_idle(context, ("try_remedies",), "remedies are simulated on samples: give --data")
    if data is not None and step is None:
        raise SettingsError("operations per second need to know how long a step is: say --dt 1ms")
    network = load(model, weights=weights, shape=parse_shape(shape))
    if rates is not None:
        settings["rates"] = load_rates(rates, spiking_graph(network))
    if data is not None:
        check_spiking(network, model)
        settings |= _samples(network, data, options, encoder, step or 0.0)
    with progress("simulating", quiet=as_json or data is None) as move:
        fit = checked(
            network, own, dt=step, chip_readout=chip_readout, try_remedies=try_remedies, progress=move, **settings
        )
    if as_json:
        print_json({"model": model, **fit.summary(), "runs": fit.runs})
    else:
        if fit.layers:
            out.print(_table(fit, model))
        if fit.bandwidth is not None:
            out.print(_loads(fit.bandwidth, fit))
        for line in (*fit.lines(), *fit.advice(), *fit.remarks):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        _rewrites(fit)
        beyond = ", but exceeds the limit that was given" if fit.fits and not fit.runs else ""
        told = f"{model} {'fits' if fit.fits else 'does not fit'} {own}{beyond}"
        out.print(told, highlight=False, markup=False, soft_wrap=True)
    if not fit.runs:
        raise typer.Exit(UNFIT)


def _samples(
    network: Graph | Conversion, data: str, options: RunOptions, encoder: Encoder, dt: float
) -> dict[str, object]:
    """What is simulated, and how."""
    if is_recording(data):
        graph = spiking_graph(network)
        (shape,) = graph.inputs.values()
        found = frames(data, shape, dt)
        return {"data": found, "timesteps": found.shape[1], "encoder": named_encoder("events")}
    dataset, choice = options.data(network, data)
    say(f"samples: {named(choice)}")
    return {"data": dataset, "timesteps": options.timesteps, "encoder": encoder}


def parse_limit(text: str | None) -> float | dict[int, float] | None:
    """``1e6``, or ``0:1e6,3:2e5`` by core.

    Raises:
        SettingsError: for anything else.
    """
    if text is None:
        return None
    found: dict[int, float] = {}
    for word in text.split(","):
        core, colon, limit = word.strip().rpartition(":")
        which, most = digits(core) if colon else -1, number(limit)
        if which is None or which in found or most is None or not 0 < most < float("inf"):
            raise SettingsError(
                f"--synops-limit takes a number above 0, or such by core like 0:1e6,3:2e5, not '{text[:40]}'"
            )
        found[which] = most
    if -1 in found and len(found) > 1:
        raise SettingsError("--synops-limit takes one number for all cores, or one by core, not both")
    return found.get(-1, found)


def _loads(busy: Bandwidth, fit: Fit) -> Table:
    header = ("layer", "core", "events/s", "synops/s", "peak", "from")
    table = compact_table("synaptic operations per second", header, 1)
    cores = fit.cores
    for one in busy.layers:
        peak = ("", "") if one.peak is None else (short(one.peak), f"{1000 * (one.peak_at or 0):g} ms")
        table.add_row(one.layer, str(cores.get(one.layer, "–")), short(one.events), short(one.mean), *peak)
    return table


def _table(fit: Fit, model: str) -> Table:
    header = ("layer", "in", "out", "kernel", "kernel words", "neuron words", "bias words", "core", "holds it")
    table = compact_table(f"{model} on {fit.chip}", header, 1)
    for layer in fit.layers:
        table.add_row(
            layer.layer,
            shape_text(layer.input_shape),
            shape_text(layer.output_shape),
            f"{layer.kernel}×{layer.kernel}",
            f"{layer.kernel_words:,}",
            f"{layer.neuron_words:,}",
            f"{layer.bias_words:,}",
            "–" if layer.core is None else str(layer.core),
            ranges(layer.cores) or "none",
        )
    return table


def _rewrites(fit: Fit) -> None:
    """What was rewritten for the chip, each kind once with its layers."""
    found: dict[str, list[str]] = {}
    for layer in fit.layers:
        for name in layer.rewrites:
            found.setdefault(name, []).append(layer.layer)
    for name, layers in found.items():
        out.print(f"rewritten: {name} ({', '.join(layers)})", highlight=False, markup=False, soft_wrap=True)


def ranges(numbers: tuple[int, ...]) -> str:
    """``0-4, 7`` for 0, 1, 2, 3, 4 and 7."""
    found: list[list[int]] = []
    for one in numbers:
        if found and one == found[-1][-1] + 1:
            found[-1] = [found[-1][0], one]
        else:
            found.append([one])
    return ", ".join("-".join(map(str, ends)) for ends in found)
