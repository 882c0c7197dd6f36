"""``spikewright simulate`` of what ``quantise`` wrote: as the chip would run it, event by event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from rich.table import Table

from spikewright.chips.quantise import Quantised
from spikewright.chips.simulation.measuring import ChipMeasures, measure_chip
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.stepped import TrainFrames
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.chips.storage import load_quantised
from spikewright.cli.console import compact_table, out, print_json, progress
from spikewright.cli.options import RunOptions
from spikewright.cli.samples import named, picked, say
from spikewright.conversion import Conversion
from spikewright.data import Preprocessing, load_data
from spikewright.errors import SettingsError
from spikewright.loading import load
from spikewright.measures import Measures, measure
from spikewright.tasks import SCORES, TaskChoice
from spikewright.text import listed, short, steps_to_show

DT = 1e-3
"""Seconds of a step where nobody says."""


@dataclass(frozen=True)
class ChipRun:
    """What was typed of a run on a chip.

    Attributes:
        dt: of a step, in seconds.
        rules: where the data sheet leaves it open.
        spread: whether the events of a step are spread over it.
        task: what labels mean.
        beside: the conversion that steps on the same events, or None.
        allow_overlap: whether it may be measured on samples of its calibration.
    """

    dt: float | None
    rules: str
    spread: bool
    task: TaskChoice
    beside: str | None
    allow_overlap: bool


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
    options.check()
    if options.encoder not in ("constant", "poisson"):
        raise SettingsError(f"a chip is sent regular trains, or --encoder poisson; not --encoder {options.encoder}")
    chosen, found = ChipRules.parse(run.rules), load_quantised(model)
    conversion = None if run.beside is None else _conversion(run.beside, found)
    dt = DT if run.dt is None else run.dt
    trains = PictureTrains(timesteps=options.timesteps, dt=dt, ticks=found.ticks, spread=run.spread)
    if options.encoder == "poisson":
        trains = replace(trains, kind="poisson", seed=options.seed)
    steps = found.preprocessing if options.preprocess is None else Preprocessing.parse(options.preprocess)
    whole = load_data(data, split="test", inputs=found.inputs, preprocessing=steps, classes=found.classes)
    dataset, choice = picked(whole, options.samples, options.first_samples, options.sample_seed)
    stepped = None
    if conversion is not None:
        with progress("simulating in steps", quiet=as_json) as move:
            stepped = measure(
                conversion,
                dataset,
                trains.timesteps,
                encoder=TrainFrames(found.network, trains),
                task=run.task,
                explain=False,
                allow_overlap=run.allow_overlap,
                progress=move,
            )
    with progress("simulating", quiet=as_json) as move:
        measures = measure_chip(found, dataset, trains, chosen, task=run.task, progress=move)
    if as_json:
        told = {"model": str(model), "data": choice.as_json(), **measures.summary(), "quantised": found.summary()}
        print_json({**told, **({} if stepped is None else {"stepped": stepped.summary()})})
        return
    say(f"samples: {named(choice)}")
    if any(measures.scores.values()):
        out.print(_scores(measures, stepped))
    out.print(_layers(measures, stepped))
    for line in _lines(found, measures):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _conversion(path: str, found: Quantised) -> Conversion:
    """The conversion that a chip's network was made of, as far as names and shapes tell.

    Raises:
        SettingsError: for another one.
    """
    network = load(path)
    layers = [layer.name for layer in found.network.layers]
    if not isinstance(network, Conversion):
        raise SettingsError(f"{path}: is no conversion; give --beside what was quantised")
    populations = [node.name for node in network.spiking.populations]
    if sorted(populations) != sorted(layers) or dict(network.spiking.inputs) != dict(found.inputs):
        raise SettingsError(
            f"{path}: has the populations {listed(populations)}, the chip the layers {listed(layers)}: give --beside "
            "what was quantised"
        )
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


def _layers(measures: ChipMeasures, stepped: Measures | None) -> Table:
    beside = [] if stepped is None else ["in steps"]
    header = ("", "spikes", *beside, "sent", "synops", "synops/s", "peak", "waiting")
    table = compact_table("layers, per sample", header, 1)
    for name, layer in measures.layers.items():
        spikes: list[float] = [layer.fired]
        if stepped is not None:
            own = stepped.layers[name]
            spikes.append(own.firing.mean * stepped.timesteps * prod(own.shape))
        numbers = (*spikes, layer.sent, layer.synops, layer.synops_per_second, layer.peak)
        table.add_row(name, *map(short, numbers), f"{100 * layer.waiting:.1f} %")
    return table


def _lines(found: Quantised, measures: ChipMeasures) -> list[str]:
    trains, rules = measures.trains, str(measures.rules) or "as stated"
    return [
        f"chip: {found.chip}, order and open rules: {rules}",
        f"trains: {trains.kind}, {found.rate:g} events a step of {trains.dt:g} s for an input's largest value, "
        f"{'spread over it' if trains.spread else 'all at its beginning'}; slow clock {trains.clock_hz:g} Hz",
        "waiting: neurons at or above their threshold at the end, which fire at the next event that reaches them",
        *(f"note: {note}" for note in found.notes),
    ]
