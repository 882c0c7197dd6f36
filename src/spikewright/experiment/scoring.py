"""What a conversion loses against its trained network at every T, and what work it takes: from one simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion, spiking_graph
from spikewright.data import Dataset
from spikewright.data.sampling import draw
from spikewright.encoders import Encoder
from spikewright.engines import Record, RunSettings
from spikewright.engines.on_events import on_events
from spikewright.engines.simulation import run_over
from spikewright.errors import DataError, SettingsError
from spikewright.experiment.distance import MOST, Distances
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.measures.quantised import quantised_graph
from spikewright.measures.scores import Scoring
from spikewright.measures.work import work_of
from spikewright.tasks import SCORES, Curve, Head, Task, TaskChoice, heads
from spikewright.text import brief


@dataclass(frozen=True, eq=False)
class Scored:
    """What one conversion did on samples over T timesteps.

    Attributes:
        lost: ``(T,)``: points lost against the trained network, the mean over all outputs; see ``gauge``.
        score: ``(T,)``: the main score of the first output.
        firing_rate: spikes per neuron and timestep over the whole network; NaN where work was not asked for.
        synops: synaptic operations per sample of all T timesteps; NaN where work was not asked for.
        mean_steps: timesteps of a sample on average: T, or fewer where recordings are of different length.
        distance: ``(T,)``: how far answers are from the trained network's (see ``distance.py``); None where these are
            too large to be kept, or nobody knows.
    """

    lost: Curve
    score: Curve
    firing_rate: float
    synops: float
    distance: Curve | None = None
    mean_steps: float = 0.0

    __repr__ = brief

    def __post_init__(self) -> None:
        if not self.mean_steps:
            object.__setattr__(self, "mean_steps", float(self.timesteps))

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.lost)

    def synops_at(self, timesteps: int) -> float:
        """Synaptic operations per sample up to a timestep, taken as spread evenly over time."""
        return self.synops * timesteps / self.timesteps


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Samples with what is asked of the answers to them, and how good the trained network is.

    Attributes:
        data: the samples.
        heads: by output, with targets: the labels, or what the trained network answers.
        analog: by output, the trained network's scores.
        labelled: whether the targets are labels.
        note: why labels are not used, where there are some; else empty.
        answers: by output, ``(N, *shape)``: what the trained network answers; none where that is too large to be kept.
    """

    data: Dataset
    heads: Mapping[str, Head]
    analog: Mapping[str, Mapping[str, float]]
    labelled: bool
    note: str = ""
    answers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        folded: Graph,
        data: Dataset,
        encoder: Encoder,
        timesteps: int,
        *,
        task: TaskChoice = None,
        batch_size: int = 100,
        device: str = "cpu",
    ) -> Yardstick:
        """What answers to some samples are judged by.

        Labels count where every output has some and they fit; else the trained network's own answers do.

        Args:
            folded: the trained network, prepared.
            data: the samples.
            encoder: of the runs, fitted; it knows what the trained network sees.
            timesteps: T of the runs.
            task: what labels mean, as said; None finds it.
            batch_size: samples that run side by side.
            device: a torch device.

        Raises:
            SettingsError: for a task by which no more is better.
        """
        note = ""
        try:
            asked = heads(folded, data.targets, task)
        except DataError as error:
            asked, note = heads(folded), f"the labels are not used: {error}"
        labelled = all(head.targets is not None for head in asked.values())
        for head in asked.values():
            gauge(head.task)
        forward, done = Forward(folded, device), 0
        counts = {name: head.task.running_scores(1, head.answer) for name, head in asked.items()}
        said: dict[str, list[Any]] = {name: [] for name in asked}
        kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in asked}
        small = len(data) * sum(prod(head.answer.shape) for head in asked.values()) <= MOST
        for x, _ in data.batches(batch_size):
            answers = forward(encoder.mean(forward.to_tensor(x), timesteps))
            for name, head in asked.items():
                answer = answers[name].cpu().numpy()
                kept[name] += [answer] if small else []
                if labelled and head.targets is not None:
                    targets = head.targets[done : done + len(x)]
                else:
                    targets = head.task.decisions(answer, head.answer)
                    said[name].append(targets)
                counts[name].add(answer[:, None], targets)
            done += len(x)
        if not labelled:
            asked = {name: replace(head, targets=np.concatenate(said[name])) for name, head in asked.items()}
        analog = {name: {k: float(v[0]) for k, v in one.scores().items()} for name, one in counts.items()}
        rows = {name: np.concatenate(one) for name, one in kept.items() if one}
        return cls(data, asked, analog, labelled, note, rows)

    def some(self, count: int, seed: int = 0) -> Yardstick:
        """The same with a seeded draw of the samples; the trained network's scores stay those of all.

        Args:
            count: how many, in proportion to the classes; all of them where there are no more.
            seed: of the draw.
        """
        if count >= len(self.data):
            return self
        rows = draw(self.data.labels, len(self.data), count, seed)
        heads = {name: replace(h, targets=None if h.targets is None else h.targets[rows]) for name, h in self.asked}
        answers = {name: values[rows] for name, values in self.answers.items()}
        return replace(self, data=self.data.subset(rows), heads=heads, answers=answers)

    @property
    def asked(self) -> list[tuple[str, Head]]:
        """What is asked of every output, in the network's order."""
        return list(self.heads.items())

    @property
    def title(self) -> str:
        """What the main score of the first output is called."""
        score = SCORES[self.asked[0][1].task.main]
        return score.title if self.labelled else score.against

    @property
    def percent(self) -> bool:
        """Whether the main score of the first output is a share."""
        return SCORES[self.asked[0][1].task.main].percent

    def text(self, score: float, *, unit: bool = False) -> str:
        """A main score of the first output as people read it."""
        return SCORES[self.asked[0][1].task.main].text(score, unit=unit)

    @property
    def reference(self) -> float:
        """The main score of the trained network at the first output: against its own answers a perfect one."""
        name, head = self.asked[0]
        return self.analog[name][head.task.main]

    def rounded(
        self, conversion: Conversion, encoder: Encoder, steps: Sequence[int], batch_size: int = 100, device: str = "cpu"
    ) -> tuple[float, float]:
        """How far answers are when activations are rounded to what neurons count in T timesteps, 0 where that is not
        known, and how many points it costs: both the mean over some T and all outputs.

        Args:
            conversion: of the same trained network.
            encoder: of the runs that are thought of.
            steps: every T.
            batch_size: samples that run side by side.
            device: a torch device.
        """
        lost, far = [], []
        for t in steps:
            forward, done = Forward(quantised_graph(conversion, t), device), 0
            counts = {name: head.task.running_scores(1, head.answer) for name, head in self.asked}
            distance = Distances(self.heads, self.answers, 1)
            for x, _ in self.data.batches(batch_size):
                answers = forward(encoder.mean(forward.to_tensor(x), t))
                rows = {name: answers[name][:, None] for name, _ in self.asked}
                for name, head in self.asked:
                    assert head.targets is not None
                    counts[name].add(rows[name].cpu().numpy(), head.targets[done : done + len(x)])
                if self.answers:
                    distance.add(rows)
                done += len(x)
            far += [float(distance.result()[0])] if self.answers else []
            for name, head in self.asked:
                score = gauge(head.task)
                lost.append(100 * (self.analog[name][score] - float(counts[name].scores()[score][0])))
        return float(np.mean(far)) if far else 0.0, float(np.mean(lost))

    def scored(
        self,
        conversion: Conversion,
        encoder: Encoder,
        timesteps: int,
        *,
        batch_size: int = 100,
        device: str = "cpu",
        dt: float | None = None,
        work: bool = True,
    ) -> Scored:
        """What a conversion does on these samples.

        Args:
            conversion: of the same trained network.
            encoder: of the run.
            timesteps: T.
            batch_size: samples that run side by side.
            device: a torch device.
            dt: seconds of a timestep, where the samples are recordings; T is then at least ``timesteps``.
            work: whether firing rates and operations are counted too, which takes a fifth of the time.

        Raises:
            SpikewrightError: as ``simulate``.
        """
        settings = RunSettings(timesteps, encoder, batch_size, device=device, dt=dt)
        prepared = on_events(conversion, self.data, settings, least=timesteps)
        graph, settings = spiking_graph(prepared.network), prepared.settings
        settings = replace(settings, encoder=settings.chosen_encoder.fitted(graph))
        scoring = Scoring(self.heads)
        record = Record("nonzero" if work else (), outputs=False)
        far = Distances(self.heads, self.answers, timesteps)
        observers = (scoring.alone, far) if self.answers else (scoring.alone,)
        run = run_over(graph, prepared.data, settings, record, record.fitted(graph, timesteps), observers)
        judged = scoring.results()
        lost = [
            100 * (self.analog[name][gauge(head.task)] - judged[name].scores[gauge(head.task)])
            for name, head in self.asked
        ]
        first = next(iter(judged.values()))
        done = work_of(graph, run, settings.chosen_encoder) if work else None
        rate, total = (nan, nan) if done is None else (done.firing_rate, done.total_synops)
        distance = far.result() if self.answers else None
        score = first.scores[first.task.main]
        return Scored(np.mean(lost, axis=0), score, rate, total, distance, run.mean_steps)


def gauge(task: Task) -> str:
    """The score that points are counted in, hundredths of it: the first by which more is better, R² of a regression.

    Raises:
        SettingsError: for a task that has none.
    """
    for name, score in task.measures.items():
        if score.higher:
            return name
    raise SettingsError(f"the task {task} has no score by which more is better, so that nothing can be chosen by it")


def points_text(lost: float) -> str:
    """Points lost against the trained network as people read them."""
    if abs(lost) < 0.005:
        return "nothing lost"
    return f"{lost:.2f} points lost" if lost > 0 else f"{-lost:.2f} points gained"
