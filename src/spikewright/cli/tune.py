"""``spikewright tune``: which settings make the best conversion, chosen on calibration samples by a rule."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from spikewright.cli.calibration import CalibrationOptions, typed
from spikewright.cli.console import ClusterOption, JsonOption, ModelArgument, OverlapOption, duration
from spikewright.cli.options import check_idle, is_typed, with_options
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.presets import DataArgument, chosen, data_of
from spikewright.cli.samples import named, picked, say, seeds_of
from spikewright.cli.terminal import compact_table, out, print_json, stages
from spikewright.errors import SettingsError
from spikewright.experiment.tuning import Grid, Row, Rule, Settled, Tuning
from spikewright.experiment.tuning import tune as tuned
from spikewright.experiment.tuning.point import SETTINGS
from spikewright.experiment.tuning.rule import EXAMPLES
from spikewright.experiment.tuning.sweep import check_store
from spikewright.reports.document import check_report
from spikewright.reports.tuning import tuning_report
from spikewright.storage import check_save, save
from spikewright.text import short, significant
from spikewright.timesteps import Timesteps

MOST_ROWS = 30
CORRECT_SAMPLES = "--correct-samples"
CHOSEN = "chosen.safetensors"
"""What the command of a recommendation writes where tune writes nothing itself."""


@with_options
def tune(
    context: typer.Context,
    model: ModelArgument,
    options: CalibrationOptions,
    data_set: DataArgument = None,
    data: Annotated[
        str | None,
        typer.Option(help="To calibrate with, and to choose on: .npz, .npy, idx(.gz), a folder, module:function."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(help=f"NAME=VALUE or NAME=1..10, several times: all combinations. Of {', '.join(SETTINGS)}."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(help=f"What is wanted: {EXAMPLES}. Several choose a point each; the first is recommended."),
    ] = None,
    timesteps: Annotated[str, typer.Option("--timesteps", "-T", help="T, or a range such as 4..32.")] = "4..32",
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="A search: so many points drawn from the grid, the better half on more samples each."),
    ] = None,
    test: Annotated[str | None, typer.Option(help="Labelled data to measure what was chosen with.")] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the samples are kept to choose on; usually half, at most 1000."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is held out, and of the points that --trials draws.")] = 0,
    store: Annotated[
        Path | None, typer.Option(help="Keep what is found of each point here (.parquet), and go on from there.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The recommended network, made on all of --data.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="An HTML page with the Pareto picture.")] = None,
    dt: Annotated[
        str | None, typer.Option(help="Of recordings: the length of a timestep, like 1ms; T follows from it.")
    ] = None,
    allow_overlap: OverlapOption = False,
    cluster: ClusterOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try ways to convert a network and recommend one by a rule; test data have no part in the choice.

    Example: [bold]spikewright tune network.onnx --data mnist/ --grid gain=1..10 --grid spikes=multi[/bold]

    In short: [bold]spikewright tune network.onnx mnist/[/bold] tries two methods, with and without a correction.
    """
    data = data_of(data_set, data, "choose on")
    corrections = [] if is_typed(context, "binning") else ["correct=none", "correct=v_init_and_bias"]
    usual = [*(f"method=percentile:{p},channels" for p in (99, 99.9)), *corrections]
    grid = chosen(data_set, "--grid", grid, usual, " ".join(f"--grid {one}" for one in usual))
    chosen_grid, rules = Grid.parse(grid), [Rule.parse(text) for text in rule or ["best"]]
    steps = Timesteps.parse(timesteps)
    step = None if dt is None else duration("--dt", dt)
    if step is not None:
        check_idle(context, ("timesteps",), "the number of timesteps follows from the recordings and --dt")
    for wanted in rules if step is None else ():
        wanted.check(steps)
    if test is None:
        check_idle(context, ("allow_overlap",), "it is a setting of the measurement: give --test too")
    if not any(one.looks_at_samples for point in chosen_grid.points for one in point.corrections):
        check_idle(context, ("correct_samples",), "no correction looks at samples: give --grid correct=… too")
    if trials is not None and trials > len(chosen_grid):
        raise SettingsError(f"--trials draws {trials:,} of {len(chosen_grid):,} points: give fewer, or leave it out")
    outputs = {"--output": output, "--report": report, "--store": store}
    check_outputs(outputs, {"MODEL": model, "--weights": options.weights, "--data": data, "--test": test})
    if output is not None:
        check_save(output, force)
    if report is not None:
        check_report(report, force)
    if store is not None:
        check_store(store)
    options.check()
    graph = options.network(model)
    whole = options.data(graph, data)
    tested = None
    if test is not None:
        tested, _ = picked(options.data(graph, test, "test", whole.classes), None, None)
    calibration, choice = options.picked(whole)
    with stages(quiet=as_json) as tell:
        found = tuned(
            graph,
            calibration,
            chosen_grid,
            test=tested,
            rules=rules,
            timesteps=steps,
            dt=step,
            trials=trials,
            hold_out=hold_out,
            seed=seed,
            store=store,
            force=force,
            input_scale=options.scale,
            correction_samples=options.correct_samples,
            correction_seed=options.sample_seed,
            allow_overlap=allow_overlap,
            progress=tell,
            cluster=cluster,
            seeds=seeds_of(choice, options.first_samples, options.sample_seed),
            **options.preparation,
            **options.runs,
        )
    words = [model, "--data", data, *typed(context)]
    measured = [] if test is None else ["--test", test, *(["--allow-overlap"] * allow_overlap)]
    commands = {str(one.chosen.rule): command(words, one, measured, str(output or CHOSEN), dt) for one in found.settled}
    found = replace(
        found,
        commands=commands,
        settings={"command": context.obj, "model": model, "data": f"{data}: {named(choice)}", **found.settings},
    )
    if output is not None:
        save(replace(found.conversion, preprocessing=options.preprocessing), output, force)
    if report is not None:
        tuning_report(report, found, title=model, force=force)
    if as_json:
        print_json(found.summary())
        return
    say(f"samples: {named(choice)}; {found.held_out}")
    out.print(points_table(found))
    for one in found.settled:
        for line in found.recommendation(one):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        out.print(found.commands[str(one.chosen.rule)], highlight=False, markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    for path in filter(None, (output, report, store)):
        out.print(f"written: {path}", highlight=False, soft_wrap=True)


def command(words: list[str], settled: Settled, measured: list[str], output: str, dt: str | None = None) -> str:
    """The command line that makes a chosen network, and measures it where there are test data.

    Args:
        words: model, data and the options that both commands have.
        settled: what was chosen.
        measured: the options of a measurement; none where there is none.
        output: what it writes.
        dt: of recordings, as it was typed.
    """
    point = settled.row.point
    looks = any(one.looks_at_samples for one in point.corrections)
    if not looks and CORRECT_SAMPLES in words:
        at = words.index(CORRECT_SAMPLES)  # it would change nothing
        words = words[:at] + words[at + 2 :]
    steps = ["-T", str(settled.row.timesteps)] if measured else []
    if dt is not None:
        steps = ["--dt", dt] if measured or looks else []
    return shlex.join(["spikewright", "convert", *words, *point.words, *measured, *steps, "-o", output])


def points_table(found: Tuning) -> Table:
    """Every point with its scores and what it took; of many the best."""
    steps = found.timesteps.values
    order = list(range(len(found.tried)))
    if len(found.tried) > MOST_ROWS:
        order = sorted(order, key=lambda k: Row.of(found.tried[k], steps[-1]).lost)[:MOST_ROWS]
    some = f", the best {MOST_ROWS} of {len(found.tried):,} points" if len(found.tried) > MOST_ROWS else ""
    title = f"{found.axis} on samples held out{some}; the trained network {found.score_text(found.reference)}"
    names = list(dict.fromkeys(name for one in found.tried for name, _ in one.point.settings))
    taken = ("rate", f"synops, T={steps[-1]}") if found.dt is None else ("rate, Hz", "synops/s")
    columns = (*names, *(f"T={t}" for t in steps), *taken)
    table = compact_table(title, columns, len(names))
    for k in order:
        one = found.tried[k]
        scores = [found.score_text(float(one.scored.score[t - 1])).removesuffix(" %") for t in steps]
        cells = [one.point[name] for name in names]
        taken = (f"{one.scored.firing_rate:.3f}", short(one.scored.synops))
        if found.dt is not None:
            seconds = found.dt * one.scored.mean_steps
            taken = (significant(one.scored.firing_rate / found.dt), short(one.scored.synops / seconds))
        table.add_row(*cells, *scores, *taken)
    return table
