"""Which task each output of a network has: said, or seen in its answer and its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.labels import Targets, as_targets
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output
from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.binary import Binary
from spikewright.tasks.classification import Classification
from spikewright.tasks.dense import Dense
from spikewright.tasks.named import parse, tasks
from spikewright.tasks.regression import Regression
from spikewright.tasks.task import Task
from spikewright.text import brief

TaskChoice = Task | str | Mapping[str, Task | str] | Sequence[str] | None
"""A task, of every output or by the names of outputs; as typed: "regression", "age=regression"."""


@dataclass(frozen=True, eq=False)
class Head:
    """One output of a network, and what is asked of it.

    Attributes:
        answer: what it looks like.
        task: what its answers are measured by.
        targets: of all samples ``(N, ...)`` in the form of ``Task.targets``, or None without labels.
        remark: what is odd about the answer or the targets, in a sentence, or None.
    """

    answer: Answer
    task: Task
    targets: NDArray[Any] | None = None
    remark: str | None = None

    __repr__ = brief

    def scores(self, outputs: NDArray[Any]) -> dict[str, float]:
        """The scores of answers ``(N, *shape)`` without time, of the analog network, say; empty without labels."""
        return {} if self.targets is None else self.task.scores(outputs, self.targets, self.answer)

    def chance(self) -> dict[str, float]:
        """The scores of the best constant answer; empty without labels."""
        return {} if self.targets is None else self.task.chance(self.targets, self.answer)


def heads(graph: Graph, targets: Targets | None = None, task: TaskChoice = None) -> dict[str, Head]:
    """What is asked of every output of a network, by its name.

    Args:
        graph: prepared, or spiking: its outputs know the activation they apply.
        targets: of all samples, as ``Dataset.targets`` gives them; of several outputs by their names, of which some
            may be missing. The name of an output's last layer will do too. None without labels.
        task: as said, for every output or by their names; None finds it.

    Raises:
        DataError: for labels that do not fit, in a line that says what they look like and what would fit.
        SettingsError: for an unknown task, or a task of an output that does not exist.
    """
    answers = [Answer(node.name, graph.shapes[node.name], node.activation) for node in graph.of_type(Output)]
    return heads_of(answers, targets, task, _names(graph))


def heads_of(
    outputs: Sequence[Answer],
    targets: Targets | None = None,
    task: TaskChoice = None,
    names_of: Mapping[str, str] | None = None,
) -> dict[str, Head]:
    """What is asked of some outputs, by their names.

    Args:
        outputs: what they look like.
        targets: of all samples: see ``heads``.
        task: see ``heads``.
        names_of: outputs, by every name that means them; their own alone where none are given.

    Raises:
        DataError, SettingsError: as ``heads``.
    """
    answers = {answer.name: answer for answer in outputs}
    names = ", ".join(answers)
    known = {name: name for name in answers} if names_of is None else names_of
    chosen = chosen_tasks(task, known)
    if targets is not None and not isinstance(targets, Mapping):
        if len(answers) > 1:
            raise DataError(f"the network has the outputs {names}: give labels of each by name, not one array")
        targets = dict.fromkeys(answers, targets)
    given = {}
    for name, one in (targets or {}).items():
        if name not in known:
            raise DataError(f"labels are of an output '{name}', the network has {names}")
        if known[name] in given:
            raise DataError(f"labels of output '{known[name]}' are there twice, as '{name}' too; give them once")
        given[known[name]] = one
    found = {}
    for name, answer in answers.items():
        try:
            found[name] = _head(answer, given.get(name), chosen.get(name))
        except DataError as error:
            if len(answers) == 1:
                raise
            raise DataError(f"output '{name}': {error}") from error
    return found


def stated_tasks(graph: Graph, task: TaskChoice) -> dict[str, Task]:
    """The tasks of a network's outputs as they were said; none where nobody said so.

    Raises:
        SettingsError: as ``chosen_tasks``.
    """
    return chosen_tasks(task, _names(graph))


def find_task(answer: Answer, targets: NDArray[Any] | None = None, task: Task | str | None = None) -> Task:
    """The task of an answer: as said, or the one that answer and targets show; without targets a guess.

    A guess is classification for a row of classes, dense prediction behind a softmax over channels, binary behind a
    sigmoid of one value, else regression, which compares values.

    Args:
        answer: what the output looks like.
        targets: ``(N, ...)``, or None.
        task: as said, or None.

    Raises:
        DataError: for targets that fit no task, or not the one said.
        SettingsError: for an unknown task.
    """
    return _head(answer, targets, task).task


def chosen_tasks(task: TaskChoice, names: Mapping[str, str]) -> dict[str, Task]:
    """Tasks by the names of outputs, as they were said.

    Args:
        task: one for all, or by the names of outputs; one without a name is that of all that have none of their own.
        names: of outputs, by every name that means them.

    Raises:
        SettingsError: for an unknown task or output, or two tasks of one.
    """
    if task is None:
        return {}
    if isinstance(task, Task):
        return dict.fromkeys(names.values(), task)
    if isinstance(task, Mapping):
        parts = [(str(name), one) for name, one in task.items()]
    else:
        parts = [_split(text) for text in ([task] if isinstance(task, str) else task)]
    found: dict[str, Task] = {}  # "" is all others
    for name, one in parts:
        if name and name not in names:
            outputs = ", ".join(dict.fromkeys(names.values()))
            raise SettingsError(f"a task is of an output '{name}', the network has {outputs}")
        value = one if isinstance(one, Task) else parse(one)
        if found.setdefault(names.get(name, ""), value) != value:
            which = f"of output '{name}'" if name else "of all outputs"
            raise SettingsError(f"two tasks {which} are said, {found[names.get(name, '')]} and {value}; give one")
    return (dict.fromkeys(names.values(), found.pop("")) if "" in found else {}) | found


def _names(graph: Graph) -> dict[str, str]:
    """The outputs by their names, and by those of the layers behind them, where these are of one output only.

    A framework's name of an output is often its last layer's, and then the output here has another.
    """
    found = {node.name: node.name for node in graph.of_type(Output)}
    layers: dict[str, list[str]] = {}
    for output in graph.of_type(Output):
        node = graph.sources(output)[0]
        layers.setdefault(node.name, []).append(output.name)
        while node.inputs and not node.weighted and not node.population:
            node = graph.sources(node)[0]
            layers.setdefault(node.name, []).append(output.name)
    return {name: outputs[0] for name, outputs in layers.items() if len(outputs) == 1} | found


def _split(text: str) -> tuple[str, str]:
    """``age=regression`` as the output's name and the task; without a name for all. Names may hold what they like."""
    for k, letter in enumerate(text):
        if letter == "=" and text[k + 1 :].partition(":")[0] in tasks():
            return text[:k], text[k + 1 :]
    return "", text


def _head(answer: Answer, targets: Any, task: Task | str | None) -> Head:
    chosen = parse(task) if isinstance(task, str) else task
    if targets is None:
        return Head(answer, chosen or _guessed(answer), remark=_remark(answer))
    values = as_targets(targets, len(np.asarray(targets)))
    assert not isinstance(values, Mapping)
    labels = Labels(values)
    if chosen is None:
        chosen = _seen(answer, labels)
    canonical = chosen.targets(answer, labels)
    return Head(answer, chosen, canonical, _remark(answer) or chosen.remark(canonical))


def _remark(answer: Answer) -> str | None:
    """What is odd about an answer whatever the labels."""
    if answer.single and answer.activation in ("softmax", "log_softmax"):
        return "a softmax over one value is always the same, whatever the sample; leave it away with answer='drop'"
    return None


def _guessed(answer: Answer) -> Task:
    if answer.classes:
        return Classification()
    if answer.positions and answer.activation in ("softmax", "log_softmax"):
        return Dense()
    return Binary() if answer.single and answer.activation == "sigmoid" else Regression()


def _seen(answer: Answer, labels: Labels) -> Task:
    for kind in tasks().values():
        if kind().fits(answer, labels):
            return kind()
    rows = len(labels.shape) == 1 and labels.shape == answer.shape
    if rows and labels.zero_one:
        advice = "say the task, binary (each value yes or no) or regression"
    elif rows and labels.sums_to_one(1):
        advice = "give the index of each sample's class (y.argmax(1)), or say the task regression to compare numbers"
    else:
        wanted = [(kind().title, kind().takes(answer)) for kind in tasks().values()]
        fitting = [f"{text} ({title})" for title, text in wanted if text is not None]
        advice = "it takes " + ", or ".join(fitting)
        if labels.shape == answer.shape or (answer.single and not labels.shape):
            advice += "; say the task regression if these are numbers to be met"
    raise DataError(f"labels are {labels}, the answer has {answer}: no task is seen in that; {advice}")
