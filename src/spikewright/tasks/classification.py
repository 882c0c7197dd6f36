"""One of several classes for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.score import ACCURACY, Score
from spikewright.tasks.task import Curve, RunningScores, Task

TOP = 5


@dataclass(frozen=True)
class Classification(Task):
    """A row of classes, of which the largest is the answer; of equal ones the first.

    Labels are the index of each sample's class, counted from 0, or rows of 0 and 1 that sum to 1. Accuracy is the
    fraction of samples whose largest answer is their class; top-5 accuracy (of six classes or more) of those whose
    class is among the five largest.
    """

    measures: ClassVar[Mapping[str, Score]] = {
        "accuracy": ACCURACY,
        "top5": Score("top-5 accuracy", "analog class among the first five"),
    }
    agreed: ClassVar[tuple[str, ...]] = ("accuracy",)
    title: ClassVar[str] = "classification"
    needs: ClassVar[str] = "an answer that is one row of classes"

    def fits(self, answer: Answer, labels: Labels) -> bool:
        return bool(answer.classes) and (_indices(labels) or _one_hot(answer, labels))

    def takes(self, answer: Answer) -> str | None:
        return f"the index of a class, 0 to {answer.classes - 1}, for each sample" if answer.classes else None

    def targets(self, answer: Answer, labels: Labels) -> NDArray[Any]:
        if answer.classes and _one_hot(answer, labels):
            found: NDArray[Any] = labels.values.argmax(axis=1)
            return found
        if answer.classes and _indices(labels):
            return within(labels.values.reshape(-1).astype(np.int64), answer.classes)
        soft = len(labels.shape) == 1 and labels.sums_to_one(1)
        raise self.refused(answer, labels, "give the index of each sample's class (y.argmax(1))" if soft else "")

    def decisions(self, answers: NDArray[Any], answer: Answer) -> NDArray[Any]:  # noqa: ARG002
        found: NDArray[Any] = answers.reshape(len(answers), -1).argmax(axis=1)
        return found

    def running_scores(self, timesteps: int, answer: Answer) -> RunningScores:
        return _RunningScores(timesteps, answer.classes)

    def each(self, answers: NDArray[Any], targets: NDArray[Any], answer: Answer) -> NDArray[np.float32]:  # noqa: ARG002
        return among_first(answers.reshape(*answers.shape[:2], -1), targets, 1).astype(np.float32)

    def chance(self, targets: NDArray[Any], answer: Answer) -> dict[str, float]:
        shares = np.sort(np.bincount(targets))[::-1] / max(len(targets), 1)
        found = {"accuracy": float(shares[:1].sum())}
        return found | ({"top5": float(shares[:TOP].sum())} if answer.classes > TOP else {})


def within(labels: NDArray[Any], classes: int, more: str = "") -> NDArray[Any]:
    """The same labels, once all are known to be indices of classes.

    Raises:
        DataError: naming the first that is not, with ``more`` advice.
    """
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        advice = more
        if labels.min() >= 1 and labels.max() == classes:
            advice += "; labels count from 0: subtract 1"
        raise DataError(
            f"label {wrong.flat[0]} does not exist: the network has {classes} classes, 0 to {classes - 1}{advice}"
        )
    return labels


def among_first(outputs: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether each label is among the k largest outputs; of equal outputs the first wins.

    Args:
        outputs: ``(N, T, classes)``.
        labels: ``(N,)``.
        k: at least 1.

    Returns:
        ``(N, T)``.
    """
    if k == 1:
        first: NDArray[np.bool_] = outputs.argmax(axis=2) == labels[:, None]
        return first
    own = np.take_along_axis(outputs, labels[:, None, None], axis=2)
    index = np.arange(outputs.shape[2])
    before = (outputs > own) | ((outputs == own) & (index < labels[:, None, None]))
    among: NDArray[np.bool_] = before.sum(axis=2) < k
    return among


class _RunningScores(RunningScores):
    def __init__(self, timesteps: int, classes: int) -> None:
        ks = {"accuracy": 1} | ({"top5": TOP} if classes > TOP else {})
        self.ks, self.samples = ks, 0
        self.right = {name: np.zeros(timesteps) for name in ks}

    def add(self, answers: NDArray[Any], targets: NDArray[Any]) -> None:
        row = answers.reshape(*answers.shape[:2], -1)
        self.samples += len(row)
        for name, k in self.ks.items():
            self.right[name] += among_first(row, targets, k).sum(axis=0)

    def merge(self, other: Self) -> None:
        self.samples += other.samples
        for name, right in other.right.items():
            self.right[name] += right

    def scores(self) -> dict[str, Curve]:
        return {name: right / self.samples for name, right in self.right.items()}


def _indices(labels: Labels) -> bool:
    return labels.whole and labels.shape in ((), (1,))


def _one_hot(answer: Answer, labels: Labels) -> bool:
    return labels.shape == (answer.classes,) and labels.zero_one and labels.sums_to_one(1)
