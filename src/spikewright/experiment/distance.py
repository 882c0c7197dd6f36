"""How far answers are from the trained network's: a measure that ranks conversions with little noise.

Whether an answer is right is one bit a sample: of two conversions whose accuracy differs by half a point, a few hundred
samples prefer either. How far the answers lie from the trained network's is a number a sample. Of one row of classes it
is the Kullback-Leibler divergence of the answers' softmax from the trained network's; of other answers the squared
error against their variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.engines import BatchRun
from spikewright.tasks import Answer, Curve, Head

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**26
"""Values of answers that are kept; of larger ones the distance is not known."""
LEAST = 1e-12
"""The smallest probability, where an answer is one already."""


@dataclass(eq=False)
class Distances:
    """Adds up distances, batch by batch; an observer of ``simulate``.

    Args:
        heads: the outputs.
        expected: by output, ``(N, *shape)``: the trained network's answers.
        timesteps: T.
    """

    heads: Mapping[str, Head]
    expected: Mapping[str, NDArray[np.float32]]
    timesteps: int
    done: int = 0
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __call__(self, _x: Tensor, run: BatchRun) -> None:
        """Count one batch of a simulation."""
        self.add(run.outputs)

    def add(self, given: Mapping[str, Tensor]) -> None:
        """Count the answers to one batch, by output, each ``(B, T, *shape)``."""
        count = 0
        for name, head in self.heads.items():
            answers = given[name].cpu().numpy()
            count = len(answers)
            expected = self.expected[name][self.done : self.done + count, None]
            found = distances(answers, expected, head.answer)
            self.sums[name] = self.sums.get(name, np.zeros(self.timesteps)) + found.sum(axis=0)
        self.done += count

    def result(self) -> Curve:
        """``(T,)``: the mean over samples and outputs."""
        found = []
        for name, sums in self.sums.items():
            answer = self.heads[name].answer
            spread = 1.0 if answer.classes else float(self.expected[name].var(axis=0, dtype=np.float64).sum())
            found.append(sums / self.done / (spread or 1.0))
        return np.asarray(np.mean(found, axis=0))


def distances(answers: NDArray[np.float32], expected: NDArray[np.float32], answer: Answer) -> NDArray[np.float64]:
    """``(B, T)``: how far each answer is from the trained network's: divergences of classes, else squared errors.

    Args:
        answers: ``(B, T, *shape)``.
        expected: ``(B, 1, *shape)``.
        answer: what they look like.
    """
    one, other = (values.reshape(*values.shape[:2], -1).astype(np.float64) for values in (expected, answers))
    if not answer.classes:
        return np.asarray(((one - other) ** 2).sum(axis=2))
    said = answer.activation == "softmax"
    logs = [np.log(np.clip(values, LEAST, None)) if said else _log_softmax(values) for values in (one, other)]
    return np.asarray((np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=2))


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = values - values.max(axis=2, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True)))
