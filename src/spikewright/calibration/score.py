"""How good the analog network is on the labelled calibration samples, counted in a pass that runs anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, get_type_hints

from spikewright.data import Targets
from spikewright.data.labels import joined
from spikewright.errors import DataError
from spikewright.graph import Graph, ToTensor
from spikewright.nodes import Output
from spikewright.settings import fits
from spikewright.tasks import SCORES, Head, RunningScores, Task, TaskChoice, heads

if TYPE_CHECKING:
    from torch import Tensor

SKILL = 0.1
"""A score that is less than this part of the way from chance to perfect is near chance."""
ENOUGH = 20
"""Samples from which the error of a share is worth anything."""


@dataclass(frozen=True)
class AnalogScore:
    """The main score of one output of the analog network on labelled samples.

    Attributes:
        task: as text.
        name: of the score, in ``SCORES``.
        value: of the analog network; None where it does not exist.
        chance: of the best constant answer.
        samples: how many had labels.
    """

    task: str
    name: str
    value: float | None
    chance: float | None
    samples: int

    @classmethod
    def of(cls, task: Task, value: float, chance: float, samples: int) -> AnalogScore:
        """A score made of a task's main one and that of the best constant answer, either of which may be NaN."""
        known, best = (number if isfinite(number) else None for number in (value, chance))
        return cls(str(task), task.main, known, best, samples)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> AnalogScore:
        """The score prefix fields a file held.

        Raises:
            ValueError: for fields that are missing, of another kind, or of no score.
        """
        hints = get_type_hints(cls)
        fitting = facts.keys() == hints.keys() and all(fits(facts[label], hint) for label, hint in hints.items())
        if not fitting or facts["name"] not in SCORES or facts["samples"] < 1:
            raise ValueError(f"a score cannot be {facts!s:.60}")
        found = cls(**facts)
        share = SCORES[found.name].percent
        if any(v is not None and share and not 0 <= v <= 1 for v in (found.value, found.chance)):
            raise ValueError(f"a score cannot be {facts!s:.60}")
        return found

    @property
    def skill(self) -> float | None:
        """Which part of the way from the best constant answer to a perfect one it is; None where that says nothing."""
        if self.value is None or self.chance is None:
            return None
        perfect = 1.0 if SCORES[self.name].higher else 0.0
        return None if self.chance == perfect else (self.value - self.chance) / (perfect - self.chance)

    @property
    def near_chance(self) -> bool:
        """Whether it is hardly better than the best constant answer.

        That is: less than a tenth of the way from there to perfect or, for the share of right answers of twenty
        samples or more, within two standard errors of it.
        """
        if self.skill is None or self.value is None or self.chance is None:
            return False
        share = SCORES[self.name].percent and self.samples >= ENOUGH
        error = 2 * sqrt(self.chance * (1 - self.chance) / self.samples) if share else 0.0
        return self.skill < SKILL or (share and self.value <= self.chance + error)

    def __str__(self) -> str:
        score = SCORES[self.name]
        value, chance = ("–" if v is None else score.text(v, unit=True) for v in (self.value, self.chance))
        return f"{score.title} {value} on {self.samples:,} samples (the best constant answer {chance})"


class AnalogScoring:
    """Counts the scores of every labelled output, batch by batch.

    Args:
        heads: by output, what is asked of it, with the targets of the samples that will come.
        outputs: of the analog network.

    Attributes:
        remarks: what is odd about the labels, in sentences.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, heads: Mapping[str, Head], outputs: Iterable[Output]) -> None:
        self.heads = {name: head for name, head in heads.items() if head.targets is not None and len(head.targets)}
        self.outputs = [node for node in outputs if node.name in self.heads]
        self.counts: dict[str, RunningScores] = {
            n: head.task.running_scores(1, head.answer) for n, head in self.heads.items()
        }
        self.done = 0

    def fresh(self, samples: slice) -> AnalogScoring:
        """One that has seen nothing yet, for some of the samples."""
        heads = {
            n: replace(h, targets=None if h.targets is None else h.targets[samples]) for n, h in self.heads.items()
        }
        return AnalogScoring(heads, self.outputs)

    def bound(self, to_tensor: ToTensor) -> Callable[[Mapping[str, Tensor], Targets | None, int], None]:
        """What counts a batch of so many samples, given what every output reads, where the network runs."""
        functions = {node.name: node.bind(to_tensor) for node in self.outputs}

        def count(outputs: Mapping[str, Tensor], _: Targets | None, samples: int) -> None:
            for name, head in self.heads.items():
                assert head.targets is not None
                answers = functions[name](outputs[name]).cpu().numpy()[:, None]
                self.counts[name].add(answers, head.targets[self.done : self.done + samples])
            self.done += samples if self.heads else 0

        return count

    def merge(self, other: Any) -> None:
        """Take in what another one of the same kind has counted of other samples."""
        for name, counts in self.counts.items():
            if name in other.counts:
                counts.merge(other.counts[name])
        self.done += other.done

    def results(self) -> dict[str, AnalogScore]:
        """The score of every labelled output, by its name."""
        found = {}
        for name, head in self.heads.items():
            main = head.task.main
            value = float(self.counts[name].scores()[main][0])
            found[name] = AnalogScore.of(head.task, value, head.chance()[main], self.done)
        return found


class StreamScoring(AnalogScoring):
    """Counts the scores of outputs whose labels come with the samples: their task is that of the first batch.

    Args:
        graph: the analog network.
        task: as said; None finds it.
    """

    def __init__(self, graph: Graph, task: TaskChoice) -> None:
        super().__init__({}, ())
        self.graph, self.task = graph, task
        self.targets: list[Targets] = []

    def fresh(self, samples: slice) -> StreamScoring:  # noqa: ARG002 - whichever come
        return StreamScoring(self.graph, self.task)

    def bound(self, to_tensor: ToTensor) -> Callable[[Mapping[str, Tensor], Targets | None, int], None]:
        functions = {node.name: node.bind(to_tensor) for node in self.graph.of_type(Output)}

        def count(outputs: Mapping[str, Tensor], targets: Targets | None, samples: int) -> None:
            if targets is None:
                return
            tasks = {name: head.task for name, head in self.heads.items()} or self.task
            found, _ = scored_heads(self.graph, targets, tasks)
            self.heads = self.heads or found
            for name in self.heads.keys() & found.keys():
                head = found[name]
                assert head.targets is not None
                if name not in self.counts:
                    self.counts[name] = head.task.running_scores(1, head.answer)
                self.counts[name].add(functions[name](outputs[name]).cpu().numpy()[:, None], head.targets)
            self.targets.append(targets)
            self.done += samples

        return count

    def merge(self, other: Any) -> None:
        if not isinstance(other, StreamScoring):  # of a later pass, in which nothing is scored
            return
        self.heads = self.heads or other.heads
        for name, counts in other.counts.items():
            if name in self.counts:
                self.counts[name].merge(counts)
            else:
                self.counts[name] = counts
        self.targets += other.targets
        self.done += other.done

    def results(self) -> dict[str, AnalogScore]:
        found, self.remarks = scored_heads(self.graph, joined(self.targets), self.task)
        counted = {name: head.task for name, head in self.heads.items()}
        if any(counted.get(name) != head.task for name, head in found.items()):
            self.remarks = ("the labels of the first samples look like another task than all of them: say the task",)
            return {}
        self.heads = found
        return super().results()


def scored_heads(graph: Graph, targets: Targets | None, task: TaskChoice) -> tuple[dict[str, Head], tuple[str, ...]]:
    """What is asked of the outputs of a network by labels, and what is odd about these labels.

    Args:
        graph: the analog network.
        targets: the labels, or None.
        task: as said; None finds it.
    """
    try:
        found = heads(graph, targets, task)
    except DataError as error:
        return {}, (f"the labels are not used: {error}",)
    labelled = {name: head for name, head in found.items() if head.targets is not None and len(head.targets)}
    prefix = "output '{}': " if len(found) > 1 else ""
    return labelled, tuple(prefix.format(n) + head.remark for n, head in labelled.items() if head.remark)
