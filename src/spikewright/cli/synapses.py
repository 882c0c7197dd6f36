"""``spikewright synapses``: the network as a graph of single synapses, on disk or just counted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from spikewright.cli.console import ClusterOption, DtOption, JsonOption
from spikewright.cli.options import (
    IDLE_ON_EVENTS,
    RunOptions,
    check_idle,
    check_not_code,
    check_spiking,
    with_options,
)
from spikewright.cli.outputs import ForceOption, ResumeOption, check_outputs, check_resume, may_replace
from spikewright.cli.presets import DataArgument, some_data, timesteps_for
from spikewright.cli.samples import named, say
from spikewright.cli.terminal import compact_table, out, print_json, progress
from spikewright.conversion import Conversion
from spikewright.data import Recordings
from spikewright.encoders import Encoder
from spikewright.errors import Interruption, SettingsError
from spikewright.files import check_destination as check_file
from spikewright.files import shown
from spikewright.graph import Graph
from spikewright.parts import Checkpoint
from spikewright.rates import Rates, load_rates, simulated_rates
from spikewright.reports.document import check_report
from spikewright.settings import digits
from spikewright.storage import load_stored
from spikewright.synapse_graph import Synapses
from spikewright.synapse_graph import synapses as synapse_graph
from spikewright.synapse_graph.cuts import parts_of_neurons
from spikewright.synapse_graph.staging import GOES_ON, beginnings, logs_of
from spikewright.synapse_graph.summary import Degrees, Summary
from spikewright.synapse_graph.writers import formats, writer
from spikewright.synapse_graph.writers.pickle import dump_to_csv
from spikewright.synapse_graph.writing import check_begun, check_destination
from spikewright.text import shape_text, short, size_text


@with_options
def synapses(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A network that 'spikewright convert' wrote; or a .pickle dump, to make CSV.", metavar="NET"
        ),
    ],
    options: RunOptions,
    data_set: DataArgument = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"Where to; its suffix names the format: {', '.join(formats.names())}."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="Of the output, if its name does not say, or with options: hgr:grouped."),
    ] = None,
    rates: Annotated[Path | None, typer.Option(help="Rates that 'spikewright simulate -o' stored.")] = None,
    data: Annotated[str | None, typer.Option(help="Samples to simulate for rates: as for convert.")] = None,
    pools: Annotated[
        Literal["groups", "folded"], typer.Option(help="Pools: groups of neurons, or part of what they lead to.")
    ] = "groups",
    pool_weight: Annotated[
        Literal["1", "mean"], typer.Option(help="Of synapses into pools that are groups: 1, or 1/area.")
    ] = "1",
    dt: DtOption = None,
    shard: Annotated[str, typer.Option(help="Write one share of the parts: 2/8 for the second of eight.")] = "1/1",
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    partition: Annotated[
        Path | None, typer.Option(help="A part a line for each neuron, as partitioners write it: says what it cuts.")
    ] = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    cluster: ClusterOption = None,
    report: Annotated[Path | None, typer.Option(help="An HTML page about the graph.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List every synapse of a spiking network, weighted by how much it carries; without -o, only count them.

    Example: [bold]spikewright synapses spiking.safetensors --data mnist/ -T 64 -o synapses.parquet[/bold]

    In short: [bold]spikewright synapses spiking.safetensors mnist/[/bold] runs the T that it was corrected for.
    """
    data = some_data(data_set, data)
    share, encoder = _shard(shard), options.check()
    check_resume(resume, output, None if data is None else report)
    check_not_code(model)
    if output is None:
        check_idle(context, ["kind", "shard", "workers"], "it is a setting of what is written: give -o too")
    logs = {} if output is None else {f"--output's {log.name}": log for log in logs_of(output)}
    check_outputs(
        {"--output": output, **logs, "--report": report},
        {"NET": model, "--rates": rates, "--data": data, "--partition": partition},
    )
    lasting = report if output is None else output  # beside which what was simulated is kept
    checkpoint = None if lasting is None or data is None else Checkpoint(lasting, resume, share)
    if report is not None:
        check_report(report, may_replace(report, force, checkpoint))
    if Path(model).suffix.lower() in (".pickle", ".pkl"):
        _convert_dump(Path(model), output, force, as_json)
        return
    if output is not None:
        check_destination(output, writer(output, kind), may_replace(output, force, checkpoint))
    if rates is not None and data is not None:
        raise SettingsError("give --rates or --data, not both")
    if data is None:
        check_idle(context, RunOptions, "it is a setting of the simulation: give --data too")
        check_idle(context, ("dt", "cluster"), "it is a setting of the simulation: give --data too")
    network = load_stored(model)
    graph = check_spiking(network, model)
    if data_set is not None:
        options = replace(options, timesteps=timesteps_for(context, data_set, network, options.timesteps))
    chosen: dict[str, Any] = {"pools": pools, "pool_weight": "mean" if pool_weight == "mean" else 1}
    parts = None if partition is None else parts_of_neurons(synapse_graph(graph, **chosen), partition)
    if output is not None and data is not None and not force:
        check_begun(synapse_graph(graph, **chosen), output, writer(output, kind))
    found: Rates | None = None
    if rates is not None:
        found = load_rates(rates, graph)
    elif data is not None:
        found = _simulated(context, network, data, options, encoder, dt, as_json, cluster, checkpoint)
    made = synapse_graph(graph, found, **chosen)
    written: Path | None = None
    if output is not None:
        replaces = may_replace(output, force, checkpoint)
        written = _write(made, output, kind, share, replaces, resume, workers, as_json)
        if checkpoint is not None and written == output:
            checkpoint.note_written(output)
    summary = made.summary(parts)
    if report is not None:
        from spikewright.reports.synapses import write_synapse_report

        settings = {"command": context.obj, "network": graph.fingerprint, "pools": pools, "pool weight": pool_weight}
        title, replaces = f"Synapses of {Path(model).name}", may_replace(report, force, checkpoint)
        write_synapse_report(report, made, summary, title=title, settings=settings, force=replaces)
        if checkpoint is not None:
            checkpoint.note_written(report)
    if checkpoint is not None:
        checkpoint.clear()
    whole = written is not None and written == output
    if as_json:
        files = {"written": str(written) if whole else None, "report": None if report is None else str(report)}
        print_json({"model": model, **summary.as_json(), **files})
        return
    out.print(_groups(summary))
    out.print(_projections(summary))
    if summary.cut is not None:
        out.print(str(summary.cut), highlight=False, soft_wrap=True)
    if written is not None:
        done = f"written: {written}" if whole else f"shard {shard} is done; the other shards' parts are still to come"
        out.print(done, highlight=False, soft_wrap=True)
    if report is not None:
        out.print(f"written: {report}", highlight=False, soft_wrap=True)


def _write(
    made: Synapses,
    output: Path,
    kind: str | None,
    shard: tuple[int, int],
    force: bool,
    resume: bool,
    workers: int,
    quiet: bool,
) -> Path:
    size = made.size(output, kind)
    if size is not None and not quiet:
        say(f"writing about {size_text(size)}")
    try:
        with progress("writing synapses", quiet=quiet) as move:
            how: dict[str, Any] = {"shard": shard, "force": force, "resume": resume, "workers": workers}
            return made.write(output, kind, progress=move, **how)
    except KeyboardInterrupt:
        left = beginnings(Path(os.path.realpath(output)))
        if not left:
            raise
        raise Interruption(f"interrupted; finished parts stay in {shown(left[0])}: {GOES_ON}") from None


def _shard(text: str) -> tuple[int, int]:
    which, _, of = text.partition("/")
    share, shares = digits(which), digits(of)
    if not share or not shares or share > shares:
        raise SettingsError(f"--shard takes a share like 2/8, not '{text}'")
    return share, shares


def _simulated(
    context: typer.Context,
    network: Graph | Conversion,
    data: str,
    options: RunOptions,
    encoder: Encoder,
    dt: float | None,
    quiet: bool,
    cluster: str | None,
    checkpoint: Checkpoint | None,
) -> Rates:
    dataset, choice = options.data(network, data)
    if not quiet:
        say(f"samples: {named(choice)}")
    length: dict[str, Any] = {"timesteps": options.timesteps, "dt": dt}
    if isinstance(dataset, Recordings):
        check_idle(context, ("timesteps",), IDLE_ON_EVENTS["timesteps"])
        length = {"dt": dt}
    with progress("simulating", quiet=quiet) as move:
        return simulated_rates(
            network,
            dataset,
            **length,
            encoder=encoder,
            batch_size=options.batch_size,
            device=options.device,
            progress=move,
            cluster=cluster,
            checkpoint=checkpoint,
        )


def _convert_dump(dump: Path, output: Path | None, force: bool, as_json: bool) -> None:
    if output is None or output.suffix.lower() != ".csv":
        raise SettingsError(f"{dump}: a dump is only ever made into CSV: give -o FILE.csv")
    check_file(output, force)
    count = dump_to_csv(dump, output, force)
    if as_json:
        print_json({"synapses": count, "written": str(output)})
    else:
        out.print(f"written: {output}, {count:,} synapses", highlight=False, soft_wrap=True)


def _groups(summary: Summary) -> Table:
    footer = ("", "", "", f"{summary.neurons:,}", "", "")
    table = compact_table("groups", ("", "kind", "shape", "neurons", "fan-in", "fan-out"), 3, footer=footer)
    for name, group in summary.groups.items():
        degrees = (_mean(side.get(name)) for side in (summary.fan_in, summary.fan_out))
        table.add_row(name, group.kind, shape_text(group.shape), f"{group.neurons:,}", *degrees)
    return table


def _mean(one: Degrees | None) -> str:
    return "" if one is None else f"{one.mean:.4g}"


def _projections(summary: Summary) -> Table:
    footer: tuple[Any, ...] = ("", f"{summary.synapses:,}", "", "")
    table = compact_table("projections", ("", "synapses", "events a step", "sum of edges"), 1, footer=footer)
    for name, one in summary.projections.items():
        numbers = ("" if value is None else short(value) for value in (one.events, one.edge))
        table.add_row(name, f"{one.synapses:,}", *numbers)
    return table
