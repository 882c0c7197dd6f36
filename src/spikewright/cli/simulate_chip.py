"""``spikewright simulate`` of what ``quantise`` wrote: as the chip would run it, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from spikewright.chips.fit import check
from spikewright.chips.quantise import Quantised
from spikewright.chips.simulation.busy import bandwidth_of
from spikewright.chips.simulation.comparing import ChipComparison, check_beside, compare_on_chip
from spikewright.chips.simulation.measuring import WINDOW, ChipMeasures
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.chips.storage import load_quantised
from spikewright.cli.chip_report import write_chip_report
from spikewright.cli.console import compact_table, out, print_json, stages
from spikewright.cli.options import RunOptions
from spikewright.cli.samples import named, picked, say
from spikewright.conversion import Conversion
from spikewright.data import Preprocessing, load_data
from spikewright.errors import SettingsError
from spikewright.loading import load
from spikewright.measures import Measures
from spikewright.reports.document import check_report
from spikewright.tasks import SCORES, TaskChoice
from spikewright.text import short, steps_to_show

DT = 1e-3
"""Seconds of a step where nobody says."""


@dataclass(frozen=True)
class ChipRun:
    """What was typed of a run on a chip.

    Attributes:
        dt: of a step, in seconds.
        rules: where the data sheet leaves it open.
        task: what labels mean.
        beside: the conversion that steps on the same events, or None.
        allow_overlap: whether it may be measured on samples of its calibration.
        report: where a page is written, or None.
        force: whether a page that stands there is replaced.
        told: what the page says of how it was made.
    """

    dt: float | None
    rules: str
    task: TaskChoice
    beside: str | None
    allow_overlap: bool
    report: Path | None = None
    force: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)


def simulate_chip(model: Path, data: str, options: RunOptions, run: ChipRun, as_json: bool) -> None:
    """Run a data set as the chip would, and say how good it is.

    Args:
        model: what ``quantise`` wrote.
        data: as typed.
        options: which samples, how many steps, which trains.
        run: what else was typed.
        as_json: whether numbers are printed as JSON.

    Raises:
        SettingsError: for settings that do not fit.
        DataError: for data that do not.
    """
    if run.report is not None:
        check_report(run.report, run.force)
    options.check()
    if options.encoder not in ("constant", "poisson"):
        raise SettingsError(f"a chip is sent regular trains, or --encoder poisson; not --encoder {options.encoder}")
    chosen, found = ChipRules.parse(run.rules), load_quantised(model)
    conversion = None if run.beside is None else _conversion(run.beside, found)
    trains = PictureTrains(timesteps=options.timesteps, dt=DT if run.dt is None else run.dt, ticks=found.ticks)
    if options.encoder == "poisson":
        trains = replace(trains, kind="poisson", seed=options.seed)
    steps = found.preprocessing if options.preprocess is None else Preprocessing.parse(options.preprocess)
    whole = load_data(data, split="test", inputs=found.inputs, preprocessing=steps, classes=found.classes)
    dataset, choice = picked(whole, options.samples, options.first_samples, options.sample_seed)
    fit = None if run.report is None else check(found, dt=trains.dt)
    with stages(quiet=as_json) as tell:
        compared = compare_on_chip(
            found,
            dataset,
            trains,
            chosen,
            beside=conversion,
            task=run.task,
            allow_overlap=run.allow_overlap,
            every_neuron=fit is not None,
            progress=tell,
        )
    measures, stepped = compared.chip, compared.stepped
    if fit is not None and run.report is not None:
        fit = check(found, dt=trains.dt, busy=bandwidth_of(found.network, measures, WINDOW / 1e6))
        seen = {"data": f"{measures.samples} samples of {data}: {named(choice)}", "beside": run.beside}
        write_chip_report(run.report, fit, compared, model=str(model), told={**run.told, **seen}, force=run.force)
    if as_json:
        told = {"model": str(model), "data": choice.as_json(), **measures.summary(), "quantised": found.summary()}
        told |= {} if stepped is None else {"stepped": stepped.summary()}
        print_json({**told, **({} if run.report is None else {"report": str(run.report)})})
        return
    say(f"samples: {named(choice)}")
    if any(measures.scores.values()):
        out.print(_scores(measures, stepped))
    out.print(_layers(compared))
    for line in _lines(found, measures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    if run.report is not None:
        out.print(f"report: {run.report}", highlight=False, soft_wrap=True)


def _conversion(path: str, found: Quantised) -> Conversion:
    """The conversion that a chip's network was made of, as far as names and shapes tell.

    Raises:
        SettingsError: for another one.
    """
    network = load(path)
    if not isinstance(network, Conversion):
        raise SettingsError(f"{path}: is no conversion; give --beside what was quantised")
    check_beside(found, network, path)
    return network


def _scores(measures: ChipMeasures, stepped: Measures | None) -> Table:
    steps = steps_to_show(measures.trains.timesteps)
    table = compact_table("on the chip", ("", *(f"T={step}" for step in steps)), 1)
    for output, scores in measures.scores.items():
        before = "" if len(measures.scores) == 1 else f"{output}: "
        for name, curve in scores.items():
            title = f"{before}{SCORES[name].axis()}"
            table.add_row(title, *(SCORES[name].text(curve[step - 1]) for step in steps))
            other = None if stepped is None else stepped.heads[output].scores.get(name)
            if other is not None:
                table.add_row(f"{title}, in steps", *(SCORES[name].text(other[step - 1]) for step in steps))
    return table


def _layers(compared: ChipComparison) -> Table:
    beside = [] if compared.stepped is None else ["in steps"]
    header = ("", "spikes", *beside, "sent", "synops", "synops/s", "peak", "waiting")
    table = compact_table("layers, per sample", header, 1)
    for name, layer in compared.chip.layers.items():
        spikes = [value for value in compared.spikes(name) if value is not None]
        numbers = (*spikes, layer.sent, layer.synops, layer.synops_per_second, layer.peak)
        table.add_row(name, *map(short, numbers), f"{100 * layer.waiting:.1f} %")
    return table


def _lines(found: Quantised, measures: ChipMeasures) -> list[str]:
    trains, rules = measures.trains, str(measures.rules) or "as stated"
    return [
        f"chip: {found.chip}, order and open rules: {rules}",
        f"trains: {trains.kind}, {found.rate:g} events a step of {trains.dt:g} s for an input's largest value; slow "
        f"clock {trains.clock_hz:g} Hz",
        "waiting: neurons at or above their threshold at the end, which fire at the next event that reaches them",
        *(f"note: {note}" for note in found.notes),
    ]
