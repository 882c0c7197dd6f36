"""What a task is: a small frozen value that says what targets mean, and how good answers are."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError, SettingsError
from spikewright.parts import storable
from spikewright.settings import number
from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.score import Score

Curve = NDArray[np.float64]
"""``(T,)``: a score at every timestep."""


class RunningScores(ABC):
    """Counts batch after batch, at every timestep, in memory that does not grow with the samples.

    Attributes:
        batch: the number of the next batch among those of all samples, for sums of floats: see ``Fold``.
    """

    batch: int = 0

    def __init_subclass__(cls) -> None:
        storable(cls)

    @abstractmethod
    def add(self, answers: NDArray[Any], targets: NDArray[Any]) -> None:
        """Answers ``(B, T, *shape)`` of a batch, and its targets as ``Task.targets`` gives them."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another one has counted of other samples."""

    @abstractmethod
    def scores(self) -> dict[str, Curve]:
        """Every score so far, ``(T,)``; NaN where it does not exist."""


@dataclass(frozen=True)
class Task(ABC):
    """Base of all tasks."""

    def __init_subclass__(cls) -> None:
        storable(cls)

    measures: ClassVar[Mapping[str, Score]]
    """Its scores by name, the main one first; some need more classes than there are."""
    agreed: ClassVar[tuple[str, ...]]
    """Those in which the spiking network is compared with the analog one."""
    title: ClassVar[str]
    """What people call it."""
    needs: ClassVar[str]
    """What an answer must be like, in words."""

    @abstractmethod
    def fits(self, answer: Answer, labels: Labels) -> bool:
        """Whether answer and labels say so by themselves."""

    @abstractmethod
    def takes(self, answer: Answer) -> str | None:
        """The labels that show it for such an answer, in words; None where none do."""

    @abstractmethod
    def targets(self, answer: Answer, labels: Labels) -> NDArray[Any]:
        """Labels ``(N, ...)`` in the one form that scores are made of.

        Raises:
            DataError: for labels that do not fit the task.
        """

    @abstractmethod
    def decisions(self, answers: NDArray[Any], answer: Answer) -> NDArray[Any]:
        """What answers ``(N, *shape)`` say, in the form of ``targets``."""

    @abstractmethod
    def running_scores(self, timesteps: int, answer: Answer) -> RunningScores:
        """Counts its scores, batch by batch, at every timestep."""

    def each(self, answers: NDArray[Any], targets: NDArray[Any], answer: Answer) -> NDArray[np.float32] | None:  # noqa: ARG002
        """The main score of each sample, whose mean over samples is the score; what intervals are found from.

        Args:
            answers: ``(B, T, *shape)``.
            targets: ``(B, ...)``, in the form of ``targets``.
            answer: what the output looks like.

        Returns:
            ``(B, T)``; None where the score is no mean over samples.
        """
        return None

    @abstractmethod
    def chance(self, targets: NDArray[Any], answer: Answer) -> dict[str, float]:
        """The scores of the best constant answer to targets ``(N, ...)``: what knowing nothing of the samples gives."""

    def remark(self, targets: NDArray[Any]) -> str | None:
        """What is odd about targets, in a sentence; None where nothing is."""
        if targets.size > 1 and (targets == targets.flat[0]).all():
            value = f"{targets.flat[0]:.6g}" if targets.dtype.kind == "f" else str(int(targets.flat[0]))
            return f"every label is {value}: a network that always answers so looks perfect"
        return None

    def curves(self, outputs: NDArray[Any], targets: NDArray[Any], answer: Answer | None = None) -> dict[str, Curve]:
        """The scores ``(T,)`` of answers ``(N, T, *shape)`` to targets ``(N, ...)``."""
        running = self.running_scores(outputs.shape[1], answer or Answer("", tuple(outputs.shape[2:])))
        running.add(outputs, targets)
        return running.scores()

    def scores(self, outputs: NDArray[Any], targets: NDArray[Any], answer: Answer | None = None) -> dict[str, float]:
        """The scores of answers without time, ``(N, *shape)``, to targets ``(N, ...)``: of an analog network, say.

        Args:
            outputs: ``(N, *shape)``.
            targets: in the form of ``targets``.
            answer: what the output looks like; without it a shape with no activation.

        Returns:
            by the names of ``measures``, those that such answers have; NaN where a score does not exist.
        """
        return {name: float(curve[0]) for name, curve in self.curves(outputs[:, None], targets, answer).items()}

    @property
    def main(self) -> str:
        """The score that is looked at first."""
        return next(iter(self.measures))

    @property
    def name(self) -> str:
        """The name of its file, which is what the command line calls it."""
        return type(self).__module__.rpartition(".")[2]

    def refused(self, answer: Answer, labels: Labels, advice: str = "") -> DataError:
        """The error that says why labels do not fit."""
        wanted = self.takes(answer)
        reason = advice or (f"it needs {self.needs}" if wanted is None else f"it takes {wanted}")
        return DataError(f"labels are {labels}, the answer has {answer}; that is no {self.title}: {reason}")

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        words = [f"{f.name}={getattr(self, f.name):.10g}" for f in fields(self) if getattr(self, f.name) is not None]
        return self.name + (":" + ",".join(words) if words else "")

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Self:
        """The task that the words after the colon of the command-line form say."""
        name = cls.__module__.rpartition(".")[2]
        known = {f.name: f for f in fields(cls)}
        settings: dict[str, Any] = {}
        for word in words:
            label, _, text = word.partition("=")
            if label not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise SettingsError(f"task {name}: unknown option '{word}'; {has}")
            value = number(text)
            whole = "int" in str(known[label].type)
            if value is None or (whole and not re.fullmatch(r"[+-]?\d{1,18}", text)):
                kind = "a whole number" if whole else "a number"
                raise SettingsError(f"task {name}: {label} takes {kind}, not '{text[:40]}'")
            settings[label] = int(text) if whole else value
        return cls(**settings)
