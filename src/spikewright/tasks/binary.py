"""Yes or no for each sample, by one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.score import ACCURACY, Score
from spikewright.tasks.task import Curve, RunningScores, Task


@dataclass(frozen=True)
class Binary(Task):
    """Yes where the answer is above the threshold.

    Labels are 0 and 1, or −1 and 1. Accuracy is the fraction that is right; where an answer has several values, each is
    a decision of its own, with a label of its own.

    Attributes:
        threshold: None takes 0, the sign of a logit, which a tanh keeps; behind a sigmoid 0.5, which is the same.
    """

    threshold: float | None = None
    measures: ClassVar[Mapping[str, Score]] = {"accuracy": ACCURACY}
    agreed: ClassVar[tuple[str, ...]] = ("accuracy",)
    title: ClassVar[str] = "binary classification"
    needs: ClassVar[str] = "0 or 1 for each value of the answer"

    def fits(self, answer: Answer, labels: Labels) -> bool:
        alone = answer.single and prod(labels.shape) == 1
        return alone and (labels.zero_one or (labels.signs and not labels.floats))

    def takes(self, answer: Answer) -> str | None:
        return "0 or 1 for each sample" if answer.single else None

    def targets(self, answer: Answer, labels: Labels) -> NDArray[Any]:
        same = labels.shape == answer.shape or (answer.single and prod(labels.shape) == 1)
        if not same or not (labels.zero_one or labels.signs):
            raise self.refused(answer, labels)
        return (labels.values > 0).reshape(-1, *answer.shape)

    def decisions(self, answers: NDArray[Any], answer: Answer) -> NDArray[Any]:
        return answers > (answer.threshold if self.threshold is None else self.threshold)

    def running_scores(self, timesteps: int, answer: Answer) -> RunningScores:
        return _RunningScores(self, timesteps, answer)

    def each(self, answers: NDArray[Any], targets: NDArray[Any], answer: Answer) -> NDArray[np.float32]:
        right = self.decisions(answers, answer) == targets[:, None]
        found: NDArray[np.float32] = right.reshape(*right.shape[:2], -1).mean(axis=2, dtype=np.float32)
        return found

    def chance(self, targets: NDArray[Any], answer: Answer) -> dict[str, float]:  # noqa: ARG002
        yes = targets.mean(axis=0)
        return {"accuracy": float(np.maximum(yes, 1 - yes).mean())}


class _RunningScores(RunningScores):
    def __init__(self, task: Binary, timesteps: int, answer: Answer) -> None:
        self.task, self.answer = task, answer
        self.decided, self.right = 0, np.zeros(timesteps)

    def add(self, answers: NDArray[Any], targets: NDArray[Any]) -> None:
        right = self.task.decisions(answers, self.answer) == targets[:, None]
        self.decided += targets.size
        self.right += right.reshape(*right.shape[:2], -1).sum(axis=(0, 2))

    def merge(self, other: Self) -> None:
        self.decided += other.decided
        self.right += other.right

    def scores(self) -> dict[str, Curve]:
        return {"accuracy": self.right / self.decided}
