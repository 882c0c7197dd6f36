"""Stopping a sample as soon as its answer is decided: the margin for it, and the mean T it would give.

The margin of a sample at timestep t is how far its first class is before the second in what the outputs have added up:
``steps read × (largest − second largest)``, before a softmax; for yes or no, the steps times the distance to the
threshold. It grows while the evidence does. A sample is stopped when the margin reaches a value that was chosen on
calibration data, so that at most a stated share of their answers changes. Engines run layer by layer and save nothing
by it; a chip does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.conversion import Conversion
from spikewright.data import as_dataset, sample_digests
from spikewright.engines import BatchRun, RunSettings, simulate
from spikewright.engines.memory import check_room
from spikewright.engines.windows import schedule_of
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output
from spikewright.settings import fits
from spikewright.tasks import Head, heads
from spikewright.tasks.binary import Binary
from spikewright.tasks.classification import Classification

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = 1000
"""How many margins are tried, evenly spread over those that occur."""
MARGIN_BYTES = 24
"""Bytes of one sample at one timestep: a margin and a decision, twice while they are put together."""
SAMPLES = 500
"""How many samples of calibration a margin is chosen on."""


@dataclass(frozen=True)
class EarlyExit:
    """When a sample is stopped.

    Attributes:
        margin: in the unit of the outputs, times timesteps.
        loss: the share of answers of calibration that may change by it.
        samples: of calibration, on which it was chosen; 0 where it was given.
        seen: the digests of these samples, none of which may be measured on; none where nobody knows them.
    """

    margin: float
    loss: float = 0.0
    samples: int = 0
    seen: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not fits(self.margin, float) or not self.margin >= 0:
            raise SettingsError(f"the margin of an early exit is a number, 0 or more, not {self.margin!r:.40}")


@dataclass(frozen=True)
class ExitMeasure:
    """What stopping early gives.

    Attributes:
        rule: when samples are stopped.
        timesteps: the mean T.
        score: accuracy with it; against the analog network's answers where there are no labels, None without both.
        changed: the share of answers that are not those at the end of the run.
    """

    rule: EarlyExit
    timesteps: float
    score: float | None
    changed: float

    def __str__(self) -> str:
        """In a sentence."""
        score = "" if self.score is None else f", {100 * self.score:.2f} % right"
        chosen = f"chosen on {self.rule.samples:,} samples of calibration" if self.rule.samples else "given"
        return (
            f"early exit at a margin of {self.rule.margin:.4g} ({chosen}): {self.timesteps:.1f} timesteps on average"
            f"{score}, {100 * self.changed:.2f} % of the answers change"
        )

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "margin": self.rule.margin,
            "allowed_loss": self.rule.loss,
            "calibration_samples": self.rule.samples,
            "mean_timesteps": self.timesteps,
            "score": self.score,
            "changed": self.changed,
        }


def check_exit(head: Head, loss: float = 0.0) -> None:
    """Refuse an early exit that cannot be.

    Args:
        head: what is asked of the output.
        loss: the share of answers that may change.

    Raises:
        SettingsError: for an output that decides between no classes, or a share that is none.
    """
    if not isinstance(head.task, Classification | Binary):
        raise SettingsError(
            "an early exit needs an answer that decides, one of several classes, or yes or no; "
            f"'{head.answer.name}' is {head.task.title}"
        )
    if not fits(loss, float) or not 0 <= loss < 1:
        raise SettingsError(f"an early exit may change a share of the answers, 0 or more and below 1, not {loss!r:.40}")


def check_free(graph: Graph) -> None:
    """Refuse an early exit of a network whose populations exchange window by window.

    Raises:
        SettingsError: saying what to do instead.
    """
    if (schedule := schedule_of(graph)) != "free":
        raise SettingsError(
            f"{schedule} networks answer once, at the end of a window, so there is nothing to stop before: leave "
            "the early exit out, and take fewer timesteps"
        )


def check_margins(samples: int, timesteps: int) -> None:
    """Refuse an early exit whose margins, kept of every sample at every timestep, need more memory than is free.

    Raises:
        SettingsError: with the estimate.
    """
    check_room(
        f"an early exit keeps the margins of {samples:,} samples at {timesteps:,} timesteps, which",
        MARGIN_BYTES * samples * timesteps,
        "take fewer timesteps or samples",
    )


class MarginObserver:
    """Keeps the margin and the decision of the first output at every timestep; an observer of ``simulate``.

    Args:
        graph: the spiking graph.
        head: what is asked of the output.
        start: from when on the answer is read.

    Raises:
        SettingsError: for an output that decides between no classes, or a network of windows.
    """

    def __init__(self, graph: Graph, head: Head, start: int = 0) -> None:
        check_exit(head)
        check_free(graph)
        found = graph[head.answer.name]
        self.activation = found.activation if isinstance(found, Output) else None
        self.head, self.start = head, start
        self.margins: list[NDArray[np.float32]] = []
        self.decided: list[NDArray[Any]] = []

    def __call__(self, _x: Tensor, run: BatchRun) -> None:
        answers = run.outputs[self.head.answer.name].cpu().numpy()
        steps = np.arange(1, answers.shape[1] + 1)
        read = np.where(steps > self.start, steps - self.start, steps)
        flat = answers.reshape(-1, *answers.shape[2:])
        decided = self.head.task.decisions(flat, self.head.answer)
        self.margins.append((read * self._gaps(answers)).astype(np.float32))
        self.decided.append(decided.reshape(*answers.shape[:2], -1)[:, :, 0])  # of several yes or no the first

    def counted(self) -> tuple[list[NDArray[np.float32]], list[NDArray[Any]]]:
        """What was kept so far, for ``merge``."""
        return self.margins, self.decided

    def merge(self, counted: tuple[list[NDArray[np.float32]], list[NDArray[Any]]]) -> None:
        """Take in what another one has kept of the samples that follow."""
        self.margins += counted[0]
        self.decided += counted[1]

    def _gaps(self, answers: NDArray[np.float32]) -> NDArray[np.float64]:
        """``(B, T)``: how far a decision is from another one, before the activation."""
        values = answers.reshape(*answers.shape[:2], -1).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.activation == "softmax":
                values = np.log(values)
            elif self.activation == "sigmoid":
                values = np.log(values) - np.log1p(-values)
            elif self.activation == "tanh":
                values = np.arctanh(values)
            if isinstance(self.head.task, Binary):
                return np.nan_to_num(np.abs(values[:, :, 0] - self._threshold()), nan=0.0, posinf=1e30)
            best = np.sort(values, axis=2)[:, :, -2:]
            return np.nan_to_num(best[:, :, 1] - best[:, :, 0], nan=0.0, posinf=1e30)

    def _threshold(self) -> float:
        """The threshold of yes or no before the activation."""
        given = self.head.task.threshold if isinstance(self.head.task, Binary) else None
        if given is None:
            return 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.activation == "sigmoid":
                return float(np.log(given) - np.log1p(-given))
            return float(np.arctanh(given)) if self.activation == "tanh" else float(given)

    def stopped(self, margin: float) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """The timestep, from 0, at which every sample is stopped, its answer then, and its answer at the end."""
        margins, decided = np.concatenate(self.margins), np.concatenate(self.decided)
        over = margins >= margin
        when = np.where(over.any(axis=1), over.argmax(axis=1), margins.shape[1] - 1)
        return when, decided[np.arange(len(when)), when], decided[:, -1]

    def measure(self, rule: EarlyExit, expected: NDArray[Any] | None) -> ExitMeasure:
        """What a rule gives; ``expected`` is what is right, in the form of ``Task.targets``."""
        when, then, last = self.stopped(rule.margin)
        right = None if expected is None else float((then == expected.reshape(len(then), -1)[:, 0]).mean())
        return ExitMeasure(rule, float(when.mean() + 1), right, float((then != last).mean()))


def choose_exit(
    conversion: Conversion, data: Any, loss: float, settings: RunSettings, samples: int = SAMPLES
) -> EarlyExit:
    """The smallest margin at which, and at all larger ones, at most a share of answers changes.

    Args:
        conversion: the network.
        data: of calibration; their labels are not looked at. ``measure`` refuses to measure on them.
        loss: the share of answers that may differ from those at the end of the run, 0 to 1.
        settings: how it runs.
        samples: at most so many of the first are looked at.

    Raises:
        SettingsError: for a share that is none, a network whose first output decides between no classes, or one of
            windows.
        DataError: where there are no samples.
    """
    chosen = as_dataset(data, conversion.spiking.inputs)
    chosen = chosen.take(min(samples, len(chosen)))
    check_margins(len(chosen), settings.timesteps)
    if not len(chosen):
        raise DataError("there are no samples to choose the margin of an early exit on")
    head = next(iter(heads(conversion.spiking, None, dict(conversion.tasks) or None).values()))
    check_exit(head, loss)
    observer = MarginObserver(conversion.spiking, head, settings.readout_from)
    simulate(conversion, chosen, settings=settings, observers=[observer], record=(), quiet=True)
    every = np.concatenate(observer.margins)
    best = np.inf
    for margin in np.unique(np.quantile(every, np.linspace(0, 1, CANDIDATES)))[::-1]:
        _, then, last = observer.stopped(float(margin))
        if (then != last).mean() > loss:
            break
        best = float(margin)
    margin = best if np.isfinite(best) else float(every.max()) * 2 + 1
    return EarlyExit(margin, loss, len(chosen), sample_digests(chosen))
