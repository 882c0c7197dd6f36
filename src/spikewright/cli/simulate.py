"""``spikewright simulate``: run a converted network and see how good it is, at every timestep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.table import Table

from spikewright.chips.recording import is_recording
from spikewright.chips.storage import is_quantised
from spikewright.cli.console import (
    ClusterOption,
    DtOption,
    DtypeOption,
    EarlyExitOption,
    EngineOption,
    ExplainOption,
    JsonOption,
    OverlapOption,
    ReadoutFromOption,
    TaskOption,
    exit_share,
    parse_readout,
)
from spikewright.cli.options import (
    IDLE_ON_EVENTS,
    RECORDED,
    RunOptions,
    check_idle,
    check_not_code,
    check_spiking,
    is_typed,
    with_options,
)
from spikewright.cli.outputs import (
    ForceOption,
    ResumeOption,
    check_curves,
    check_outputs,
    check_resume,
    may_replace,
    write_curves,
    written_events,
)
from spikewright.cli.presets import DataArgument, data_of, timesteps_for
from spikewright.cli.samples import named, say
from spikewright.cli.scores import agreement_lines, comparison, judgement, tasks_text
from spikewright.cli.simulate_chip import ChipRun, simulate_chip
from spikewright.cli.terminal import compact_table, out, print_json, progress
from spikewright.cli.verbosity import note_missing_engine
from spikewright.conversion import Conversion
from spikewright.data import Dataset, Recordings, sample_digests
from spikewright.engines import Engine
from spikewright.engines.readout import check_window
from spikewright.engines.windows import check_length
from spikewright.errors import SettingsError
from spikewright.events import check_destination as check_events
from spikewright.events import load_events
from spikewright.experiment import readout_of
from spikewright.experiment.on_recordings import length_of
from spikewright.graph import Graph
from spikewright.loading import load
from spikewright.measures import Measures, check_exit, measure
from spikewright.measures.early_exit import check_free
from spikewright.measures.protocol import check_overlap, overlap_of
from spikewright.measures.scores import agreement_name
from spikewright.parts import Checkpoint
from spikewright.provenance import PROVENANCE, Provenance
from spikewright.reports.document import check_report
from spikewright.reports.recording import recording_report
from spikewright.storage import SUFFIX
from spikewright.tasks import heads
from spikewright.text import energy_text, shape_text, short, significant

_STEPPED = {
    *("engine", "dtype", "readout_from", "early_exit", "calibration", "explain"),
    *("input_scale", "negative", "batch_size", "device"),
}
"""Options that only networks have which step."""


@with_options
def simulate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A .safetensors file that 'convert' or 'quantise' wrote, or a .nir file.", metavar="SPIKING"
        ),
    ],
    options: RunOptions,
    data_set: DataArgument = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Samples, with labels if there are any: as for convert. Of a chip, or a recording: .npz of t, x, y, p."
        ),
    ] = None,
    dt: DtOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Keep curves and rates as .npz.")] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Write every spike into this folder, new or empty, as Parquet.", metavar="FOLDER"),
    ] = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    task: TaskOption = None,
    engine: EngineOption = "auto",
    dtype: DtypeOption = "float32",
    readout_from: ReadoutFromOption = "0",
    early_exit: EarlyExitOption = None,
    calibration: Annotated[
        str | None, typer.Option(help="Samples of calibration, for --early-exit and --readout-from auto.")
    ] = None,
    explain: ExplainOption = True,
    allow_overlap: OverlapOption = False,
    beside: Annotated[
        str | None,
        typer.Option(
            help="Of a chip: the conversion it was quantised from, run in steps on the same events.", metavar="SPIKING"
        ),
    ] = None,
    chip_rules: Annotated[
        str,
        typer.Option(
            help="Of a chip, where that is not public: fires=above, decimator=neuron, ticks=add; permute=SEED draws "
            "the order of simultaneous events."
        ),
    ] = "",
    spread: Annotated[
        bool,
        typer.Option(
            "--spread/--simultaneous",
            help="Of a chip: whether the events of a step are spread over it, or all come at its beginning.",
        ),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(
            help="An HTML page: of a recording, its events, frames, and the run as an animation; of a chip, what it "
            "computes."
        ),
    ] = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a spiking network over a data set: accuracy at every timestep, rates, correlation, synops, energy. What
    'quantise' wrote is run event by event, as the chip would.

    Example: [bold]spikewright simulate spiking.safetensors --data mnist/ -T 64[/bold]

    In short: [bold]spikewright simulate spiking.safetensors mnist/[/bold] runs the T that it was corrected for.
    """
    data = data_of(data_set, data, "simulate")
    note_missing_engine()
    check_resume(resume, output, events)
    if is_quantised(model):
        check_idle(context, ("resume", "cluster"), "what 'quantise' wrote is run in one go, in one place")
        check_idle(context, _STEPPED, f"{model} is run event by event, as the chip would, and it is none of that")
        outputs = {"--output": output, "--events": events, "--report": report}
        check_outputs(outputs, {"SPIKING": model, "--data": data, "--beside": beside})
        recorded = is_recording(data)
        if recorded:
            idle = {*RECORDED, "task", "allow_overlap", "beside", "spread"}
            check_idle(context, idle, "a recording is one sample without a label, whose events are as they are")
        steps = None
        if is_typed(context, "timesteps") or not recorded:
            steps = timesteps_for(context, data_set, model, options.timesteps)
        chip = ChipRun(
            timesteps=steps,
            dt=dt,
            rules=chip_rules,
            spread=spread,
            task=task,
            beside=beside,
            allow_overlap=allow_overlap,
            output=output,
            events=events,
            report=report,
            force=force,
            told={"command": context.obj},
        )
        simulate_chip(Path(model), data, options, chip, as_json)
        return
    simultaneous = ("--simultaneous", not spread)
    for option, given in (("--chip-rules", chip_rules), simultaneous, ("--beside", beside)):
        if given:
            raise SettingsError(f"{option} is for what 'spikewright quantise' wrote; {model} is a network that steps")
    encoder = options.check()
    start = parse_readout(readout_from)
    if start != "auto":
        check_window(start, options.timesteps)
    loss = exit_share(early_exit)
    if calibration is None and (start == "auto" or early_exit is not None):
        asked = "--readout-from auto" if start == "auto" else "--early-exit"
        raise SettingsError(f"{asked} is found on samples of calibration: give them with --calibration")
    if calibration is not None and start != "auto" and early_exit is None:
        raise SettingsError(
            "--calibration would change nothing: it is for --early-exit and --readout-from auto: give one of them too"
        )
    check_not_code(model)
    outputs = {"--output": output, "--events": events, "--report": report}
    check_outputs(outputs, {"SPIKING": model, "--data": data})
    if report is not None:
        check_report(report, force)
    lasting = events if output is None else output  # beside which what was counted is kept
    checkpoint = None if lasting is None else Checkpoint(lasting, resume)
    if output is not None:
        check_curves(output, may_replace(output, force, checkpoint))
    if events is not None:
        check_events(events, may_replace(events, force, checkpoint))
    ours = Path(model).suffix.lower() == SUFFIX
    network = load(model, dt=None if ours else dt)  # of a network of ours it is a setting of the run
    spiking = check_spiking(network, model)
    dataset, choice = options.data(network, data)
    if not isinstance(dataset, Recordings):
        options = replace(options, timesteps=timesteps_for(context, data_set, network, options.timesteps))
        if start != "auto":
            check_window(start, options.timesteps)
    if isinstance(dataset, Recordings):
        for unused, why in IDLE_ON_EVENTS.items():
            check_idle(context, (unused,), why)
        length_of(dataset, options.timesteps, dt, start, loss)
    elif report is not None:
        raise SettingsError(
            "--report is of recordings, and of what 'spikewright quantise' wrote; 'spikewright convert --test … "
            "--report' makes a page of other runs"
        )
    remembered = dict(network.tasks) or None if isinstance(network, Conversion) else None
    wanted = heads(spiking, dataset.targets, remembered if task is None else task)  # refused before anything runs
    check_length(spiking, options.timesteps)
    if loss is not None:
        check_exit(next(iter(wanted.values())), loss)
        check_free(spiking)
    chosen_start, rule = 0 if start == "auto" else start, None
    if calibration is not None:
        if not isinstance(network, Conversion):
            what = "a spiking network without its trained one has no use for calibration data"
            raise SettingsError(f"{calibration}: {what}")
        seen, _ = options.data(network, calibration, split="train")
        network = replace(network, calibration=network.calibration.with_samples(sample_digests(seen)))
        check_overlap(overlap_of(network.calibration.seen, dataset), allow_overlap)
        run = {"encoder": encoder, "batch_size": options.batch_size, "device": options.device}
        run |= {"engine": engine, "dtype": dtype}
        chosen_start, rule = readout_of(network, seen, options.timesteps, start, loss, **run)
    length: dict[str, Any] = {"timesteps": options.timesteps}
    if isinstance(dataset, Recordings):
        length = {}
    with progress("simulating", quiet=as_json) as move:
        measures = measure(
            network,
            dataset,
            **length,
            task=task,
            encoder=encoder,
            batch_size=options.batch_size,
            engine=cast(Engine, engine),
            device=options.device,
            dtype=dtype,
            progress=move,
            events_to=events,
            force=events is not None and may_replace(events, force, checkpoint),
            dt=dt,
            readout_from=chosen_start,
            early_exit=rule,
            explain=explain,
            allow_overlap=allow_overlap,
            checkpoint=checkpoint,
            cluster=cluster,
        )
    made = _provenance(network, dataset, measures, options, dtype)
    if output is not None:
        curves = {**_arrays(measures), PROVENANCE: np.array(str(made))}
        write_curves(curves, output, may_replace(output, force, checkpoint))
        if checkpoint is not None:
            checkpoint.note_written(output)
    stored = None if events is None else load_events(events)
    if report is not None and isinstance(dataset, Recordings):
        recording_report(report, dataset.items[0], dataset.binning, network, dt, force=force)
    if checkpoint is not None:
        checkpoint.clear()
    if as_json:
        written: dict[str, Any] = {} if report is None else {"report": str(report)}
        if stored is not None:
            written["events"] = {"folder": str(events), "populations": dict(stored.counts)}
        print_json(
            {"model": model, "data": choice.as_json(), **measures.summary(), **written, PROVENANCE: made.description}
        )
        return
    say(f"samples: {named(choice)}")
    method = network.calibration.method if isinstance(network, Conversion) else ""
    out.print(comparison({method or model: measures}))
    for line in judgement({method or model: measures}):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(_populations(measures))
    out.print(_connections(measures))
    if any(reading.layers for reading in measures.others.values()):
        out.print(_others(measures))
    out.print(f"task: {tasks_text(measures.heads)}", highlight=False, markup=False, soft_wrap=True)
    for line in agreement_lines(measures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"engine: {measures.engine} ({measures.run.engine_reason})", highlight=False, soft_wrap=True)
    spent = energy_text(measures.energy_spiking)
    if measures.energy_analog is not None:
        spent += f" against {energy_text(measures.energy_analog)} for the analog network"
    constants = f"{measures.energy.ac} pJ an accumulate, {measures.energy.mac} pJ a multiply-accumulate, 45 nm"
    out.print(f"energy, estimated: {spent} ({constants})", highlight=False, soft_wrap=True)
    if measures.dt is not None:
        out.print(_per_second(measures), highlight=False)
    for note in measures.notes:
        out.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if output is not None:
        out.print(f"written: {output}", highlight=False)
    if report is not None and isinstance(dataset, Recordings):
        out.print(f"report: {report}, of {dataset.items[0].name}", highlight=False, markup=False, soft_wrap=True)
    if stored is not None:
        out.print(written_events(stored), highlight=False, markup=False, soft_wrap=True)


def _provenance(
    network: Graph | Conversion, data: Dataset, measures: Measures, options: RunOptions, dtype: str
) -> Provenance:
    """What reproduces a run; read once the samples were, so that nothing is read again for it."""
    steps = network.preprocessing if isinstance(network, Conversion) else ""
    return Provenance.now(
        network=network.key if isinstance(network, Conversion) else network.fingerprint,
        method=network.calibration.method if isinstance(network, Conversion) else "",
        data=data.fingerprint,
        samples=measures.samples,
        timesteps=measures.timesteps,
        encoder=options.encoder,
        seed=options.seed,
        preprocessing=str(steps if options.preprocess is None else options.preprocess),
        engine=measures.engine,
        dtype=dtype,
    )


def _per_second(measures: Measures) -> str:
    analog = "" if measures.power_analog is None else f" against {significant(measures.power_analog)} mW"
    return (
        f"at {measures.dt:g} s a timestep: {significant(measures.firing_rate_per_second or 0)} Hz a neuron, "
        f"{short(measures.synops_per_second or 0)} synaptic operations/s, "
        f"{significant(measures.power_spiking or 0)} mW{analog}"
    )


def _populations(measures: Measures) -> Table:
    header = ("", "shape", "firing rate", "silent", *(["correlation"] if measures.compared else []))
    table = compact_table("populations", header, 2)
    for name, layer in measures.layers.items():
        pearson = None if layer.correlation is None else layer.correlation.pearson
        cells = [shape_text(layer.shape), f"{layer.firing.mean:.4f}", f"{100 * layer.firing.silent:.1f} %"]
        table.add_row(name, *cells, *(["" if pearson is None else f"{pearson:.4f}"] if measures.compared else []))
    return table


def _connections(measures: Measures) -> Table:
    table = compact_table("connections, per sample", ("", "synaptic operations"), 1)
    for name, synops in measures.synops.items():
        table.add_row(name, short(synops.total))
    return table


def _others(measures: Measures) -> Table:
    """What found measures say of single layers."""
    shown = [reading for reading in measures.others.values() if reading.layers]
    table = compact_table("by layer", ("", *(reading.title for reading in shown)), 1)
    for name in dict.fromkeys(name for reading in shown for name in reading.layers):
        table.add_row(name, *(reading.text(name) for reading in shown))
    return table


def _arrays(measures: Measures) -> dict[str, Any]:
    """The curves ``(T,)``, the rate of every neuron, and histograms of rates, in spikes per timestep.

    Of one output the scores have their names, "accuracy" or "mse", and those against the analog network "agreement" or
    "agreement_mse"; of several they stand behind "head/NAME/".
    """
    arrays: dict[str, Any] = {"timestep": np.arange(1, measures.timesteps + 1)}
    for name, head in measures.heads.items():
        before = "" if len(measures.heads) == 1 else f"head/{name}/"
        arrays[f"{before}task"] = np.array(str(head.task))
        arrays |= {f"{before}{score}": curve for score, curve in head.scores.items()}
        arrays |= {f"{before}{agreement_name(score)}": curve for score, curve in head.agreement.items()}
    for name, layer in measures.layers.items():
        arrays[f"firing_rate_neurons/{name}"] = layer.firing.histogram
        arrays[f"firing_rate_edges/{name}"] = layer.firing.edges
    for name, reading in measures.others.items():
        arrays[f"others/{name}"] = np.array(reading.value)
        arrays |= {f"others/{name}/{layer}": np.array(value) for layer, value in reading.layers.items()}
    return arrays | measures.rates.arrays()
