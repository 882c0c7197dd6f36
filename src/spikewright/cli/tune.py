"""``spikewright tune``: which settings make the best conversion, chosen on calibration samples by a rule."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from spikewright.calibration import input_scale_text, parse_input_scale
from spikewright.cli.console import (
    AnswerOption,
    BatchOption,
    DeviceOption,
    EncoderOption,
    JsonOption,
    LeakyOption,
    ModelArgument,
    OverlapOption,
    PreprocessOption,
    ShapeOption,
    TaskOption,
    VerifyOption,
    WeightsOption,
    compact_table,
    out,
    parse_shape,
    print_json,
    stages,
)
from spikewright.cli.outputs import ForceOption, check_outputs
from spikewright.cli.samples import DrawOption, FirstOption, named, picked, say, seeds_of
from spikewright.conversion import Conversion
from spikewright.data import Preprocessing, load_data
from spikewright.errors import SettingsError
from spikewright.experiment.tuning import Grid, Row, Rule, Settled, Tuning
from spikewright.experiment.tuning import tune as tuned
from spikewright.experiment.tuning.point import SETTINGS
from spikewright.experiment.tuning.rule import EXAMPLES
from spikewright.experiment.tuning.sweep import check_store
from spikewright.loading import load
from spikewright.reports.document import check_report
from spikewright.reports.tuning import tuning_report
from spikewright.storage import check_save, save
from spikewright.text import short
from spikewright.timesteps import Timesteps

SHARED = (
    "weights",
    "shape",
    "verify",
    "preprocess",
    "input_scale",
    "samples",
    "first_samples",
    "sample_seed",
    "answer",
    "leaky",
    "task",
    "encoder",
    "batch_size",
    "device",
    "allow_overlap",
)
"""The options that mean the same to ``convert``."""
MOST_ROWS = 30
CHOSEN = "chosen.safetensors"
"""What the command of a recommendation writes where tune writes nothing itself."""


def tune(
    context: typer.Context,
    model: ModelArgument,
    data: Annotated[
        str, typer.Option(help="To calibrate with, and to choose on: .npz, .npy, idx(.gz), a folder, module:function.")
    ],
    grid: Annotated[
        list[str],
        typer.Option(help=f"NAME=VALUE or NAME=1..10, several times: all combinations. Of {', '.join(SETTINGS)}."),
    ],
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
    weights: WeightsOption = None,
    shape: ShapeOption = None,
    verify: VerifyOption = None,
    preprocess: PreprocessOption = "",
    input_scale: Annotated[
        str, typer.Option(help="What one event stands for (--encoder poisson): max, 99.9%, or a number like 255.")
    ] = "max",
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many samples of --data, in proportion to the classes; usually 5000."),
    ] = None,
    first_samples: FirstOption = None,
    sample_seed: DrawOption = 0,
    answer: AnswerOption = "keep",
    leaky: LeakyOption = "refuse",
    task: TaskOption = None,
    encoder: EncoderOption = "constant",
    allow_overlap: OverlapOption = False,
    force: ForceOption = False,
    batch_size: BatchOption = 100,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Try ways to convert a network and recommend one by a rule; test data have no part in the choice.

    Example: [bold]spikewright tune network.onnx --data mnist/ --grid gain=1..10 --grid spikes=multi[/bold]
    """
    chosen_grid, rules = Grid.parse(grid), [Rule.parse(text) for text in rule or ["best"]]
    steps = Timesteps.parse(timesteps)
    for wanted in rules:
        wanted.check(steps)
    if trials is not None and trials > len(chosen_grid):
        raise SettingsError(f"--trials draws {trials:,} of {len(chosen_grid):,} points: give fewer, or leave it out")
    outputs = {"--output": output, "--report": report, "--store": store}
    check_outputs(outputs, {"MODEL": model, "--weights": weights, "--data": data, "--test": test})
    if output is not None:
        check_save(output, force)
    if report is not None:
        check_report(report, force)
    if store is not None:
        check_store(store)
    scale = input_scale_text(parse_input_scale(input_scale))
    preprocessing = Preprocessing.parse(preprocess)
    graph = load(model, weights=weights, shape=parse_shape(shape), verify=verify)
    if isinstance(graph, Conversion):
        raise SettingsError(f"{model}: is a conversion already; give the trained network")
    whole = load_data(data, split="train", inputs=graph.inputs, preprocessing=preprocessing)
    tested = None
    if test is not None:
        every = load_data(test, split="test", inputs=graph.inputs, preprocessing=preprocessing, classes=whole.classes)
        tested, _ = picked(every, None, None)
    calibration, choice = picked(whole, samples, first_samples, sample_seed, usual=5000)
    with stages(quiet=as_json) as tell:
        found = tuned(
            graph,
            calibration,
            chosen_grid,
            test=tested,
            rules=rules,
            timesteps=steps,
            trials=trials,
            hold_out=hold_out,
            seed=seed,
            store=store,
            force=force,
            answer=answer,
            leaky=leaky,
            input_scale=scale,
            task=task,
            encoder=encoder,
            correction_seed=sample_seed,
            allow_overlap=allow_overlap,
            batch_size=batch_size,
            device=device,
            progress=tell,
            seeds=seeds_of(choice, first_samples, sample_seed),
        )
    words = [model, "--data", data, *typed(context, SHARED)]
    commands = {str(one.chosen.rule): command(words, one, test, str(output or CHOSEN)) for one in found.settled}
    found = replace(
        found,
        commands=commands,
        settings={"command": context.obj, "model": model, "data": f"{data}: {named(choice)}", **found.settings},
    )
    if output is not None:
        save(replace(found.conversion, preprocessing=preprocessing), output, force)
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


def command(words: list[str], settled: Settled, test: str | None, output: str) -> str:
    """The command line that makes a chosen network, and measures it where there are test data.

    Args:
        words: model, data and the options that both commands have.
        settled: what was chosen.
        test: as typed.
        output: what it writes.
    """
    measured = [] if test is None else ["--test", test, "-T", str(settled.row.timesteps)]
    return shlex.join(["spikewright", "convert", *words, *settled.row.point.words, *measured, "-o", output])


def typed(context: typer.Context, names: Collection[str]) -> list[str]:
    """Those of some options that were typed, as words.

    Args:
        context: of the command.
        names: of its parameters.
    """
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


def points_table(found: Tuning) -> Table:
    """Every point with its scores and what it took; of many the best."""
    steps = found.timesteps.values
    order = list(range(len(found.tried)))
    if len(found.tried) > MOST_ROWS:
        order = sorted(order, key=lambda k: Row.of(found.tried[k], steps[-1]).lost)[:MOST_ROWS]
    some = f", the best {MOST_ROWS} of {len(found.tried):,} points" if len(found.tried) > MOST_ROWS else ""
    title = f"{found.axis} on samples held out{some}; the trained network {found.score_text(found.reference)}"
    names = list(dict.fromkeys(name for one in found.tried for name, _ in one.point.settings))
    columns = (*names, *(f"T={t}" for t in steps), "rate", f"synops, T={steps[-1]}")
    table = compact_table(title, columns, len(names))
    for k in order:
        one = found.tried[k]
        scores = [found.score_text(float(one.scored.score[t - 1])).removesuffix(" %") for t in steps]
        cells = [one.point[name] for name in names]
        table.add_row(*cells, *scores, f"{one.scored.firing_rate:.3f}", short(one.scored.synops))
    return table
