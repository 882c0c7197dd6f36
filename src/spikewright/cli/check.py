"""``spikewright check``: whether a network fits a chip, why not, and what would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from spikewright.chips.bandwidth import Bandwidth
from spikewright.chips.fit import check as checked
from spikewright.chips.known import chip as known_chip
from spikewright.chips.known import chips
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import SensorEvents, is_recording
from spikewright.chips.simulation.busy import bandwidth_of, micros_of
from spikewright.chips.simulation.comparing import ChipComparison, compare_on_chip
from spikewright.chips.simulation.trains import clock_of
from spikewright.chips.storage import is_quantised, load_quantised
from spikewright.chips.value import Fit
from spikewright.cli.chip_report import compared_or_why, write_chip_report
from spikewright.cli.console import ClusterOption, JsonOption, ShapeOption, WeightsOption, duration, parse_shape
from spikewright.cli.options import (
    IDLE_ON_EVENTS,
    RECORDED,
    RunOptions,
    check_idle,
    check_spiking,
    is_typed,
    with_options,
)
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.presets import DataArgument, chosen, some_data, timesteps_for
from spikewright.cli.samples import named, say
from spikewright.cli.terminal import compact_table, out, print_json, progress, stages
from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Choice, Recordings
from spikewright.errors import SettingsError
from spikewright.loading import load
from spikewright.rates import load_rates
from spikewright.reports.document import check_report
from spikewright.settings import digits, number
from spikewright.text import ranges, shape_text, short

OF_FLOATS = {"rates", "try_remedies", "encoder", "seed", "input_scale", "negative", "batch_size", "device"}
"""Options that only networks of floats have."""
UNFIT = 1
"""Exit status of a network that does not fit."""
USUAL = 100
"""How many samples are simulated where nobody says."""


@with_options
def check(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A network that 'convert' or 'quantise' wrote; of a trained one the sizes are checked.", metavar="NET"
        ),
    ],
    options: RunOptions,
    data_set: DataArgument = None,
    chip: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(chips.names())}; speck2f, or that of the integers, unless given."),
    ] = None,
    dt: Annotated[
        str | None,
        typer.Option(
            help="How long a step is: 1ms, 500us, 0.001 (seconds). Biases are added once a step.", metavar="TIME"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Samples, usually 100, or a recording (.npz of t, x, y, p), for operations per second: as for simulate"
        ),
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
    report: Annotated[
        Path | None,
        typer.Option(
            help="An HTML page: cores, bandwidth, changes; with --data also what the chip computes beside it."
        ),
    ] = None,
    cluster: ClusterOption = None,
    force: ForceOption = False,
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a network against a chip: memory of every layer, limits, the core that it gets, what would fit instead.

    With --data or --rates also synaptic operations per second. Exit status: 0 if it fits, 1 if it does not or a limit
    that was given is exceeded, 2 for errors.

    Example: [bold]spikewright check spiking.safetensors --chip speck2f --data mnist/ --dt 1ms[/bold]

    In short: [bold]spikewright check spiking.safetensors mnist/[/bold] takes steps of 1 ms.
    """
    data = some_data(data_set, data)
    if data_set is not None:
        dt = chosen(data_set, "--dt", dt, "1ms")
    if report is None:
        check_idle(context, ("force",), "nothing is written without --report")
    else:
        check_outputs({"--report": report}, {"NET": model, "--rates": rates, "--data": data})
        check_report(report, force)
    own, encoder = None if chip is None else known_chip(chip), options.check()
    step = None if dt is None else duration("--dt", dt)
    limit = parse_limit(synops_limit)
    settings: dict[str, Any] = {"window": duration("--window", window), "synops_limit": limit}
    if data is not None and rates is not None:
        raise SettingsError("give --data, which is simulated, or --rates, which were")
    if data is None and rates is None and synops_limit is not None:
        raise SettingsError("--synops-limit would change nothing: operations are counted with --data or --rates")
    if data is None:
        check_idle(context, ("cluster",), "nothing is simulated without --data")
        check_idle(context, RunOptions, "nothing is simulated without --data")
        check_idle(context, ("window",), "peaks are those of single events: give --data")
        check_idle(context, ("try_remedies",), "remedies are simulated on samples: give --data")
    if data is not None and step is None:
        raise SettingsError("operations per second need to know how long a step is: say --dt 1ms")
    integers = is_quantised(model)
    if integers:
        check_idle(context, OF_FLOATS, f"{model} holds integers, which are sent regular trains of the samples")
        check_idle(context, ("cluster",), "what 'quantise' wrote is run in one place")
    network = load_quantised(Path(model)) if integers else load(model, weights=weights, shape=parse_shape(shape))
    used: Choice | None = None
    if rates is not None and not isinstance(network, Quantised):
        settings["rates"] = load_rates(rates, spiking_graph(network))
    if data is not None:
        if not isinstance(network, Quantised):
            check_spiking(network, model)
        bare = isinstance(network, Conversion) and network.binning is None and options.binning is None
        if is_recording(data) and (bare or not isinstance(network, Conversion)):
            check_idle(context, set(RECORDED), "a recording is one sample, whose events are as they are")
            settings["data"] = SensorEvents.read(data)
            settings["timesteps"] = options.timesteps if is_typed(context, "timesteps") else None
        else:
            settings["data"], used = options.data(network, data, usual=USUAL)
            steps = timesteps_for(context, data_set, network, options.timesteps)
            settings["timesteps"] = steps
            if isinstance(settings["data"], Recordings):
                check_idle(context, ("timesteps",), IDLE_ON_EVENTS["timesteps"])
            if not integers:
                settings["encoder"] = encoder
            if not as_json:
                say(f"samples: {named(used)}")
    compared, without = None, ""
    if isinstance(network, Quantised) and data is not None:
        checked(network, own, dt=step)  # what is refused is refused before it runs
        compared, busy = _on_chip(network, settings, step or 0.0, quiet=as_json)
        settings = {"busy": busy, "synops_limit": limit}
    with progress("simulating", quiet=as_json or data is None) as move:
        fit = checked(
            network,
            own,
            dt=step,
            chip_readout=chip_readout,
            try_remedies=try_remedies,
            progress=move,
            cluster=cluster,
            **settings,
        )
    if report is not None:
        if compared is None:
            with stages(quiet=as_json) as tell:
                compared, without = compared_or_why(network, fit, settings, step, tell)
        told = {"command": context.obj, "data": data, "rates": rates, "synops limit": synops_limit}
        told |= {} if data is None else {"window": window}
        write_chip_report(report, fit, compared, model=model, told=told, without=without, force=force)
    if as_json:
        beside = {} if compared is None else {"on_chip": compared.summary()}
        written = {} if report is None else {"report": str(report)}
        drawn = None if used is None else used.as_json()
        print_json({"model": model, "data": drawn, **fit.summary(), "runs": fit.runs, **beside, **written})
    else:
        if fit.layers:
            out.print(_table(fit, model))
        if fit.bandwidth is not None:
            out.print(_loads(fit.bandwidth, fit))
        for line in (*map(str, fit.used), *map(str, fit.losses), *fit.lines(), *fit.advice(), *fit.remarks):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        for name, layers in fit.rewrites.items():
            out.print(f"rewritten: {name} ({', '.join(layers)})", highlight=False, markup=False, soft_wrap=True)
        beyond = ", but exceeds the limit that was given" if fit.fits and not fit.runs else ""
        verdict = f"{model} {'fits' if fit.fits else 'does not fit'} {fit.chip}{beyond}"
        out.print(verdict, highlight=False, markup=False, soft_wrap=True)
        if report is not None:
            out.print(f"report: {report}", highlight=False, soft_wrap=True)
    if not fit.runs:
        raise typer.Exit(UNFIT)


def _on_chip(
    network: Quantised, settings: Mapping[str, Any], dt: float, quiet: bool
) -> tuple[ChipComparison, Bandwidth]:
    """What integers do with samples, event by event."""
    clock = clock_of(settings["data"], settings["timesteps"], dt, network.ticks)
    window = micros_of(settings["window"])
    with stages(quiet=quiet) as tell:
        compared = compare_on_chip(
            network, settings["data"], clock, window=window, allow_overlap=True, every_neuron=True, progress=tell
        )
    return compared, bandwidth_of(network.network, compared.chip, window / 1e6)


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
