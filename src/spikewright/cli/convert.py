"""``spikewright convert``: a trained network and some data in, a spiking network out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spikewright.calibration import MEMORY, look, methods, parse_all
from spikewright.calibration.thresholds.auto import Auto
from spikewright.cli.calibration import CalibrationOptions
from spikewright.cli.console import (
    ClusterOption,
    DtOption,
    EarlyExitOption,
    ExplainOption,
    JsonOption,
    ModelArgument,
    OverlapOption,
    ReadoutFromOption,
    exit_share,
    parse_readout,
)
from spikewright.cli.options import IDLE_ON_EVENTS, check_idle, check_timesteps, is_typed, with_options
from spikewright.cli.outputs import ForceOption, ResumeOption, check_outputs, may_replace
from spikewright.cli.presets import DataArgument, data_of
from spikewright.cli.samples import named, picked, say, seeds_of
from spikewright.cli.scores import comparison, judgement, tasks_text
from spikewright.cli.terminal import err, out, print_json, progress, stages
from spikewright.cli.verbosity import note_missing_engine
from spikewright.conversion import Neurons, NeuronsByPopulation, spikes_of
from spikewright.corrections import correctors, correctors_of
from spikewright.data import Recordings, sample_digests
from spikewright.data.recordings import frames_in
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.readout import check_window
from spikewright.errors import SettingsError
from spikewright.experiment import compared, converted, prepared, statistics_of
from spikewright.experiment.automatic import check_automatic, resolved
from spikewright.experiment.foreseeing import check_ways
from spikewright.experiment.held_out import expected_inputs
from spikewright.experiment.on_recordings import check_recordings, length_of
from spikewright.files import check_destination
from spikewright.frontends.verify import verification
from spikewright.measures import check_exit, check_overlap, overlap_of
from spikewright.nodes.spike_max_pool import Policy
from spikewright.parts import Checkpoint
from spikewright.plot import check_plots, save_all
from spikewright.provenance import PROVENANCE
from spikewright.reports import report as write_report
from spikewright.reports.document import check_report
from spikewright.storage import check_save, save
from spikewright.tasks import heads
from spikewright.text import short

METHOD = f"{', '.join(methods.names())}; options after colon and commas: percentile:99.9,channels,schedule=0.02."

CORRECT = f"Once neurons spike: {', '.join(correctors.names())}; options as of methods: v_init:4..32, bias:steps."
USUAL = "percentile:99.9"
"""The method where nobody names one, nor leaves it to ``auto``."""
SETTINGS = ("method", "correct", "neurons", "spikes", "reset", "v_init", "v_min", "leak")
"""Who types one of these chooses."""
_MEASURING = ("timesteps", "readout_from", "early_exit", "explain", "allow_overlap")
"""Options of the measurement."""


@with_options
def convert(
    context: typer.Context,
    model: ModelArgument,
    options: CalibrationOptions,
    data_set: DataArgument = None,
    data: Annotated[
        str | None,
        typer.Option(help="To calibrate with: .npz, .npy, idx(.gz), a folder, or module:function."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The spiking network.")] = Path("spiking.safetensors"),
    method: Annotated[list[str] | None, typer.Option(help=f"{METHOD} The first is written.")] = None,
    statistics: Annotated[Path | None, typer.Option(help="Keep the statistics here, and reuse them.")] = None,
    memory: Annotated[
        int, typer.Option(min=1, help="MiB in which exact percentiles are found in one pass over --data.")
    ] = MEMORY,
    reset: Annotated[Literal["subtract", "zero"], typer.Option(help="After a spike.")] = "subtract",
    spikes: Annotated[str, typer.Option(help="Per step: single, multi, or a cap such as 3.")] = "single",
    neurons: Annotated[
        str,
        typer.Option(help="By name or pattern: 'conv*: spikes=3; fc1: reset=zero'; of all others: 'signed,no_debt'."),
    ] = "",
    v_init: Annotated[float, typer.Option(help="Initial potential, as a fraction of the threshold.")] = 0.5,
    v_min: Annotated[float | None, typer.Option(help="Lowest potential, as a fraction of the threshold.")] = None,
    leak: Annotated[float, typer.Option(help="Decay of the potential per step; 1 is no leak.")] = 1.0,
    max_pool: Annotated[Policy, typer.Option(help="How max pooling acts on spikes.")] = "count_max",
    view: Annotated[Literal["weights", "thresholds"], typer.Option(help="What takes the scale.")] = "weights",
    readout: Annotated[Literal["potential", "count"], typer.Option(help="Of the output layer.")] = "potential",
    correct: Annotated[list[str] | None, typer.Option(help=f"{CORRECT} In order; it can be given again.")] = None,
    test: Annotated[str | None, typer.Option(help="Labelled data to measure with, by every --method.")] = None,
    report: Annotated[Path | None, typer.Option(help="An HTML page that shows it all; needs --test.")] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            help="A folder, new or empty, for figures: activations, weights; with --test rates, accuracy, spikes.",
            metavar="FOLDER",
        ),
    ] = None,
    plots_as: Annotated[Literal["svg", "png", "pdf"], typer.Option(help="What figures are written as.")] = "svg",
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", help="Of the measurement.")] = 64,
    dt: DtOption = None,
    readout_from: ReadoutFromOption = "0",
    early_exit: EarlyExitOption = None,
    explain: ExplainOption = True,
    allow_overlap: OverlapOption = False,
    force: ForceOption = False,
    resume: ResumeOption = False,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a trained network: fold, calibrate, normalise, replace every ReLU by spiking neurons.

    Example: [bold]spikewright convert network.onnx --data mnist/ -o spiking.safetensors[/bold]

    In short: [bold]spikewright convert network.onnx mnist/[/bold] makes a network for T = 32, and says how.
    """
    data, preset, help_at = _data_of(context, data_set, data)
    note_missing_engine()
    if test is None:
        if report is not None:
            raise SettingsError("--report needs --test: data to measure with")
        check_idle(context, _MEASURING, "it is a setting of the measurement: give --test too")
    check_timesteps(timesteps)
    start = parse_readout(readout_from)
    if start != "auto":
        check_window(start, timesteps)
    loss = exit_share(early_exit)
    outputs = {"--output": output, "--report": report, "--statistics": statistics, "--plots": plots}
    check_outputs(outputs, {"MODEL": model, "--weights": options.weights, "--data": data, "--test": test})
    checkpoint = Checkpoint(output, resume)
    force_output = may_replace(output, force, checkpoint)
    check_save(output, force_output)
    if report is not None:
        check_report(report, may_replace(report, force, checkpoint))
    if plots is None:
        check_idle(context, ("plots_as",), "no figures are drawn: give --plots too")
    else:
        check_plots(plots, plots_as, force=force)
    if statistics is not None:
        check_destination(statistics, force=True)  # reused where it fits
    methods = parse_all(method or preset)
    corrections = correctors_of(correct or help_at)
    options.check()
    scale, steps, how = options.scale, options.preprocessing, named_encoder(options.encoder)
    base = Neurons(reset, spikes_of(spikes, "--spikes"), v_init, v_min, leak, max_pool)
    settings = {"view": view, "readout": readout, **options.preparation}
    made_so: dict[str, Any] = {**settings, "neurons": NeuronsByPopulation.parse(neurons, base)}
    check_automatic(methods, corrections)
    if not any(one.looks_at_samples for one in corrections) and not any(isinstance(one, Auto) for one in methods):
        check_idle(context, ("correct_samples",), "no correction looks at samples: give --correct too")
    graph = options.network(model)
    folded = prepared(graph, **made_so)
    foreseen: dict[str, Any] = {"encoder": how, **made_so}
    if test is not None:
        foreseen |= {"timesteps": timesteps, "readout_from": start, "early_exit": loss}
    check_ways(folded, methods, corrections, **foreseen)
    whole = options.data(graph, data)
    labelled, tested, asked, length = None, None, {}, dict[str, Any]()
    if test is not None:
        labelled, tested = picked(options.data(graph, test, "test", whole.classes), None, None)
        # Labels that do not fit are refused before anything is written.
        asked = heads(folded, labelled.targets, options.task)
        if loss is not None:
            check_exit(next(iter(asked.values())), loss)
    if labelled is not None:
        length = length_of(labelled, timesteps, dt, start, loss)
    if isinstance(labelled, Recordings):
        for idle in ("timesteps", "explain"):
            check_idle(context, (idle,), IDLE_ON_EVENTS[idle])
    if isinstance(whole, Recordings):
        check_recordings(methods, corrections, dt)
        if labelled is None and not any(one.looks_at_samples for one in corrections):
            check_idle(context, ("dt",), "nothing runs on events without --test, or a correction that looks at samples")
    elif labelled is None:
        check_idle(context, ("dt",), "it is of runs, in recordings' and in --test's: give one of them")
    samples, choice = options.picked(whole)
    calibration = frames_in(samples)
    if corrections or any(isinstance(one, Auto) for one in methods):
        check_ways(folded, methods, corrections, samples=min(options.correct_samples, len(calibration)), **foreseen)
    if labelled is not None:
        check_overlap(overlap_of(sample_digests(calibration), labelled), allow_overlap)
    with progress("choosing", quiet=as_json) as move:
        recipes = resolved(
            folded,
            calibration,
            methods,
            corrections,
            input_scale=scale,
            progress=move,
            **made_so,
            **options.runs,
        )
    chosen = [one.automatic for one in recipes if one.automatic is not None]
    with progress("calibrating", quiet=as_json) as move:
        found = statistics_of(
            folded,
            expected_inputs(calibration, how),
            [one.recipe.method for one in recipes],
            store=statistics,
            force=force,
            input_scale=scale,
            task=options.task,
            batch_size=options.batch_size,
            memory=memory,
            device=options.device,
            progress=move,
            cluster=cluster,
            checkpoint=checkpoint,
        )
    seen = look(folded, found)
    if not as_json:
        for line in seen.lines:
            err.print(line, highlight=False, markup=False, soft_wrap=True)
    with stages(quiet=as_json) as tell:
        made = converted(
            graph,
            found,
            recipes,
            samples,
            encoder=how,
            seed=options.sample_seed,
            correction_samples=options.correct_samples,
            task=options.task,
            device=options.device,
            dt=dt,
            progress=tell,
            **made_so,
        )
    for what, seed in seeds_of(choice, options.first_samples, options.sample_seed).items():
        made = tuple(replace(one, calibration=one.calibration.drawn(what, seed)) for one in made)
    conversion = replace(made[0], preprocessing=steps)
    save(conversion, output, force_output)
    checkpoint.note_written(output)
    summary: dict[str, Any] = {
        "output": str(output),
        "method": conversion.calibration.method,
        "chosen": [str(one) for one in chosen],
        "scales": {name: conversion.scales[name].tolist() for name in conversion.units if name in conversion.scales},
        "corrections": [str(one) for one in conversion.corrections],
        "neurons": asdict(conversion.neurons.default),
        "neurons_by_population": {pattern: asdict(one) for pattern, one in conversion.neurons.exceptions},
        "calibration_samples": found.samples,
        "verified": str(verification(graph)),
        "calibration": choice.as_json(),
        PROVENANCE: conversion.remembered[-1].description,
        **seen.summary(),
    }
    compared_ones = None
    if labelled is not None and tested is not None:
        told = {
            "command": context.obj,
            "model": model,
            "calibration": f"{found.samples} samples of {data}: {named(choice)}",
            "test": f"{len(labelled)} samples of {test}: {named(tested)}",
            "fingerprints of data": f"{conversion.remembered[-1].settings['data'][:16]}, {labelled.fingerprint[:16]}",
            "methods": ", ".join(map(str, methods)),
            **({"correct": " + ".join(map(str, corrections))} if corrections else {}),
            **{str(one.auto): one for one in chosen},
            **({"encoder": options.encoder} if options.encoder != "constant" else {}),
            **({"samples of corrections": options.correct_samples} if corrections else {}),
            "input scale": scale,
            "task": tasks_text(asked),
            **length,
            **({"preprocess": str(steps)} if str(steps) else {}),
            **({"binning": options.binning} if options.binning else {}),
            **asdict(conversion.neurons.default),
            **({"neurons": conversion.neurons} if conversion.neurons.exceptions else {}),
            **settings,
        }
        with stages(quiet=as_json) as tell:
            compared_ones = compared(
                made,
                labelled,
                timesteps,
                graph=graph,
                statistics=found,
                settings=told,
                encoder=how,
                batch_size=options.batch_size,
                device=options.device,
                progress=tell,
                calibration=calibration,
                readout_from=start,
                early_exit=loss,
                explain=explain,
                allow_overlap=allow_overlap,
                dt=dt,
                cluster=cluster,
                checkpoint=checkpoint,
            )
        if report is not None:
            write_report(report, compared_ones, title=model, force=may_replace(report, force, checkpoint))
            checkpoint.note_written(report)
            summary["report"] = str(report)
        measures = compared_ones.measures
        summary["measures"] = {k: m.summary() for k, m in measures.items()}
        summary["warnings"] = list(compared_ones.warnings)
        if not as_json:
            out.print(comparison(measures))
            for line in judgement(measures):
                out.print(line, highlight=False, markup=False, soft_wrap=True)
    if plots is not None:
        save_all(plots, compared_ones or conversion, statistics=found, kind=plots_as, force=force)
        summary["plots"] = str(plots)
    checkpoint.clear()
    if as_json:
        print_json(summary)
    else:
        say(f"calibrated on {named(choice)}")
        populations, count = len(conversion.spiking.populations), short(conversion.neuron_count)
        err.print(f"{populations} populations, {count} neurons, {conversion.calibration.method}")
        for one in chosen:
            err.print(f"{one.auto} chose {one}", markup=False, highlight=False, soft_wrap=True)
        err.print(str(verification(graph)), markup=False, highlight=False, soft_wrap=True)
        for correction in conversion.corrections:
            err.print(f"corrected: {correction}", markup=False, highlight=False, soft_wrap=True)
        which = f", by {methods[0]}" if len(methods) > 1 else ""
        out.print(f"written: {output}{which}", highlight=False, soft_wrap=True)
        if report is not None:
            out.print(f"report: {report}", highlight=False, soft_wrap=True)
        if plots is not None:
            out.print(f"figures: {plots}", highlight=False, soft_wrap=True)


def _data_of(context: typer.Context, behind: str | None, option: str | None) -> tuple[str, str, list[str]]:
    """What to calibrate with, and method and corrections where nobody names any: better ones for data alone.

    Raises:
        SettingsError: for no data, or data in both places.
    """
    data = data_of(behind, option, "calibrate with")
    if behind is None or any(is_typed(context, name) for name in SETTINGS):
        return data, USUAL, []
    recordings = is_typed(context, "binning")
    method, corrections = f"{USUAL},channels", [] if recordings else ["v_init_and_bias:32"]
    typed = " ".join([f"--method {method}", *(f"--correct {one}" for one in corrections)])
    say(f"no settings were named: {typed}; for few timesteps --method auto:8 tries many")
    return data, method, corrections
