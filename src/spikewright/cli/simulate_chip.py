"""``spikewright simulate`` of what ``quantise`` wrote: as the chip would run it, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from spikewright.chips.fit import check
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import SensorEvents, is_recording
from spikewright.chips.simulation.busy import bandwidth_of
from spikewright.chips.simulation.comparing import ChipComparison, check_beside, compare_on_chip
from spikewright.chips.simulation.measuring import WINDOW, ChipMeasures
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.trains import PictureTrains, clock_of, trains_of
from spikewright.chips.storage import load_quantised
from spikewright.cli.chip_report import write_chip_report
from spikewright.cli.options import RunOptions
from spikewright.cli.outputs import check_curves, write_curves, written_events
from spikewright.cli.samples import named, say
from spikewright.cli.terminal import compact_table, out, print_json, stages
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.events import check_destination as check_events
from spikewright.events import load_events
from spikewright.loading import load
from spikewright.measures import Measures
from spikewright.provenance import PROVENANCE
from spikewright.reports.document import check_report
from spikewright.tasks import SCORES, TaskChoice
from spikewright.text import short, steps_to_show

DT = 1e-3
"""Seconds of a step where nobody says."""


@dataclass(frozen=True)
class ChipRun:
    """What was typed of a run on a chip.

    Attributes:
        timesteps: T; None for all of a recording.
        dt: of a step, in seconds.
        rules: where the data sheet leaves it open.
        spread: whether the events of a step are spread over it.
        task: what labels mean.
        beside: the conversion that steps on the same events, or None.
        allow_overlap: whether it may be measured on samples of its calibration.
        output: a file for curves, answers and what layers do, or None.
        events: a folder for every event that layers send, or None.
        report: where a page is written, or None.
        force: whether results that stand there are replaced.
        told: what the page says of how it was made.
    """

    timesteps: int | None
    dt: float | None
    rules: str
    spread: bool
    task: TaskChoice
    beside: str | None
    allow_overlap: bool
    output: Path | None = None
    events: Path | None = None
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
    if run.output is not None:
        check_curves(run.output, run.force)
    if run.events is not None:
        check_events(run.events, run.force)
    if run.report is not None:
        check_report(run.report, run.force)
    encoder = options.check()
    if options.encoder not in ("constant", "poisson"):
        raise SettingsError(f"a chip is sent regular trains, or --encoder poisson; not --encoder {options.encoder}")
    rules, found = ChipRules.parse(run.rules), load_quantised(model)
    conversion = None if run.beside is None else _conversion(run.beside, found)
    samples, chosen, named_so = _samples(found, data, options, quiet=as_json)
    clock = clock_of(samples, run.timesteps, DT if run.dt is None else run.dt, found.ticks)
    if isinstance(clock, PictureTrains):
        clock = trains_of(encoder, timesteps=clock.timesteps, dt=clock.dt, ticks=clock.ticks, spread=run.spread)
    fit = None if run.report is None else check(found, dt=clock.dt)
    with stages(quiet=as_json) as tell:
        compared = compare_on_chip(
            found,
            samples,
            clock,
            rules,
            beside=conversion,
            task=run.task,
            allow_overlap=run.allow_overlap,
            every_neuron=fit is not None,
            events_to=run.events,
            force=run.force,
            progress=tell,
        )
    measures, stepped = compared.chip, compared.stepped
    if run.output is not None:
        made = {PROVENANCE: np.array(str(measures.provenance))}
        write_curves({**measures.arrays(), **made}, run.output, run.force)
    if fit is not None and run.report is not None:
        fit = check(found, dt=clock.dt, busy=bandwidth_of(found.network, measures, WINDOW / 1e6))
        seen = {"data": named_so, "beside": run.beside}
        write_chip_report(run.report, fit, compared, model=str(model), told={**run.told, **seen}, force=run.force)
    stored = None if run.events is None else load_events(run.events)
    if as_json:
        told = {"model": str(model), "data": chosen, **measures.summary(), "quantised": found.summary()}
        if isinstance(samples, SensorEvents):
            told["answers"] = {name: values[0].tolist() for name, values in measures.answers.items()}
        if stored is not None:
            told["events"] = {"folder": str(run.events), "populations": dict(stored.counts)}
        told |= {} if stepped is None else {"stepped": stepped.summary()}
        told[PROVENANCE] = measures.provenance.description
        print_json({**told, **({} if run.report is None else {"report": str(run.report)})})
        return
    if any(measures.scores.values()):
        out.print(_scores(measures, stepped))
    out.print(_layers(compared))
    lines = _lines(found, measures)
    if isinstance(samples, SensorEvents):
        lines += _answers(found, measures, samples)
    if run.output is not None:
        lines.append(f"written: {run.output}")
    if stored is not None:
        lines.append(written_events(stored))
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    if run.report is not None:
        out.print(f"report: {run.report}", highlight=False, soft_wrap=True)


def _samples(found: Quantised, data: str, options: RunOptions, quiet: bool) -> tuple[Any, dict[str, Any], str]:
    """What is sent, how it was chosen, and the same in words."""
    if is_recording(data):
        recording = SensorEvents.read(data)
        return recording, {"recording": data, "events": len(recording)}, f"the recording {data}"
    dataset, choice = options.data(found, data)
    if not quiet:
        say(f"samples: {named(choice)}")
    return dataset, choice.as_json(), f"{len(dataset)} samples of {data}: {named(choice)}"


def _answers(found: Quantised, measures: ChipMeasures, recording: SensorEvents) -> list[str]:
    """What came out of a recording: the values of every output that count most."""
    lines = [f"recording: {len(recording):,} events in {recording.t[-1] / 1e6:g} s"]
    lines += [
        f"note: one event of '{source.name}' stands for {source.event_value:.4g} in the network's unit; quantise with "
        f"--rate {source.event_value * found.rate:.4g} where it is to count as 1"
        for source in found.network.inputs
        if source.event_value != 1
    ]
    for name, values in measures.answers.items():
        best = np.argsort(-values[0], kind="stable")[:3]
        names = found.classes if len(found.classes) == values.shape[1] else tuple(map(str, range(values.shape[1])))
        most = ", ".join(f"{names[k]} ({values[0][k]:.4g})" for k in best)
        lines.append(f"answer '{name}', most: {most}")
    return lines


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
    overlap = None if measures.protocol is None else measures.protocol.overlap
    steps = f"{trains.timesteps} steps of {trains.dt:g} s"
    rate = f" trains, {found.rate:g} events a step of {trains.dt:g} s for an input's largest value"
    how = trains.sent + (rate if isinstance(trains, PictureTrains) else f", {steps}")
    return [
        f"chip: {found.chip}, order and open rules: {rules}",
        f"events: {how}; slow clock {trains.clock_hz:g} Hz",
        *([str(overlap)] if overlap is not None and measures.scores else []),
        f"sent: what left the core, behind its decimator; peak: the busiest {WINDOW / 1000:g} ms, event by event",
        "waiting: neurons at or above their threshold at the end, which fire at the next event that reaches them",
        *(f"note: {note}" for note in found.notes),
    ]
