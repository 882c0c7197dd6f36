"""What labels mean: every kind that people have, seen or refused; and the scores, against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brute_force import brute_force
from networks import Builder
from spikewright.data import as_dataset
from spikewright.data.labels import joined
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Array, Graph
from spikewright.nodes import Input, Linear, Output
from spikewright.tasks import SCORES, Answer, Labels, Task, find_task, heads, parse, tasks
from spikewright.tasks.binary import Binary
from spikewright.tasks.dense import Dense
from spikewright.tasks.regression import Regression

RANDOM = np.random.default_rng(3)
N = 30
INDICES = RANDOM.permutation(np.arange(N) % 10)
MAPS = RANDOM.integers(0, 3, (N, 4, 6))
FLOATS = RANDOM.normal(size=(N, 3))


def one_hot(classes: Array, axis: int) -> Array:
    return np.moveaxis(np.eye(3)[classes], -1, axis)


SEEN: list[tuple[str, tuple[int, ...], Array, str]] = [
    ("indices", (10,), INDICES, "classification"),
    ("indices as a column", (10,), INDICES[:, None], "classification"),
    ("indices as bytes", (10,), INDICES.astype(np.uint8), "classification"),
    ("indices as floats", (10,), INDICES.astype(np.float32), "classification"),
    ("indices for a map of one position", (10, 1, 1), INDICES, "classification"),
    ("two classes", (2,), INDICES > 4, "classification"),
    ("one class only", (3,), np.zeros(N, int), "classification"),
    ("rows of 0 and 1", (10,), np.eye(10)[INDICES], "classification"),
    ("rows of bools", (10,), np.eye(10, dtype=bool)[INDICES], "classification"),
    ("0 and 1", (1,), INDICES % 2, "binary"),
    ("0 and 1 as a column", (1,), (INDICES % 2)[:, None], "binary"),
    ("0 and 1 as floats", (1,), (INDICES % 2)[:, None].astype(float), "binary"),
    ("0 and 1 for a number without axes", (), INDICES % 2, "binary"),
    ("bools", (1,), INDICES > 4, "binary"),
    ("all 0", (1,), np.zeros(N, int), "binary"),
    ("−1 and 1", (1,), 2 * (INDICES % 2) - 1, "binary"),
    ("maps", (3, 4, 6), MAPS, "dense"),
    ("maps with a channel", (3, 4, 6), MAPS[:, None], "dense"),
    ("maps with a channel behind", (3, 4, 6), MAPS[..., None], "dense"),
    ("maps as floats", (3, 4, 6), MAPS.astype(np.float32), "dense"),
    ("maps of 0 and 1", (3, 4, 6), one_hot(MAPS, 1), "dense"),
    ("maps of 0 and 1, channels last", (3, 4, 6), one_hot(MAPS, -1), "dense"),
    ("a mask", (1, 4, 6), MAPS % 2, "dense"),
    ("a mask as floats", (1, 4, 6), (MAPS % 2)[:, None].astype(np.float32), "dense"),
    ("a class at each step", (3, 9), RANDOM.integers(0, 3, (N, 9)), "dense"),
    ("floats", (3,), FLOATS, "regression"),
    ("whole floats", (3,), np.round(9 * FLOATS), "regression"),
    ("one float", (1,), FLOATS[:, 0], "regression"),
    ("one float as a column", (1,), FLOATS[:, :1], "regression"),
    ("a float without axes", (), FLOATS[:, 0], "regression"),
    ("a column for a float without axes", (), FLOATS[:, :1], "regression"),
    ("one whole float", (1,), 10.0 * INDICES, "regression"),
    ("pictures", (2, 4, 6), RANDOM.random((N, 2, 4, 6)), "regression"),
    ("pictures, channels last", (2, 4, 6), RANDOM.random((N, 4, 6, 2)), "regression"),
    ("pictures without a channel", (1, 4, 6), RANDOM.random((N, 4, 6)), "regression"),
]


@pytest.mark.parametrize(("shape", "labels", "task"), [case[1:] for case in SEEN], ids=[case[0] for case in SEEN])
def test_the_task_is_seen(shape: tuple[int, ...], labels: Array, task: str) -> None:
    assert find_task(Answer("output", shape), labels).name == task


def test_the_same_labels_in_every_form() -> None:
    def targets(shape: tuple[int, ...], labels: Array) -> Array:
        answer, looked = Answer("output", shape), Labels(labels)
        return find_task(answer, labels).targets(answer, looked)

    for form in (INDICES, INDICES[:, None].astype(float), np.eye(10)[INDICES]):
        np.testing.assert_array_equal(targets((10,), form), INDICES)
    for form in (MAPS, MAPS[:, None], MAPS[..., None] + 0.0, one_hot(MAPS, 1), one_hot(MAPS, -1)):
        np.testing.assert_array_equal(targets((3, 4, 6), form), MAPS)
    yes = INDICES % 2
    for form in (yes, yes[:, None] + 0.0, 2 * yes - 1):
        np.testing.assert_array_equal(targets((1,), form), yes[:, None] == 1)
    picture = RANDOM.random((N, 2, 4, 6))
    for form in (picture, np.moveaxis(picture, 1, -1)):
        np.testing.assert_array_equal(targets((2, 4, 6), form), picture)


REFUSED: list[tuple[str, tuple[int, ...], Array, str | None, str]] = [
    (
        "ages",
        (1,),
        INDICES,
        None,
        r"labels are whole numbers from 0 to 9 of shape \(N,\), the answer has 1 value: no task is seen in that; it "
        r"takes 0 or 1 for each sample \(binary classification\), or floats of shape \(N,\) \(regression\); say the "
        "task regression if these are numbers to be met",
    ),
    (
        "random numbers for classes",
        (4,),
        FLOATS[:, 0],
        None,
        r"floats from .* of shape \(N,\), the answer has 4 values: .* it takes the index of a class, 0 to 3",
    ),
    ("a float too few", (4,), FLOATS, None, r"floats from .* of shape \(N, 3\), the answer has 4 values: no task"),
    ("no such class", (10,), INDICES + 5, None, "label 1[0-4] does not exist: the network has 10 classes, 0 to 9"),
    ("counted from 1", (10,), INDICES + 1, None, "label 10 does not exist: .*; labels count from 0: subtract 1"),
    ("a negative class", (10,), INDICES - 1, None, "label -1 does not exist: the network has 10 classes, 0 to 9"),
    ("soft rows", (3,), RANDOM.dirichlet(np.ones(3), N), None, "rows of numbers that sum to 1, .*give the index of"),
    ("soft rows, said", (3,), RANDOM.dirichlet(np.ones(3), N), "classification", r"no classification: .*argmax\(1\)"),
    ("many yes", (3,), np.ones((N, 3), int), None, "0 and 1 that do not sum to 1, .* say the task, binary"),
    ("all NaN", (10,), np.full(N, np.nan), None, "the label of sample 0 holds NaN or infinity"),
    ("one NaN", (1,), np.where(np.arange(N) == 7, np.nan, FLOATS[:, 0]), None, "the label of sample 7 holds NaN"),
    (
        "infinity",
        (3,),
        np.where(FLOATS[2, 1] == FLOATS, np.inf, FLOATS),
        "regression",
        "sample 2 holds NaN or infinity",
    ),
    ("maps of another size", (3, 4, 6), MAPS[:, :3], None, r"\(N, 3, 6\), the answer has 3×4×6 values: no task"),
    ("a class for a map", (3, 4, 6), INDICES, None, r"0 to 2, at every position \(N, 4, 6\) \(dense prediction\)"),
    ("marked pixels", (3, 4, 6), np.where(MAPS == 1, 255, MAPS), None, "label 255 .* say task dense:ignore=255"),
    ("marked by −1", (3, 4, 6), np.where(MAPS == 1, -1, MAPS), None, "label -1 .* say task dense:ignore=-1"),
    ("a mask of 0 and 255", (1, 4, 6), 255 * (MAPS % 2), None, "whole numbers from 0 to 255 .* 0 to 1, at every pos"),
    ("classes for numbers", (1,), INDICES % 2, "classification", "it needs an answer that is one row of classes"),
    ("numbers for classes", (3,), FLOATS, "classification", "that is no classification: it takes the index of a class"),
    ("classes as yes or no", (1,), INDICES, "binary", "that is no binary classification: it takes 0 or 1"),
    ("a row as a map", (3,), INDICES % 3, "dense", "it needs an answer with classes at positions"),
    ("indices as numbers", (3,), INDICES, "regression", r"that is no regression: it takes floats of shape \(N, 3\)"),
]


@pytest.mark.parametrize(
    ("shape", "labels", "said", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_fits_no_task_is_refused(shape: tuple[int, ...], labels: Array, said: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        find_task(Answer("output", shape), labels, said)
    assert len(str(caught.value)) < 330
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "labels", "said"),
    [
        ((1,), INDICES, "regression"),
        ((3,), MAPS[:, 0, :3], "regression"),
        ((3,), RANDOM.dirichlet(np.ones(3), N), "regression"),
        ((3,), np.ones((N, 3), int), "binary"),
        ((1,), 2.0 * (INDICES % 2) - 1, "binary"),
        ((3, 4, 6), np.where(MAPS == 1, 255, MAPS), "dense:ignore=255"),
        ((1, 4, 6), np.where(MAPS == 2, -1, MAPS), "dense:ignore=-1"),
        ((1,), INDICES % 2, "binary:threshold=0.25"),
    ],
)
def test_what_is_said_is_taken(shape: tuple[int, ...], labels: Array, said: str) -> None:
    assert str(find_task(Answer("output", shape), labels, said)) == said


@pytest.mark.parametrize(
    ("shape", "activation", "task"),
    [
        ((10,), None, "classification"),
        ((10, 1, 1), "softmax", "classification"),
        ((1,), "sigmoid", "binary"),
        ((1,), None, "regression"),
        ((), "tanh", "regression"),
        ((3, 4, 6), "softmax", "dense"),
        ((3, 4, 6), None, "regression"),
    ],
)
def test_without_labels_there_is_a_guess(shape: tuple[int, ...], activation: str | None, task: str) -> None:
    assert find_task(Answer("output", shape, activation)).name == task


def test_text_of_tasks() -> None:
    assert sorted(tasks()) == ["binary", "classification", "dense", "regression"]
    for text in (*tasks(), "dense:ignore=255", "binary:threshold=0.3", "dense:ignore=0,threshold=0.1"):
        assert str(parse(text)) == text
    with pytest.raises(SettingsError, match="unknown task 'segmentation'; choose one of binary, classification, dense"):
        parse("segmentation")
    with pytest.raises(SettingsError, match="task dense: unknown option 'void=1'; it has ignore, threshold"):
        parse("dense:void=1")
    with pytest.raises(SettingsError, match=r"task dense: ignore takes a whole number, not '2\.5'"):
        parse("dense:ignore=2.5")
    with pytest.raises(SettingsError, match="task regression: unknown option 'l1'; it has none"):
        parse("regression:l1")


@pytest.fixture(scope="module")
def two_heads() -> Graph:
    b = Builder(0, (6,))
    hidden = b.linear(5)
    for name in ("age", "sex"):
        b.add(Linear(name=name, inputs=(hidden,), weight=np.ones((1, 5)), bias=np.zeros(1)))
        b.add(Output(name=f"{name}_2", inputs=(name,)))
    return Graph(b.nodes)


@pytest.mark.parametrize("names", [("age", "sex"), ("age_2", "sex_2")])
def test_labels_by_the_names_of_outputs_or_of_their_last_layers(two_heads: Graph, names: tuple[str, str]) -> None:
    found = heads(two_heads, dict(zip(names, (FLOATS[:, 0], INDICES % 2), strict=True)))
    assert {name: head.task.name for name, head in found.items()} == {"age_2": "regression", "sex_2": "binary"}


@pytest.mark.parametrize("said", ["age=regression", ["age=regression"], {"age": "regression"}, {"age_2": Regression()}])
def test_the_task_of_one_output(two_heads: Graph, said: Any) -> None:
    found = heads(two_heads, {"age": INDICES}, said)
    assert found["age_2"].task == Regression()
    assert found["sex_2"].targets is None


def test_one_task_for_every_output(two_heads: Graph) -> None:
    assert {head.task for head in heads(two_heads, None, "binary").values()} == {Binary()}


@pytest.mark.parametrize(
    "said", [["binary", "age=regression"], ["age=regression", "binary"], {"": "binary", "age": "regression"}]
)
def test_a_task_without_a_name_is_that_of_the_others(two_heads: Graph, said: Any) -> None:
    found = heads(two_heads, None, said)
    assert {name: head.task for name, head in found.items()} == {"age_2": Regression(), "sex_2": Binary()}


def test_what_is_said_twice(two_heads: Graph) -> None:
    """The last one counted, without a word."""
    with pytest.raises(SettingsError, match="two tasks of output 'age_2' are said, binary and regression; give one"):
        heads(two_heads, None, ["age=binary", "age_2=regression"])
    with pytest.raises(SettingsError, match="two tasks of all outputs are said, binary and regression; give one"):
        heads(two_heads, None, ["binary", "regression"])
    assert heads(two_heads, None, ["age=binary", "age_2=binary"])["age_2"].task == Binary()
    with pytest.raises(DataError, match="labels of output 'age_2' are there twice, as 'age_2' too; give them once"):
        heads(two_heads, {"age": FLOATS[:, 0], "age_2": FLOATS[:, 0]})


def test_what_is_no_output(two_heads: Graph) -> None:
    with pytest.raises(DataError, match="the network has the outputs age_2, sex_2: give labels of each by name"):
        heads(two_heads, INDICES)
    with pytest.raises(DataError, match="labels are of an output 'height', the network has age_2, sex_2"):
        heads(two_heads, {"height": INDICES})
    with pytest.raises(DataError, match="output 'age_2': labels are whole numbers from 0 to 9"):
        heads(two_heads, {"age": INDICES})
    with pytest.raises(SettingsError, match="a task is of an output 'height', the network has age_2, sex_2"):
        heads(two_heads, None, "height=regression")


def test_labels_are_kept_as_they_are_given() -> None:
    x = np.zeros((3, 2))
    for y, kept in (
        (np.array([True, False, True]), np.array([1, 0, 1])),
        (np.array([[1], [2], [3]], np.uint8), np.array([1, 2, 3])),
        (np.array([0.5, 1, 2], np.float16), np.array([0.5, 1, 2], np.float16)),
        (np.eye(3), np.eye(3)),
    ):
        found = as_dataset((x, y)).targets
        np.testing.assert_array_equal(found, kept)
        assert found.dtype == kept.dtype
    several = as_dataset((x, {"a": [1, 2, 3], "b": [0.5, 1, 2]}))
    assert several.has_labels
    assert {name: part.tolist() for name, part in several.take(2).targets.items()} == {"a": [1, 2], "b": [0.5, 1]}
    with pytest.raises(DataError, match="3 samples but 2 labels of output 'a'; they must be as many"):
        as_dataset((x, {"a": [1, 2]}))
    with pytest.raises(DataError, match="label 18446744073709551615 is too large to be a class"):
        as_dataset((x, np.full(3, 2**64 - 1, np.uint64)))
    with pytest.raises(DataError, match=r"labels of output 'a' are text, such as 'cat'"):
        as_dataset((x, {"a": np.array(["cat"] * 3)}))


def test_batches_of_one_kind() -> None:
    assert joined([]) is None
    with pytest.raises(DataError, match="of one kind in all batches: batches have labels of 2 sets of outputs"):
        joined([{"a": FLOATS}, {"b": FLOATS}])
    with pytest.raises(DataError, match="of one kind in all batches: all the input array"):
        joined([FLOATS, FLOATS[:, :2]])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), task=st.sampled_from(sorted(tasks())), integers=st.booleans())
def test_scores_against_their_definitions(seed: int, task: str, integers: bool) -> None:
    """In batches of any size; with whole outputs, so that many are equal and some are exactly at the threshold."""
    random = np.random.default_rng(seed)
    channels, samples, steps = int(random.integers(1, 9)), int(random.integers(2, 20)), int(random.integers(1, 4))
    shape = (channels, 3, 2) if task == "dense" else (max(channels, 2),) if task == "classification" else (channels,)
    end = str(random.choice(["none", "sigmoid", "tanh"]))
    outputs = random.normal(size=(samples, steps, *shape)).astype(np.float32)
    outputs = np.round(2 * outputs) / 2 if integers else outputs
    chosen = parse("dense:ignore=7" if task == "dense" else task)
    most = max(shape[0], 2)
    labels = {
        "classification": random.integers(0, most, samples),
        "binary": random.integers(0, 2, (samples, *shape)),
        "dense": np.where(random.random((samples, 3, 2)) < 0.2, 7, random.integers(0, min(most, 7), (samples, 3, 2))),
        "regression": 1e6 + random.normal(size=(samples, *shape)),
    }[task]
    answer = Answer("output", shape, end)
    targets = chosen.targets(answer, Labels(labels))
    expected = brute_force(task, outputs, labels, end, ignore=7 if task == "dense" else None)
    compare(chosen, answer, outputs, targets, expected)
    analog = random.normal(size=(samples, *shape)).astype(np.float32)
    agreed = brute_force(task, outputs, analog, end, agreement=True)
    compare(chosen, answer, outputs, chosen.decisions(analog, answer), agreed)


def compare(task: Task, answer: Answer, outputs: Array, targets: Array, expected: dict[str, Array]) -> None:
    running = task.running_scores(outputs.shape[1], answer)
    for start in range(0, len(outputs), 4):
        running.add(outputs[start : start + 4], targets[start : start + 4])
    found = running.scores()
    for name, curve in expected.items():
        np.testing.assert_allclose(found[name], curve, rtol=1e-7, err_msg=name)
    whole = task.curves(outputs, targets, answer)
    for name, curve in found.items():
        np.testing.assert_allclose(whole[name], curve, rtol=1e-7)
    alone = task.scores(outputs[:, 0], targets, answer)
    assert alone == pytest.approx({name: curve[0] for name, curve in whole.items()})


@pytest.mark.parametrize("task", ["classification", "binary", "dense", "dense:ignore=0", "regression"])
def test_chance_is_the_best_of_all_constant_answers(task: str) -> None:
    random = np.random.default_rng(5)
    shape = (3, 2, 2) if task.startswith("dense") else (2,) if task == "binary" else (1,) if task[0] == "r" else (3,)
    answer, chosen = Answer("output", shape), parse(task)
    labels = {"c": random.integers(0, 3, 9), "b": random.integers(0, 2, (9, 2)), "d": random.integers(0, 3, (9, 2, 2))}
    targets = chosen.targets(answer, Labels(labels.get(task[0], random.normal(size=9))))
    constants = {"c": np.eye(3), "b": np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])}
    constants["d"] = np.broadcast_to(np.eye(3)[:, :, None, None], (3, 3, 2, 2))
    tried = constants.get(task[0], np.linspace(-3, 3, 60001)[:, None])
    found = chosen.chance(targets, answer)
    for name, value in found.items():
        scores = [
            chosen.scores(np.broadcast_to(one, (9, *shape)), targets)[name] for one in tried[:: len(tried) // 4000 + 1]
        ]
        best = max(scores) if SCORES[name].higher else min(scores)
        assert value == pytest.approx(best, abs=0 if len(tried) < 10 else 1e-3)


def test_labels_that_never_vary_are_remarked_on() -> None:
    answer = Answer("output", (1,))
    network = Graph([Input(name="input", shape=(1,)), Output(name="output", inputs=("input",))])
    found = heads(network, np.zeros(N, int))["output"]
    assert found.remark == "every label is 0: a network that always answers so looks perfect"
    assert found.scores(np.full((N, 1), -0.3)) == {"accuracy": 1.0}
    assert found.scores(np.full((N, 1), 0.3)) == {"accuracy": 0.0}
    assert found.chance() == {"accuracy": 1.0}
    constant = heads(network, np.full(N, 0.1))["output"]
    assert constant.remark == "every label is 0.1: a network that always answers so looks perfect"
    assert np.isnan(constant.scores(np.zeros((N, 1)))["r2"])
    assert np.isnan(constant.chance()["r2"])
    assert Regression().remark(Regression().targets(answer, Labels(FLOATS[:, 0]))) is None


def test_a_sigmoid_does_not_change_what_is_right() -> None:
    logits = RANDOM.normal(size=(N, 1))
    labels = INDICES % 2
    scores = []
    for activation, values in ((None, logits), ("sigmoid", 1 / (1 + np.exp(-logits))), ("tanh", np.tanh(logits))):
        answer = Answer("output", (1,), activation)
        scores.append(Binary().scores(values, Binary().targets(answer, Labels(labels)), answer))
    assert scores == [{"accuracy": float(((logits[:, 0] > 0) == labels).mean())}] * 3


def test_a_softmax_over_one_value_is_remarked_on() -> None:
    last = Output(name="output", inputs=("input",), activation="softmax")
    network = Graph([Input(name="input", shape=(1,)), last])
    for labels in (None, INDICES % 2):
        assert "a softmax over one value is always the same" in (heads(network, labels)["output"].remark or "")


def test_classes_that_never_occur_do_not_count() -> None:
    answer, labels = Answer("output", (5, 1, 4)), np.array([[[0, 0, 1, 1]]])
    outputs = np.moveaxis(np.eye(5)[np.array([[[0, 1, 1, 4]]])], -1, 1)
    found = Dense().scores(outputs, Dense().targets(answer, Labels(labels)), answer)
    assert found == {"accuracy": 0.5, "mean_iou": pytest.approx((1 / 2 + 1 / 3 + 0) / 3)}
