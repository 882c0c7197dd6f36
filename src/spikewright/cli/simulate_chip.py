"""``spikewright simulate`` of what ``quantise`` wrote: as the chip would run it, event by event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from spikewright.chips.quantise import Quantised
from spikewright.chips.simulation.measuring import ChipMeasures, measure_chip
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.chips.storage import load_quantised
from spikewright.cli.console import compact_table, out, print_json, progress
from spikewright.cli.options import RunOptions
from spikewright.cli.samples import named, picked, say
from spikewright.data import Preprocessing, load_data
from spikewright.errors import SettingsError
from spikewright.tasks import SCORES, TaskChoice
from spikewright.text import short, steps_to_show

DT = 1e-3
"""Seconds of a step where nobody says."""


def simulate_chip(
    model: Path, data: str, options: RunOptions, dt: float | None, rules: str, task: TaskChoice, as_json: bool
) -> None:
    """Run a data set as the chip would, and say how good it is.

    Args:
        model: what ``quantise`` wrote.
        data: as typed.
        options: which samples, how many steps, which trains.
        dt: of a step, in seconds.
        rules: where the data sheet leaves it open, as typed.
        task: as typed.
        as_json: whether numbers are printed as JSON.

    Raises:
        SettingsError: for settings that do not fit.
        DataError: for data that do not.
    """
    options.check()
    if options.encoder not in ("constant", "poisson"):
        raise SettingsError(f"a chip is sent regular trains, or --encoder poisson; not --encoder {options.encoder}")
    chosen, found = ChipRules.parse(rules), load_quantised(model)
    trains = PictureTrains(timesteps=options.timesteps, dt=dt or DT, ticks=found.ticks)
    if options.encoder == "poisson":
        trains = replace(trains, kind="poisson", seed=options.seed)
    steps = found.preprocessing if options.preprocess is None else Preprocessing.parse(options.preprocess)
    whole = load_data(data, split="test", inputs=found.inputs, preprocessing=steps, classes=found.classes)
    dataset, choice = picked(whole, options.samples, options.first_samples, options.sample_seed)
    with progress("simulating", quiet=as_json) as move:
        measures = measure_chip(found, dataset, trains, chosen, task=task, progress=move)
    if as_json:
        print_json({"model": str(model), "data": choice.as_json(), **measures.summary(), "quantised": found.summary()})
        return
    say(f"samples: {named(choice)}")
    if any(measures.scores.values()):
        out.print(_scores(measures))
    out.print(_layers(measures))
    for line in _lines(found, measures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _scores(measures: ChipMeasures) -> Table:
    steps = steps_to_show(measures.trains.timesteps)
    table = compact_table("on the chip", ("", *(f"T={step}" for step in steps)), 1)
    for output, scores in measures.scores.items():
        for name, curve in scores.items():
            title = SCORES[name].axis() if len(measures.scores) == 1 else f"{output}: {SCORES[name].axis()}"
            table.add_row(title, *(SCORES[name].text(curve[step - 1]) for step in steps))
    return table


def _layers(measures: ChipMeasures) -> Table:
    header = ("", "spikes", "sent", "synops", "synops/s", "peak", "waiting")
    table = compact_table("layers, per sample", header, 1)
    for name, layer in measures.layers.items():
        numbers: tuple[Any, ...] = (layer.fired, layer.sent, layer.synops, layer.synops_per_second, layer.peak)
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
