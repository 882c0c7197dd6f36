"""Numbers to be met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.parts import Fold, Sums, storable
from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.score import Score
from spikewright.tasks.task import Curve, RunningScores, Task


@dataclass(frozen=True)
class Regression(Task):
    """Numbers of the answer's shape, to be met as closely as possible.

    The errors are means over all samples and values, in the squared unit of the targets and in their unit.
    ``R² = 1 − Σ (y − answer)² / Σ (y − mean of y)²``, where the mean is over samples, of each value of the answer its
    own, and both sums are over all (scikit-learn's ``r2_score`` with ``variance_weighted``); targets that never vary
    have none.
    """

    measures: ClassVar[Mapping[str, Score]] = {
        "mse": Score(
            "mean squared error", "mean squared error against the analog network", percent=False, higher=False
        ),
        "mae": Score(
            "mean absolute error", "mean absolute error against the analog network", percent=False, higher=False
        ),
        "r2": Score("R²", "R² against the analog network", percent=False),
    }
    agreed: ClassVar[tuple[str, ...]] = ("mse", "mae", "r2")
    title: ClassVar[str] = "regression"
    needs: ClassVar[str] = "targets of the answer's shape"

    def fits(self, answer: Answer, labels: Labels) -> bool:
        if not labels.floats or _fit_axes(answer, labels) is None or (answer.single and labels.zero_one):
            return False
        rows = len(labels.shape) == 1 and not answer.single
        return not (rows and (labels.zero_one or labels.sums_to_one(1)))

    def takes(self, answer: Answer) -> str | None:
        shape = ", ".join(["N", *map(str, () if answer.single else answer.shape)])
        return f"floats of shape ({shape}{',' if answer.single else ''})"

    def targets(self, answer: Answer, labels: Labels) -> NDArray[Any]:
        found = _fit_axes(answer, labels)
        if found is None:
            raise self.refused(answer, labels)
        return found

    def decisions(self, answers: NDArray[Any], answer: Answer) -> NDArray[Any]:  # noqa: ARG002
        return answers

    def running_scores(self, timesteps: int, answer: Answer) -> RunningScores:  # noqa: ARG002
        return _RunningScores(timesteps)

    def each(self, answers: NDArray[Any], targets: NDArray[Any], answer: Answer) -> NDArray[np.float32]:  # noqa: ARG002
        steps = range(answers.shape[1])
        errors = [((answers[:, t] - targets) ** 2).reshape(len(targets), -1).mean(axis=1) for t in steps]
        return np.stack(errors, axis=1).astype(np.float32)

    def chance(self, targets: NDArray[Any], answer: Answer) -> dict[str, float]:  # noqa: ARG002
        columns = targets.reshape(len(targets), -1)
        few = max(1, 2**22 // len(columns))
        squared = absolute = 0.0
        for k in range(0, columns.shape[1], few):
            y = columns[:, k : k + few].astype(np.float64)
            y -= y[:1].copy()  # what never varies is 0 then, to the last digit
            squared += float(y.var(axis=0).sum())
            absolute += float(np.abs(y - np.median(y, axis=0)).mean(axis=0).sum())
        count = max(columns.shape[1], 1)
        return {"mse": squared / count, "mae": absolute / count, "r2": 0.0 if squared else float("nan")}


@storable
class _TargetSums(Fold):
    """Of the targets of some samples: how many, the first, and the sums of what they differ from it and of its square,
    so that targets far from 0 keep their digits."""

    def joined(self, first: Sums, second: Sums) -> Sums:
        samples, start, total, squares = first
        others, other_start, other_total, other_squares = second
        gap = other_start - start
        return (
            np.asarray(samples + others),
            start,
            np.asarray(total + other_total + others * gap),
            np.asarray(squares + other_squares + 2 * gap * other_total + others * gap**2),
        )


class _RunningScores(RunningScores):
    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps
        self.errors, self.targets = Fold(), _TargetSums()

    def add(self, answers: NDArray[Any], targets: NDArray[Any]) -> None:
        y = targets.astype(np.float64)
        squared, absolute = np.zeros(self.timesteps), np.zeros(self.timesteps)
        for t in range(self.timesteps):
            error = answers[:, t] - y
            squared[t] = (error**2).sum()
            absolute[t] = np.abs(error).sum()
        self.errors.add(self.batch, squared, absolute)
        self.targets.add(self.batch, len(y), y[0], (y - y[0]).sum(axis=0), ((y - y[0]) ** 2).sum(axis=0))
        self.batch += 1

    def merge(self, other: Self) -> None:
        self.errors.merge(other.errors)
        self.targets.merge(other.targets)
        self.batch = max(self.batch, other.batch)

    def scores(self) -> dict[str, Curve]:
        squared, absolute = self.errors.totals
        samples, first, total, squares = self.targets.totals
        count = float(samples) * first.size
        spread = float((squares - total**2 / samples).sum())
        r2 = 1 - squared / spread if spread > 0 else np.full(len(squared), np.nan)
        return {"mse": squared / count, "mae": absolute / count, "r2": r2}


def _fit_axes(answer: Answer, labels: Labels) -> NDArray[Any] | None:
    """Targets with the axes of the answer; None where they are not of its shape."""
    shape, values = answer.shape, labels.values
    if labels.shape == shape:
        return values
    if (answer.single or shape[0] == 1) and labels.shape in _without_channels(shape):
        return values.reshape(-1, *shape)
    if len(shape) > 1 and labels.shape == (*shape[1:], shape[0]):
        return np.moveaxis(values, -1, 1)
    return None


def _without_channels(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The ways to write what has one channel: without it, with it behind; one value also as () or (1,)."""
    alone = ((), (1,)) if all(n == 1 for n in shape) else ()
    return (shape[1:], (*shape[1:], 1), *alone)
