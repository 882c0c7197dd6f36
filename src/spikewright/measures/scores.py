"""How good the answers of each output are, at every timestep: by its task, and against the analog network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.engines import BatchRun
from spikewright.errors import DataError
from spikewright.tasks import SCORES, Answer, Curve, Head, RunningScores, Task

if TYPE_CHECKING:
    from torch import Tensor


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
    """

    answer: Answer
    task: Task
    scores: Mapping[str, Curve]
    analog: Mapping[str, float]
    agreement: Mapping[str, Curve]
    chance: Mapping[str, float]
    remark: str | None = None

    def __repr__(self) -> str:
        lasts = []
        for name, curve in self.curves.items():
            kind, analog = SCORES[name], self.analog.get(name)
            trained = "" if analog is None else f" (trained {kind.text(analog, unit=True)})"
            title = kind.title if self.labelled else kind.against
            lasts.append(f"{title} {kind.text(curve[-1], unit=True)}{trained}")
        return f"{self.answer.name}, {self.task}: {', '.join(lasts) or 'no scores'}"

    @property
    def labelled(self) -> bool:
        """Whether there were labels."""
        return bool(self.scores)

    @property
    def curves(self) -> Mapping[str, Curve]:
        """The scores, or the agreement where there are no labels; empty where there is neither."""
        return self.scores or self.agreement

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values; None where a score does not exist."""
        return {
            "task": str(self.task),
            "shape": list(self.answer.shape),
            "scores": {name: _plain(curve) for name, curve in self.scores.items()},
            "analog": {name: _number(value) for name, value in self.analog.items()},
            "agreement": {name: _plain(curve) for name, curve in self.agreement.items()},
            "chance": {name: _number(value) for name, value in self.chance.items()},
            "remark": self.remark,
        }


class Scoring:
    """Scores of every output, batch by batch: answers of all samples and timesteps never lie side by side.

    Args:
        heads: what is asked of every output, with the targets of all samples.
    """

    def __init__(self, heads: Mapping[str, Head]) -> None:
        self.heads, self.done, self.compared = heads, 0, False
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
            if expected is not None:
                self.compared = True
                self.agreement[name].add(answers, head.task.decisions(expected, head.answer))
            if head.targets is not None:
                targets = head.targets[self.done : self.done + count]
                if len(targets) < count:
                    raise DataError(f"the data set has {len(head.targets)} labels of '{name}' and more samples")
                self.spiking[name].add(answers, targets)
                if expected is not None:
                    self.analog[name].add(expected[:, None], targets)
        self.done += count

    def alone(self, _x: Tensor, run: BatchRun) -> None:
        """Count one batch without an analog network; an observer of ``simulate``."""
        self(None, run)

    def results(self) -> dict[str, HeadMeasures]:
        """Measures of every output by its name, in the network's order."""
        found = {}
        for name, head in self.heads.items():
            labelled = head.targets is not None
            agreement = self.agreement[name].scores() if self.compared else {}
            analog = self.analog[name].scores() if self.compared and labelled else {}
            found[name] = HeadMeasures(
                answer=head.answer,
                task=head.task,
                scores=self.spiking[name].scores() if labelled else {},
                analog={k: float(v[0]) for k, v in analog.items()},
                agreement={k: agreement[k] for k in head.task.agreed} if self.compared else {},
                chance=head.chance(),
                remark=head.remark,
            )
        return found


def agreement_name(score: str) -> str:
    """What a score against the analog network is called in files: "agreement" of an accuracy, else "agreement_mse"."""
    return "agreement" if score == "accuracy" else f"agreement_{score}"


def _plain(curve: Curve) -> list[float | None]:
    return [_number(value) for value in np.asarray(curve).tolist()]


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
