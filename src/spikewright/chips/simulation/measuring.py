"""How good a network is on a chip: answers over time, what layers send and do, and how many neurons keep firing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.course import Course, course
from spikewright.chips.network import ChipNetwork
from spikewright.chips.quantise import Quantised
from spikewright.chips.recording import SensorEvents, sensor_events
from spikewright.chips.simulation.native import ChipRun
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.running import ChipRunner, Sender
from spikewright.chips.simulation.timeline import Longs
from spikewright.chips.simulation.trains import PictureTrains, StepClock, clock_of
from spikewright.chips.storage import fingerprint
from spikewright.data import Recordings, Targets, as_dataset
from spikewright.engines.event.simulation import cores
from spikewright.errors import DataError, SettingsError
from spikewright.measures.protocol import Overlap, Protocol, check_overlap, overlap_of
from spikewright.provenance import Provenance
from spikewright.settings import whole
from spikewright.tabular import Table, Tabular
from spikewright.tasks import SCORES, Answer, Curve, RunningScores, Task, TaskChoice, heads_of

BATCH = 16
"""Samples that one thread runs at a time: their events and potentials are some megabytes."""
WINDOW = 1000
"""Microseconds of a window in which synaptic operations are counted for their peak."""


@dataclass(frozen=True, eq=False)
class ChipLayerMeasures:
    """What a layer does, on average over samples.

    Attributes:
        fired: spikes of its neurons, a sample.
        sent: events that left its core, a sample; fewer behind a decimator.
        synops: synaptic operations, a sample.
        synops_per_second: on average over the run.
        peak: the most in a second, over all windows and samples.
        waiting: the share of neurons whose potential is at or above the threshold when a sample ends: they fire again
            at the next event that reaches them, whatever its weight.
    """

    fired: float
    sent: float
    synops: float
    synops_per_second: float
    peak: float
    waiting: float

    def summary(self) -> dict[str, float]:
        """The numbers by name."""
        return {label: float(value) for label, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class ChipMeasures(Tabular):
    """How good a network is on a chip.

    Attributes:
        samples: how many ran.
        trains: how they were sent.
        rules: what was taken where the data sheet leaves it open.
        tasks: by output.
        scores: by output and name, ``(T,)``: after each step; empty without labels.
        layers: by name.
        answers: by output, ``(N, values)``: what it answers in the end, in the trained network's unit.
        rate: events a step of an input's largest value.
        protocol: which samples were used for what.
        over_time: by layer its synaptic operations per second, window by window.
        waiting: by layer and channel, ``(channels,)``, the share of neurons that wait: see ``ChipLayerMeasures``.
        sent: by input and layer, ``(channels, rows, columns)``, the events of each neuron in a second; only where they
            were asked for.
        provenance: how it was measured.
    """

    samples: int
    trains: StepClock
    rules: ChipRules
    tasks: Mapping[str, Task]
    scores: Mapping[str, Mapping[str, Curve]]
    layers: Mapping[str, ChipLayerMeasures]
    answers: Mapping[str, NDArray[np.float64]] = field(repr=False)
    rate: float = 1.0
    protocol: Protocol | None = None
    over_time: Mapping[str, Course] = field(default_factory=dict, repr=False)
    waiting: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    sent: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    provenance: Provenance = field(default_factory=Provenance, repr=False)

    @property
    def synops(self) -> float:
        """Synaptic operations of all layers, a sample."""
        return sum(layer.synops for layer in self.layers.values())

    @property
    def accuracy(self) -> Curve | None:
        """The main score of a single output after each step, ``(T,)``; None without labels."""
        (name, scores), *others = self.scores.items() or [("", {})]
        return None if others or not scores else scores[self.tasks[name].main]

    def __repr__(self) -> str:
        lines = [f"{self.samples} samples, {self.trains.timesteps} steps of {self.trains.dt:g} s"]
        for output, scores in self.scores.items():
            told = (f"{SCORES[name].title} {SCORES[name].text(curve[-1], unit=True)}" for name, curve in scores.items())
            lines.append(f"{output}: {', '.join(told)}")
        return "\n  ".join(["ChipMeasures", *lines])

    def _table(self) -> Table:
        """A row a layer: what it does on average over samples."""
        titles = ("layer", "spikes", "sent", "synops", "synops a second", "peak", "waiting")
        rows = [(name, *layer.summary().values()) for name, layer in self.layers.items()]
        return Table.of_rows(titles, rows, repr(self).split("\n  ")[1:])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The curves ``(T,)``, the answers ``(N, values)`` and what layers do, by name.

        Of one output the scores have their names; of several they stand behind "head/NAME/".
        """
        found: dict[str, NDArray[Any]] = {"timestep": np.arange(1, self.trains.timesteps + 1)}
        for name, task in self.tasks.items():
            before = "" if len(self.tasks) == 1 else f"head/{name}/"
            found |= {f"{before}task": np.array(str(task)), f"answers/{name}": self.answers[name]}
            found |= {f"{before}{score}": np.array(curve) for score, curve in self.scores.get(name, {}).items()}
        for name, layer in self.layers.items():
            found |= {f"{label}/{name}": np.array(value) for label, value in layer.summary().items()}
        return found

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "samples": self.samples,
            "timesteps": self.trains.timesteps,
            "dt": self.trains.dt,
            "trains": self.trains.sent,
            "slow_clock_hz": self.trains.clock_hz,
            "rate": self.rate,
            "rules": str(self.rules),
            "tasks": {name: str(task) for name, task in self.tasks.items()},
            "scores": {name: {k: c.tolist() for k, c in scores.items()} for name, scores in self.scores.items()},
            "layers": {name: layer.summary() for name, layer in self.layers.items()},
            "protocol": None if self.protocol is None else self.protocol.summary(),
        }


def measure_chip(
    quantised: Quantised,
    data: Any,
    trains: StepClock | None = None,
    rules: ChipRules | None = None,
    *,
    task: TaskChoice = None,
    window: int = WINDOW,
    threads: int | None = None,
    allow_overlap: bool = False,
    events_to: Path | str | None = None,
    force: bool = False,
    every_neuron: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ChipMeasures:
    """Run a data set as the chip would.

    Args:
        quantised: what the chip runs.
        data: a Dataset, an array, or a pair of samples and labels, which are sent as trains; or a Recording,
            whose events arrive as they are.
        trains: how pictures are sent, regularly unless given; of a recording how long it runs, all of it in steps of a
            millisecond unless given. Its slow clock is that of the network.
        rules: where the data sheet leaves it open.
        task: as for ``measure``; what the conversion was made with, or found, where it is not said.
        window: microseconds of the windows whose most synaptic operations are told.
        threads: how many samples run side by side; all cores by default.
        allow_overlap: whether to measure on samples that were calibrated on, more of them than may be by nature.
        events_to: a folder, new or empty, for every event that layers send, as ``simulate`` writes it: a timestep is a
            microsecond there.
        force: whether events of an earlier run that stand there are replaced.
        every_neuron: whether to count what each neuron sends.
        progress: called with (samples done, samples in all).

    Raises:
        DataError: for data that do not fit, or have values below zero, and for samples that were calibrated on,
            before anything is simulated.
        SettingsError: for a network that does not say which neurons are read, or settings outside their domain.
        StorageError: for a folder that cannot be written.
    """
    if not isinstance(quantised, Quantised):
        raise SettingsError(f"a chip runs what quantise(...) gives, not a {type(quantised).__name__}")
    window, workers = whole("window", window), cores() if threads is None else whole("threads", threads)
    data = sensor_events(data)
    recorded = data if isinstance(data, SensorEvents) else None
    clock = trains or clock_of(data, None, StepClock.dt, quantised.ticks)
    if clock.ticks != quantised.ticks:
        raise SettingsError(f"the slow clock ticks {quantised.ticks} times a step in this network, not {clock.ticks}")
    window = min(window, clock.timesteps * clock.step)
    readout = quantised.network.readout
    if not readout:
        raise SettingsError("the network does not say which neurons are read")
    runner = ChipRunner(
        quantised, clock, rules or ChipRules(), window, every_event=events_to is not None, every_neuron=every_neuron
    )
    batches: Iterator[Sender]
    if recorded is not None:
        overlap, samples, labels, first = Overlap(0, 1, known=False), 1, None, 0
        batches, key = iter([partial(runner.recorded, recorded)]), recorded.fingerprint
    else:
        dataset = as_dataset(data, quantised.inputs)
        if not len(dataset):
            raise DataError("there are no samples to run; give at least one")
        if isinstance(dataset, Recordings):
            raise SettingsError(
                "a chip is sent one recording at a time, its events as they are: give one, as load_recording gives it "
                "(--data FILE); frames can be sent as pictures (data.frames)"
            )
        overlap = overlap_of(quantised.calibration.seen, dataset)
        check_overlap(overlap, allow_overlap)
        samples, labels, first = len(dataset), dataset.targets, dataset.first_sample
        key = dataset.fingerprint
        batches = (partial(runner.pictures, x) for x, _ in dataset.batches(BATCH))
    scoring = _Scoring(quantised, clock.timesteps, labels, task)
    totals, count = _Totals(quantised.network), 0
    made = Provenance.now(
        network=fingerprint(quantised),
        chip=quantised.chip,
        data=key,
        samples=samples,
        timesteps=clock.timesteps,
        dt=clock.dt,
        trains=clock.sent,
        rules=str(runner.rules),
        preprocessing=str(quantised.preprocessing),
    )
    with ExitStack() as stack:
        write = None if events_to is None else stack.enter_context(runner.folder(events_to, force, first, lambda: made))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        while waiting := list(islice(batches, workers)):
            starts = first + count + BATCH * np.arange(len(waiting))
            runs = pool.map(runner.run, waiting, starts)
            for run, events in runs:
                totals.add(run, events)
                if write is not None:
                    write(range(len(run.sent)), runner.events(run, first + count))
                count += len(run.sent)
                scoring.add({read.output: runner.answered(run, read) for read in readout})
                if progress is not None:
                    progress(count, samples)
    return ChipMeasures(
        samples=count,
        trains=clock,
        rules=runner.rules,
        tasks=scoring.tasks,
        scores={name: counter.scores() for name, counter in scoring.counters.items()},
        layers=totals.measures(count, clock.timesteps * clock.dt, window),
        answers={name: np.concatenate(parts) for name, parts in scoring.answers.items()},
        rate=quantised.rate,
        protocol=_protocol(quantised, clock, overlap),
        over_time=totals.over_time(count, window),
        waiting=totals.waiting_channels(count),
        sent={name: each / (count * clock.timesteps * clock.dt) for name, each in totals.neurons.items()},
        provenance=made,
    )


def _protocol(quantised: Quantised, clock: StepClock, overlap: Overlap) -> Protocol:
    """How a measurement came about."""
    facts = quantised.calibration
    seeds = dict(facts.seeds)
    if isinstance(clock, PictureTrains) and clock.kind == "poisson":
        seeds["encoder"] = clock.seed
    return Protocol(str(replace(facts, chosen="")), quantised.selected, overlap, seeds, facts.chosen)


class _Scoring:
    """What all outputs answer, and how good that is where there are labels."""

    def __init__(self, quantised: Quantised, timesteps: int, labels: Targets | None, task: TaskChoice) -> None:
        outputs = [Answer(read.output, read.output_shape) for read in quantised.network.readout]
        self.heads = heads_of(outputs, labels, (quantised.tasks or None) if task is None else task)
        self.answers: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.heads}
        self.counters: dict[str, RunningScores] = {
            name: head.task.running_scores(timesteps, head.answer)
            for name, head in self.heads.items()
            if head.targets is not None
        }
        self.samples = 0

    @property
    def tasks(self) -> dict[str, Task]:
        """The task of each output."""
        return {name: head.task for name, head in self.heads.items()}

    def add(self, answered: Mapping[str, NDArray[np.float64]]) -> None:
        """One batch, the next samples: by output ``(samples, T, values)``."""
        begin = self.samples
        for name, counts in answered.items():
            head = self.heads[name]
            self.answers[name].append(counts[:, -1])
            self.samples = begin + len(counts)
            if head.targets is not None:
                shaped = counts.reshape(*counts.shape[:2], *head.answer.shape)
                self.counters[name].add(shaped, head.targets[begin : self.samples])


class _Totals:
    """What layers did, added up."""

    def __init__(self, network: ChipNetwork) -> None:
        self.network = network
        zeros: Iterator[Longs] = (np.zeros(len(network.layers), np.int64) for _ in range(4))
        self.fired, self.sent, self.synops, self.peak = zeros
        self.waiting = [np.zeros(layer.output_shape[0], np.int64) for layer in network.layers]
        self.windows: list[Longs] = []
        self.most: list[Longs] = []
        self.neurons: dict[str, Longs] = {}

    def add(self, run: ChipRun, events: Mapping[str, Longs]) -> None:
        self.fired += run.fired.sum(axis=0)
        self.sent += run.sent.sum(axis=0)
        self.synops += run.synops.sum(axis=0)
        for name, each in events.items():
            self.neurons[name] = self.neurons.get(name, 0) + each
        if run.windowed is not None:
            self.peak = np.maximum(self.peak, run.windowed.max(axis=(0, 2)))
            for column, counts in enumerate(run.windowed.transpose(1, 0, 2)):
                if len(self.windows) <= column:
                    self.windows.append(np.zeros(counts.shape[1], np.int64))
                    self.most.append(np.zeros(counts.shape[1], np.int64))
                self.windows[column] += counts.sum(axis=0)
                self.most[column] = np.maximum(self.most[column], counts.max(axis=0))
        for column, layer in enumerate(self.network.layers):
            self.waiting[column] += (run.potentials[layer.name] >= layer.threshold).sum(axis=(0, 2, 3))

    def measures(self, samples: int, seconds: float, window: int) -> dict[str, ChipLayerMeasures]:
        found = {}
        for column, layer in enumerate(self.network.layers):
            synops = self.synops[column] / samples
            found[layer.name] = ChipLayerMeasures(
                fired=float(self.fired[column] / samples),
                sent=float(self.sent[column] / samples),
                synops=float(synops),
                synops_per_second=float(synops / seconds),
                peak=float(self.peak[column] * 1e6 / window),
                waiting=float(self.waiting[column].sum() / samples / np.prod(layer.output_shape)),
            )
        return found

    def over_time(self, samples: int, window: int) -> dict[str, Course]:
        """By layer its operations per second, window by window."""
        width = window / 1e6
        names = [layer.name for layer in self.network.layers]
        return {
            name: course(sums, most, samples, width, width)
            for name, sums, most in zip(names, self.windows, self.most, strict=False)
        }

    def waiting_channels(self, samples: int) -> dict[str, NDArray[np.float64]]:
        """By layer the share of neurons of each channel that wait when a sample ends."""
        layers = zip(self.network.layers, self.waiting, strict=True)
        return {layer.name: counts / (samples * np.prod(layer.output_shape[1:])) for layer, counts in layers}
