"""How good the answers of each output are, at every timestep: by its task, and against the analog network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.engines import BatchRun
from spikewright.errors import DataError
from spikewright.measures.answered import Answered
from spikewright.measures.intervals import Interval, interval, paired_interval, wilson
from spikewright.measures.plain import plain_curve, plain_number
from spikewright.measures.quantised import QuantisedScores
from spikewright.tasks import SCORES, Answer, Curve, Head, RunningScores, Task

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = "classification"
"""The task of which the class that each sample was given is kept."""


@dataclass(frozen=True, eq=False)
class HeadMeasures:
    """How good one output is.

    Attributes:
        answer: its name and shape.
        task: what it is measured by; without labels what they would most likely be for.
        scores: by name, ``(T,)``: of the spiking network's answers to the labels; empty without labels.
        analog: the same of the analog network; empty where there is none to compare with.
        agreement: by name, ``(T,)``: the scores with the analog network's answers in place of the labels; empty where
            there is none.
        chance: the scores of the best constant answer to the labels.
        remark: what is odd about the labels, in a sentence, or None.
        steps: the numbers of timesteps that tables show, at which the next two are known.
        each: ``(N, S)``: the main score of each sample after so many timesteps, of what ``curves`` are of; None where
            it is no mean over samples.
        analog_each: ``(N,)``: the same of the analog network; None without labels too.
        quantised: the scores of the trained network rounded to as many levels; None where nobody asked.
        answered: of a classification the class that each sample was given; None of other tasks.
    """

    answer: Answer
    task: Task
    scores: Mapping[str, Curve]
    analog: Mapping[str, float]
    agreement: Mapping[str, Curve]
    chance: Mapping[str, float]
    remark: str | None = None
    steps: tuple[int, ...] = ()
    each: NDArray[np.float32] | None = None
    analog_each: NDArray[np.float32] | None = None
    quantised: QuantisedScores | None = None
    answered: Answered | None = None

    def __repr__(self) -> str:
        lasts = []
        for name, curve in self.curves.items():
            kind, analog = SCORES[name], self.analog.get(name)
            trained = "" if analog is None else f" (trained {kind.text(analog, unit=True)})"
            title = kind.title if self.labelled else kind.against
            span = self.interval(len(curve)) if name == self.task.main else None
            within = "" if span is None else f" (95 % interval {span.text(kind.percent)})"
            lasts.append(f"{title} {kind.text(curve[-1], unit=True)}{within}{trained}")
        return f"{self.answer.name}, {self.task}: {', '.join(lasts) or 'no scores'}"

    @property
    def labelled(self) -> bool:
        """Whether there were labels."""
        return bool(self.scores)

    @property
    def curves(self) -> Mapping[str, Curve]:
        """The scores, or the agreement where there are no labels; empty where there is neither."""
        return self.scores or self.agreement

    def interval(self, timesteps: int) -> Interval | None:
        """The 95 % interval of the main score after so many timesteps, of ``steps``; None where there is none."""
        values = self._each(timesteps)
        return None if values is None else interval(values)

    def band(self) -> tuple[Curve, Curve] | None:
        """``(T,)`` twice: the ends of the 95 % interval of the main score at every timestep, where that is the share of
        samples that are right; None of other scores."""
        curve = self.curves.get(self.task.main)
        if curve is None or self.each is None or len(self.each) < 2 or not ((self.each == 0) | (self.each == 1)).all():
            return None
        spans = [wilson(float(share), len(self.each)) for share in curve]
        return np.array([one.low for one in spans]), np.array([one.high for one in spans])

    def gained(self, timesteps: int) -> Interval | None:
        """The paired 95 % interval of the main score less the analog network's on the same samples, after so many
        timesteps, of ``steps``; None without labels too."""
        values = self._each(timesteps)
        return None if values is None or self.analog_each is None else paired_interval(values, self.analog_each)

    def gained_over(self, other: HeadMeasures, timesteps: int) -> Interval | None:
        """The paired 95 % interval of the main score less that of another network on the same samples."""
        one, two = self._each(timesteps), other._each(timesteps)
        return None if one is None or two is None or len(one) != len(two) else paired_interval(one, two)

    def _each(self, timesteps: int) -> NDArray[np.float32] | None:
        """``(N,)``: the main score of each sample after so many timesteps."""
        known = self.each is not None and timesteps in self.steps
        return self.each[:, self.steps.index(timesteps)] if known and self.each is not None else None

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values; None where a score does not exist."""
        return {
            "task": str(self.task),
            "shape": list(self.answer.shape),
            "scores": {name: plain_curve(curve) for name, curve in self.scores.items()},
            "analog": {name: plain_number(value) for name, value in self.analog.items()},
            "agreement": {name: plain_curve(curve) for name, curve in self.agreement.items()},
            "chance": {name: plain_number(value) for name, value in self.chance.items()},
            "remark": self.remark,
            "intervals": self._intervals(),
            "quantised": None if self.quantised is None else self.quantised.summary(),
        }

    def _intervals(self) -> dict[str, Any]:
        """By T the ends of the intervals: of the main score, and of what it is above the analog network's."""
        found = {}
        for t in self.steps:
            own, gained = self.interval(t), self.gained(t)
            if own is not None:
                of_gain = None if gained is None else [gained.low, gained.high]
                found[str(t)] = {"score": [own.low, own.high], "above_analog": of_gain}
        return found


class Scoring:
    """Scores of every output, batch by batch: answers of all samples and timesteps never lie side by side.

    Args:
        heads: what is asked of every output, with the targets of all samples.
        steps: the numbers of timesteps after which each sample's score is kept.
        batch: the number of the first batch that it sees.
    """

    def __init__(self, heads: Mapping[str, Head], steps: Sequence[int] = (), batch: int = 0) -> None:
        self.heads, self.done, self.compared = heads, 0, False
        self.batch = batch
        self.steps = tuple(steps)
        self.each: dict[str, list[NDArray[np.float32] | None]] = {name: [] for name in heads}
        self.analog_each: dict[str, list[NDArray[np.float32] | None]] = {name: [] for name in heads}
        self.decided: dict[str, list[NDArray[np.intp]]] = {name: [] for name in heads}
        self.analog_decided: dict[str, list[NDArray[np.intp]]] = {name: [] for name in heads}
        self.spiking: dict[str, RunningScores] = {}
        self.analog: dict[str, RunningScores] = {}
        self.agreement: dict[str, RunningScores] = {}

    def __call__(self, analog: Mapping[str, Tensor] | None, run: BatchRun) -> None:
        """Count one batch: what the analog network answered, where there is one, and what the spiking one did."""
        count = 0
        for name, head in self.heads.items():
            answers = run.outputs[name].cpu().numpy()
            expected = None if analog is None else analog[name].cpu().numpy()
            count = len(answers)
            if not self.done:
                for running, steps in (
                    (self.spiking, answers.shape[1]),
                    (self.analog, 1),
                    (self.agreement, answers.shape[1]),
                ):
                    running[name] = head.task.running_scores(steps, head.answer)
                    running[name].batch = self.batch
            decided = None if expected is None else head.task.decisions(expected, head.answer)
            if self.steps and head.task.name == CLASSES:
                self.decided[name].append(head.task.decisions(answers[:, -1], head.answer))
                self.analog_decided[name] += [] if decided is None else [decided]
            if decided is not None:
                self.compared = True
                self.agreement[name].add(answers, decided)
            if head.targets is None:
                self._keep(self.each, name, answers, decided)
            else:
                targets = head.targets[self.done : self.done + count]
                if len(targets) < count:
                    raise DataError(f"the data set has {len(head.targets)} labels of '{name}' and more samples")
                self.spiking[name].add(answers, targets)
                self._keep(self.each, name, answers, targets)
                if expected is not None:
                    self.analog[name].add(expected[:, None], targets)
                    self._keep(self.analog_each, name, expected[:, None], targets, (1,))
        self.done += count

    def _keep(
        self,
        kept: Mapping[str, list[NDArray[np.float32] | None]],
        name: str,
        answers: NDArray[Any],
        targets: NDArray[Any] | None,
        steps: Sequence[int] | None = None,
    ) -> None:
        """The score of each sample of a batch at the timesteps that tables show."""
        head, shown = self.heads[name], self.steps if steps is None else steps
        if targets is not None and shown and self.steps:
            kept[name].append(head.task.each(answers[:, [t - 1 for t in shown]], targets, head.answer))

    def alone(self, _x: Tensor, run: BatchRun) -> None:
        """Count one batch without an analog network; an observer of ``simulate``."""
        self(None, run)

    def counted(self) -> dict[str, Any]:
        """What was counted so far, for ``merge``."""
        labels = ("done", "compared", *_BY_SAMPLE, "spiking", "analog", "agreement")
        return {label: getattr(self, label) for label in labels}

    def merge(self, counted: Mapping[str, Any]) -> None:
        """Take in what another one has counted of the samples that follow."""
        self.done += counted["done"]
        self.compared = self.compared or counted["compared"]
        for label in _BY_SAMPLE:
            for name, rows in counted[label].items():
                getattr(self, label)[name] += rows
        for label in ("spiking", "analog", "agreement"):
            own = getattr(self, label)
            for name, running in counted[label].items():
                if name in own:
                    own[name].merge(running)
                else:
                    own[name] = running

    def results(self) -> dict[str, HeadMeasures]:
        """Measures of every output by its name, in the network's order."""
        found = {}
        for name, head in self.heads.items():
            labelled = head.targets is not None
            agreement = self.agreement[name].scores() if self.compared else {}
            analog = self.analog[name].scores() if self.compared and labelled else {}
            of_analog = _rows(self.analog_each[name])
            found[name] = HeadMeasures(
                answer=head.answer,
                task=head.task,
                scores=self.spiking[name].scores() if labelled else {},
                analog={k: float(v[0]) for k, v in analog.items()},
                agreement={k: agreement[k] for k in head.task.agreed} if self.compared else {},
                chance=head.chance(),
                remark=head.remark,
                steps=self.steps,
                each=_rows(self.each[name]),
                analog_each=None if of_analog is None else of_analog[:, 0],
                answered=self._answered(name, head),
            )
        return found

    def _answered(self, name: str, head: Head) -> Answered | None:
        """The class that each sample was given, of a classification."""
        if not self.decided[name]:
            return None
        spiking = np.concatenate(self.decided[name])
        analog = np.concatenate(self.analog_decided[name]) if self.analog_decided[name] else None
        targets = None if head.targets is None else np.asarray(head.targets[: len(spiking)], np.intp)
        return Answered(head.answer.classes, spiking, analog, targets)


_BY_SAMPLE = ("each", "analog_each", "decided", "analog_decided")


def _rows(batches: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """All batches; None where there are none."""
    known = [batch for batch in batches if batch is not None]
    return np.concatenate(known) if known else None


def agreement_name(score: str) -> str:
    """What a score against the analog network is called in files: "agreement" of an accuracy, else "agreement_mse"."""
    return "agreement" if score == "accuracy" else f"agreement_{score}"
