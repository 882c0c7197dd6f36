"""How good a network is on a chip: answers over time, what layers send and do, and how many neurons keep firing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.course import Course, course
from spikewright.chips.network import ChipNetwork
from spikewright.chips.quantise import Quantised, pictures_of
from spikewright.chips.simulation.native import ChipRun, ChipSimulation
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.timeline import Longs, timeline
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.data import as_dataset
from spikewright.engines.event.simulation import cores
from spikewright.errors import SettingsError
from spikewright.tasks import SCORES, Answer, Curve, Labels, RunningScores, Task, TaskChoice, chosen_tasks, find_task

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
class ChipMeasures:
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
        over_time: by layer its synaptic operations per second, window by window.
        waiting: by layer and channel, ``(channels,)``, the share of neurons that wait: see ``ChipLayerMeasures``.
        sent: by input and layer, ``(channels, rows, columns)``, the events of each neuron in a second; only where they
            were asked for.
    """

    samples: int
    trains: PictureTrains
    rules: ChipRules
    tasks: Mapping[str, Task]
    scores: Mapping[str, Mapping[str, Curve]]
    layers: Mapping[str, ChipLayerMeasures]
    answers: Mapping[str, NDArray[np.float64]] = field(repr=False)
    rate: float = 1.0
    over_time: Mapping[str, Course] = field(default_factory=dict, repr=False)
    waiting: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    sent: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

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

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "samples": self.samples,
            "timesteps": self.trains.timesteps,
            "dt": self.trains.dt,
            "trains": self.trains.kind,
            "slow_clock_hz": self.trains.clock_hz,
            "rate": self.rate,
            "rules": str(self.rules),
            "tasks": {name: str(task) for name, task in self.tasks.items()},
            "scores": {name: {k: c.tolist() for k, c in scores.items()} for name, scores in self.scores.items()},
            "layers": {name: layer.summary() for name, layer in self.layers.items()},
        }


def measure_chip(
    quantised: Quantised,
    data: Any,
    trains: PictureTrains | None = None,
    rules: ChipRules | None = None,
    *,
    task: TaskChoice = None,
    window: int = WINDOW,
    threads: int | None = None,
    every_neuron: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ChipMeasures:
    """Run a data set as the chip would.

    Args:
        quantised: what the chip runs.
        data: a Dataset, an array, or a pair of samples and labels.
        trains: how pictures are sent; its slow clock is that of the network.
        rules: where the data sheet leaves it open.
        task: as for ``measure``; what the conversion was made with, or found, where it is not said.
        window: microseconds of the windows whose most synaptic operations are told.
        threads: how many samples run side by side; all cores by default.
        every_neuron: whether to count what each neuron sends.
        progress: called with (samples done, samples in all).

    Raises:
        DataError: for data that do not fit, or have values below zero.
        SettingsError: for a network that does not say which neurons are read, or settings outside their domain.
    """
    network = quantised.network
    sent = trains or PictureTrains(ticks=quantised.ticks)
    if sent.ticks != quantised.ticks:
        raise SettingsError(f"the slow clock ticks {quantised.ticks} times a step in this network, not {sent.ticks}")
    if not network.readout:
        raise SettingsError("the network does not say which neurons are read")
    dataset = as_dataset(data, quantised.inputs)
    workers = threads or cores()
    runner = _Runner(network, sent, rules or ChipRules(), window, every_neuron)
    totals, count = _Totals(network), 0
    counters: dict[str, RunningScores] = {}
    tasks: dict[str, Task] = {}
    answers: dict[str, list[NDArray[np.float64]]] = {read.output: [] for read in network.readout}
    labels = dataset.targets
    chosen = chosen_tasks(task, {read.output: read.output for read in network.readout})
    for read in network.readout:
        own = labels.get(read.output) if isinstance(labels, Mapping) else labels
        answer = Answer(read.output, (len(read.neurons),), None)
        tasks[read.output] = find_task(answer, own, chosen.get(read.output, quantised.tasks.get(read.output)))
        if own is not None:
            counters[read.output] = tasks[read.output].running_scores(sent.timesteps, answer)
    batches = dataset.batches(BATCH)
    with ThreadPoolExecutor(workers) as pool:
        while waiting := list(islice(batches, workers)):
            starts = dataset.first_sample + count + BATCH * np.arange(len(waiting))
            for (x, y), (run, events) in zip(
                waiting, pool.map(runner.run, [x for x, _ in waiting], starts), strict=True
            ):
                totals.add(run, events)
                count += len(x)
                for read in network.readout:
                    counted = runner.answered(run, read.output, len(x))
                    answers[read.output].append(counted[:, -1])
                    own = y.get(read.output) if isinstance(y, Mapping) else y
                    if read.output in counters and own is not None:
                        answer = Answer(read.output, (len(read.neurons),), None)
                        counters[read.output].add(counted, tasks[read.output].targets(answer, Labels(own)))
                if progress is not None:
                    progress(count, len(dataset))
    return ChipMeasures(
        samples=count,
        trains=sent,
        rules=runner.rules,
        tasks=tasks,
        scores={name: counter.scores() for name, counter in counters.items()},
        layers=totals.measures(count, sent.timesteps * sent.dt, window),
        answers={name: np.concatenate(parts) for name, parts in answers.items()},
        rate=quantised.rate,
        over_time=totals.over_time(count, window),
        waiting=totals.waiting_channels(count),
        sent={name: each / (count * sent.timesteps * sent.dt) for name, each in totals.neurons.items()},
    )


class _Runner:
    """A chip that pictures are sent to."""

    def __init__(
        self, network: ChipNetwork, trains: PictureTrains, rules: ChipRules, window: int, every_neuron: bool
    ) -> None:
        self.every_neuron = every_neuron
        self.network, self.trains, self.rules, self.window = network, trains, rules, window
        self.chip = ChipSimulation(network, rules, threads=1)
        self.shapes = {source.name: source.shape for source in network.inputs}
        self.reads = {read.output: read for read in network.readout}

    def run(self, x: Any, first: int) -> tuple[ChipRun, dict[str, Longs]]:
        """A batch, whose first sample has a place in its data set, and the events of each neuron where wanted."""
        pictures, beats = pictures_of(self.network, x), self.trains.beats()
        lines, events = [], {name: np.zeros(shape, np.int64) for name, shape in self.shapes.items()}
        for number in range(len(x)):
            sent = {
                source.name: self.trains.of(pictures[source.name][number], source, int(first) + number)
                for source in self.network.inputs
            }
            lines.append(timeline(sent, self.shapes, beats, self.rules.permute is not None))
            for name, train in sent.items() if self.every_neuron else ():
                np.add.at(events[name], (train.channel, train.y, train.x), 1)
        layers = [layer.name for layer in self.network.layers]
        run = self.chip.run(
            lines,
            first=int(first),
            record=layers if self.every_neuron else sorted({read.layer for read in self.reads.values()}),
            potentials=layers,
            window=self.window,
            windows=-(-self.trains.timesteps * self.trains.step // self.window),
        )
        return run, {**events, **self._sent(run)} if self.every_neuron else {}

    def _sent(self, run: ChipRun) -> dict[str, Longs]:
        """The events of each neuron of each layer, ``(channels, rows, columns)``."""
        found = {}
        for layer in self.network.layers:
            channels, rows, columns = layer.output_shape
            counts = np.bincount(run.spikes[layer.name].neuron, minlength=channels * rows * columns)
            found[layer.name] = counts.reshape(rows, columns, channels).transpose(2, 0, 1)
        return found

    def answered(self, run: ChipRun, output: str, samples: int) -> NDArray[np.float64]:
        """What an output answers after each step, ``(samples, T, values)``: spikes a step, as what they stand for."""
        read = self.reads[output]
        spikes, steps = run.spikes[read.layer], self.trains.timesteps
        channels, rows, columns = self.network[read.layer].output_shape
        place, channel = np.divmod(spikes.neuron, channels)  # channels last, and the readout has them first
        neuron, size = channel * rows * columns + place, channels * rows * columns
        step = np.minimum(spikes.time // self.trains.step, steps - 1)
        index = (spikes.sample * steps + step) * size + neuron
        each = np.bincount(index, minlength=samples * steps * size).reshape(samples, steps, size)
        counts = each.cumsum(axis=1)[:, :, list(read.neurons)] / np.arange(1, steps + 1)[:, None]
        return counts * np.array(read.spike_values) if read.spike_values else counts


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
