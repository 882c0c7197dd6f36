"""One of several classes at every position: segmentation, and labelling of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.classification import within
from spikewright.tasks.score import ACCURACY, Score
from spikewright.tasks.task import Curve, RunningScores, Task

IGNORED = -1


@dataclass(frozen=True)
class Dense(Task):
    """A class at every position: the channel with the largest answer; with one channel, 1 above the threshold.

    Labels are the index of a class at every position, ``(N, H, W)`` or with one channel, or 0 and 1 of the answer's
    shape that sum to 1 over the channels. Accuracy is the fraction of positions that are right, over all samples.
    The mean IoU is ``mean over c of n_cc / (t_c + p_c − n_cc)``: of class c, positions that are right over those
    labelled or answered so, counted over all samples (Long et al. 2015, "mean IU"; PASCAL VOC). Classes that occur
    neither in labels nor in answers are left out of the mean.

    Attributes:
        ignore: positions with this label are left out; 255 in PASCAL VOC.
        threshold: of one channel; None takes 0, behind a sigmoid 0.5.
    """

    ignore: int | None = None
    threshold: float | None = None
    measures: ClassVar[Mapping[str, Score]] = {
        "accuracy": ACCURACY,
        "mean_iou": Score("mean IoU", "mean IoU with the analog network's classes"),
    }
    agreed: ClassVar[tuple[str, ...]] = ("accuracy", "mean_iou")
    title: ClassVar[str] = "dense prediction"
    needs: ClassVar[str] = "an answer with classes at positions"

    def fits(self, answer: Answer, labels: Labels) -> bool:
        if not answer.positions:
            return False
        if _one_hot_axis(answer, labels) is not None:
            return True
        return _maps(answer, labels) and (labels.zero_one if answer.shape[0] == 1 else labels.whole)

    def takes(self, answer: Answer) -> str | None:
        if not answer.positions:
            return None
        highest = max(answer.shape[0] - 1, 1)
        shape = ", ".join(map(str, answer.positions))
        return f"the index of a class, 0 to {highest}, at every position (N, {shape})"

    def targets(self, answer: Answer, labels: Labels) -> NDArray[Any]:
        if answer.positions:
            axis = _one_hot_axis(answer, labels)
            if axis is not None:
                found: NDArray[Any] = labels.values.argmax(axis=axis)
                return found
            if _maps(answer, labels) and labels.whole:
                return self._indices(answer, labels)
        raise self.refused(answer, labels)

    def _indices(self, answer: Answer, labels: Labels) -> NDArray[np.int32]:
        """Some samples at a time: maps are large."""
        classes = max(answer.shape[0], 2)
        found = np.empty((labels.samples, *answer.positions), np.int32)
        done = 0
        for part in labels.chunks():
            maps = part.reshape(-1, *answer.positions)
            left_out = np.zeros(maps.shape, bool) if self.ignore is None else maps == self.ignore
            within(maps[~left_out].astype(np.int64), classes, self._advice(maps))
            found[done : done + len(maps)] = np.where(left_out, IGNORED, maps)
            done += len(maps)
        return found

    def _advice(self, maps: NDArray[Any]) -> str:
        """What to say where a label is no class."""
        if self.ignore is not None:
            return ""
        mark = next((label for label in (255, -1) if (maps == label).any()), int(maps.max()))
        return f"; if it marks positions to leave out, say task dense:ignore={mark}"

    def decisions(self, answers: NDArray[Any], answer: Answer) -> NDArray[Any]:
        if answers.shape[1] == 1:
            threshold = answer.threshold if self.threshold is None else self.threshold
            return (answers[:, 0] > threshold).astype(np.int64)
        found: NDArray[Any] = answers.argmax(axis=1)
        return found

    def running_scores(self, timesteps: int, answer: Answer) -> RunningScores:
        return _RunningScores(self, timesteps, answer)

    def each(self, answers: NDArray[Any], targets: NDArray[Any], answer: Answer) -> NDArray[np.float32] | None:
        if self.ignore is not None:  # samples then have different weights
            return None
        steps = range(answers.shape[1])
        right = [(self.decisions(answers[:, t], answer) == targets).reshape(len(targets), -1).mean(1) for t in steps]
        return np.stack(right, axis=1).astype(np.float32)

    def chance(self, targets: NDArray[Any], answer: Answer) -> dict[str, float]:  # noqa: ARG002
        shares = np.bincount(targets[targets != IGNORED].ravel())
        share = float(shares.max(initial=0) / max(int(shares.sum()), 1))
        return {"accuracy": share, "mean_iou": share / max(int(np.count_nonzero(shares)), 1)}


class _RunningScores(RunningScores):
    def __init__(self, task: Dense, timesteps: int, answer: Answer) -> None:
        self.task, self.answer = task, answer
        self.classes = classes = max(answer.shape[0], 2)
        self.right, self.answered = np.zeros((timesteps, classes)), np.zeros((timesteps, classes))
        self.labelled = np.zeros(classes)

    def add(self, answers: NDArray[Any], targets: NDArray[Any]) -> None:
        counted = targets != IGNORED
        labels = targets[counted]
        self.labelled += self._count(labels)
        for t in range(answers.shape[1]):  # the classes of all timesteps at once would be as large as the answers
            found = self.task.decisions(answers[:, t], self.answer)[counted]
            self.answered[t] += self._count(found)
            self.right[t] += self._count(labels[found == labels])

    def _count(self, labels: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(labels, minlength=self.classes)

    def merge(self, other: Self) -> None:
        self.right += other.right
        self.answered += other.answered
        self.labelled += other.labelled

    def scores(self) -> dict[str, Curve]:
        union = self.labelled + self.answered - self.right
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(union > 0, self.right / union, 0)
            return {
                "accuracy": self.right.sum(axis=1) / self.labelled.sum(),
                "mean_iou": share.sum(axis=1) / np.count_nonzero(union, axis=1),
            }


def _maps(answer: Answer, labels: Labels) -> bool:
    return labels.shape in (answer.positions, (1, *answer.positions), (*answer.positions, 1))


def _one_hot_axis(answer: Answer, labels: Labels) -> int | None:
    """The axis along which labels say by a 1 which class it is."""
    if answer.shape[0] < 2:
        return None
    for shape, axis in ((answer.shape, 1), ((*answer.positions, answer.shape[0]), -1)):
        if labels.shape == shape and labels.zero_one and labels.sums_to_one(axis):
            return axis
    return None
