"""Statistics of parts, counted apart and merged after each pass, are those of the whole."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration import (
    Calibration,
    Histogram,
    Method,
    Moments,
    Quantile,
    Statistics,
    calibrate,
    gather_part,
    merge_parts,
)
from spikewright.data import ArrayDataset
from spikewright.errors import CalibrationError
from spikewright.graph import Graph
from spikewright.nodes import Input, Linear, Output, ReLU
from spikewright.tasks import Answer, parse

METHODS = ["percentile:99.9", "percentile:99,channels", "percentile:20,channels,zeros", "max"]
REQUESTS = (Histogram(channels=True), Moments(channels=True, before_relu=True), Quantile(0.5))


def in_parts(
    graph: Graph,
    data: ArrayDataset,
    starts: list[int],
    methods: list[Method | str] | list[str],
    batch_size: int = 7,
    **settings: object,
) -> Statistics:
    """Calibrate with parts that begin at these samples, in another order each pass, each sent away and back."""
    calibration = Calibration(graph, data, methods, requests=REQUESTS, **settings)  # type: ignore[arg-type]
    ranges = list(zip(starts, [*starts[1:], len(data)], strict=True))
    while calibration.needs_pass:
        ranges = ranges[1:] + ranges[:1]
        for start, end in ranges:
            counts = pickle.loads(pickle.dumps(calibration.counts(start, end - start)))
            counts.add(calibration.forward(), data.subset(np.arange(start, end)), batch_size=batch_size)
            calibration.merge(pickle.loads(pickle.dumps(counts)))
        calibration.finish_pass()
    return calibration.statistics()


@pytest.mark.parametrize("memory", [512, 1])
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_of_whole_batches_are_the_whole_bit_for_bit(parts: int, memory: int, tmp_path: Path) -> None:
    """With memory for the largest values, and with so little that some percentiles take further passes."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(7 * 3 * 2 * 16, 3, 200)).astype(np.float32)
    batches = np.array_split(np.arange(len(x) // 16), parts)
    settings = {"requests": REQUESTS, "input_scale": "99%", "memory": memory}
    methods = ["percentile:99.9,channels", "percentile:60,channels", "percentile:61", "percentile:90,zeros"]
    whole = calibrate(identity((3, 200)), x, methods, batch_size=16, **settings)
    calibration = Calibration(identity((3, 200)), x, methods, **settings)
    passes = 0
    while calibration.needs_pass:
        gathered = []
        for some in batches:
            first, last = 16 * int(some[0]), 16 * int(some[-1]) + 16
            counts = pickle.loads(pickle.dumps(calibration.counts(first, last - first)))
            data = calibration.data.between(first, last)
            gathered.append(pickle.loads(pickle.dumps(gather_part(counts, calibration.graph, data, batch_size=16))))
        merge_parts(calibration, gathered)
        passes += 1
    assert passes == (1 if memory == 512 else 2)
    for name, statistics in (("whole", whole), ("parts", calibration.statistics())):
        statistics.save(tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()


def assert_equal(found: Statistics, whole: Statistics) -> None:
    assert (found.key, found.samples, found.exact, found.remarks) == (
        whole.key,
        whole.samples,
        whole.exact,
        whole.remarks,
    )
    assert found.nodes.keys() == whole.nodes.keys()
    for name, node in whole.nodes.items():
        other = found.nodes[name]
        assert (other.layer, other.ceiling, other.count) == (node.layer, node.ceiling, node.count)
        np.testing.assert_array_equal(other.positives, node.positives)
        np.testing.assert_array_equal(other.maximum, node.maximum)
        assert other.results.keys() == node.results.keys()
        for key, arrays in node.results.items():
            for label, array in arrays.items():
                if label in ("sum", "squares"):  # of batches of another size, which add up otherwise
                    np.testing.assert_allclose(other.results[key][label], array, rtol=1e-12)
                else:
                    np.testing.assert_array_equal(other.results[key][label], array, err_msg=f"{name} {key} {label}")
    for name, values in whole.inputs.items():
        other_values = found.inputs[name]
        assert other_values.facts == {**values.facts, "mean": pytest.approx(values.mean, rel=1e-12)}
    for name, score in whole.scores.items():
        assert vars(found.scores[name]) == {**vars(score), "value": pytest.approx(score.value, rel=1e-9)}


@pytest.mark.parametrize("starts", [[0, 30, 75], [0, 1, 99], [0]], ids=str)
def test_three_parts_are_the_whole(starts: list[int], tmp_path: Path) -> None:
    b = plain(3)
    graph, _ = sw.prepare(b.graph())
    x = b.samples(100) * np.linspace(0.1, 3, 100, dtype=np.float32).reshape(-1, *[1] * (b.samples(1).ndim - 1))
    classes = graph.shapes[next(iter(graph.of_type(Output))).name][0]
    data = ArrayDataset(x, np.arange(100) % classes)
    # bits of floats depend on the batch size of the forward pass, so both run with the same batches
    whole = calibrate(graph, data, METHODS, requests=REQUESTS, batch_size=1, input_scale="99%")
    calibration = Calibration(graph, data, METHODS, requests=REQUESTS, input_scale="99%")
    while calibration.needs_pass:
        for start, end in zip(starts, [*starts[1:], 100], strict=True):
            counts = pickle.loads(pickle.dumps(calibration.counts(start, end - start)))
            counts.add(calibration.forward(), data.subset(np.arange(start, end)), batch_size=1)
            calibration.merge(pickle.loads(pickle.dumps(counts)))
        calibration.finish_pass()
    assert_equal(calibration.statistics(), whole)


def identity(shape: tuple[int, ...]) -> Graph:
    return Graph([Input(name="x", shape=shape), ReLU(name="r", inputs=("x",)), Output(name="y", inputs=("r",))])


@pytest.mark.parametrize("spread", [1, 8])
def test_parts_of_very_different_ranges(spread: float) -> None:
    """Windows of histograms that move apart, percentiles below them, and many values close to a percentile."""
    rng = np.random.default_rng(3)
    x = rng.lognormal(0, spread, (2000, 2, 150)).astype(np.float32) * np.sign(
        rng.normal(size=(2000, 2, 150)) + 0.5
    ).astype(np.float32)
    x = np.sort(x.reshape(-1, 2), axis=0).reshape(2000, 150, 2).transpose(0, 2, 1).copy()
    data = ArrayDataset(x)
    methods = ["percentile:0.01,channels", "percentile:60,channels", "percentile:60", "percentile:0.01"]
    found = in_parts(identity((2, 150)), data, [0, 750, 850], methods, batch_size=256)
    assert_equal(found, calibrate(identity((2, 150)), data, methods, requests=REQUESTS, batch_size=512))
    flat = np.maximum(x.transpose(0, 2, 1).reshape(-1, 2), 0).astype(float)
    for percentile in (0.01, 60):
        each = [np.percentile(a[a > 0], percentile) for a in flat.T]
        np.testing.assert_array_equal(found.nodes["r"][Quantile(percentile, channels=True)], each)
        assert found.nodes["r"][Quantile(percentile)] == np.percentile(flat[flat > 0], percentile)


def test_parts_that_look_alike_and_do_not() -> None:
    same = ArrayDataset(np.ones((6, 3), np.float32))
    assert in_parts(identity((3,)), same, [0, 2], ["max"]).inputs["x"].alike
    other = ArrayDataset(np.repeat(np.float32([1, 2]), 9).reshape(6, 3))
    assert not in_parts(identity((3,)), other, [0, 3], ["max"]).inputs["x"].alike
    assert not in_parts(identity((3,)), ArrayDataset(np.ones((1, 3), np.float32)), [0], ["max"]).inputs["x"].alike


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_scores_of_parts(task: str) -> None:
    rng = np.random.default_rng(0)
    graph = Graph(
        [
            Input(name="x", shape=(3,)),
            Linear(name="l", inputs=("x",), weight=np.eye(3), bias=np.zeros(3)),
            Output(name="y", inputs=("l",)),
        ]
    )
    x = rng.normal(size=(50, 3)).astype(np.float32)
    y = x.argmax(axis=1) ^ (rng.random(50) < 0.3) if task == "classification" else x + rng.normal(size=(50, 3))
    y = np.minimum(y, 2) if task == "classification" else y
    found = in_parts(graph, ArrayDataset(x, y), [0, 3, 40], ["max"], task=task)
    whole = calibrate(graph, (x, y), "max", requests=REQUESTS, task=task)
    assert_equal(found, whole)
    assert found.scores["y"].samples == 50


def test_each_sample_is_counted_once() -> None:
    data = ArrayDataset(np.ones((6, 3), np.float32))
    calibration = Calibration(identity((3,)), data, "max")
    with pytest.raises(CalibrationError, match="calibration needs another pass"):
        calibration.statistics()
    counts = calibration.counts(0, 4)
    counts.add(calibration.forward(), data.take(4))
    calibration.merge(counts)
    with pytest.raises(
        CalibrationError, match="4 samples were counted in this pass, the data set has 6; count and merge"
    ):
        calibration.finish_pass()


@pytest.mark.parametrize("name", ["binary", "classification", "dense", "regression"])
def test_scores_of_every_task_merge(name: str) -> None:
    rng = np.random.default_rng(0)
    shape = {"binary": (), "classification": (7,), "dense": (3, 4, 4), "regression": (2,)}[name]
    answer, task = Answer("y", shape or (1,)), parse(name)
    answers = rng.normal(size=(30, 5, *answer.shape))
    labels = {
        "binary": rng.integers(0, 2, (30, 1)),
        "classification": rng.integers(0, 7, 30),
        "dense": rng.integers(0, 3, (30, 4, 4)),
        "regression": rng.normal(1000, 1, (30, 2)),
    }[name]
    whole, merged = task.running_scores(5, answer), task.running_scores(5, answer)
    whole.add(answers, labels)
    for part in (slice(20, 30), slice(0, 7), slice(7, 20)):
        some = task.running_scores(5, answer)
        some.add(answers[part], labels[part])
        merged.merge(some)
    for score, curve in whole.scores().items():
        np.testing.assert_allclose(merged.scores()[score], curve, rtol=1e-9, err_msg=score)


def test_only_what_was_asked_for_is_kept() -> None:
    found = calibrate(identity((3,)), np.ones((4, 3), np.float32), "percentile:99,channels")
    assert sorted(found.nodes["r"].results) == ["99", "99,channels", "histogram"]
