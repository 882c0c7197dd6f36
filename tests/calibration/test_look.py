"""The look before work: ranges, the score of the analog network, and what is odd, in words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.calibration import AnalogScore, InputRange, statistics_key
from spikewright.calibration.inputs import parse_input_scale
from spikewright.data import ArrayDataset
from spikewright.errors import CalibrationError, ModelFileError, SpikewrightWarning
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output, ReLU

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(400, 6)).astype(np.float32)


def network(bias: float = 0.0, second: float = 0.0) -> Graph:
    """Three classes by the largest of three pairs of sums; biases far below zero silence its layers."""
    weight = np.kron(np.eye(3), np.ones((2, 2)))
    return Graph(
        [
            Input(name="x", shape=(6,)),
            Linear(name="a", inputs=("x",), weight=weight, bias=np.full(6, bias)),
            ReLU(name="r", inputs=("a",)),
            Linear(name="b", inputs=("r",), weight=np.eye(6), bias=np.array([0, 0, 0, 0, 0, 0]) + second),
            ReLU(name="s", inputs=("b",)),
            Linear(name="c", inputs=("s",), weight=np.kron(np.eye(3), np.ones((1, 2))), bias=np.zeros(3)),
            Output(name="y", inputs=("c",)),
        ]
    )


def right_labels(x: np.ndarray = X) -> np.ndarray:
    return run(network(), x)["y"].argmax(axis=1)


def seen(x: np.ndarray, y: np.ndarray | None = None, graph: Graph | None = None) -> sw.Look:
    graph = graph or network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikewrightWarning)
        return sw.look(graph, sw.calibrate(graph, (x, y), "max"))


def test_ranges_and_the_score_are_those_of_all_samples() -> None:
    labels = right_labels()
    labels[:40] = (labels[:40] + 1) % 3
    expected = float((run(network(), X)["y"].argmax(axis=1) == labels).mean())
    for batch_size in (400, 33):
        statistics = sw.calibrate(network(), (X, labels), "max", batch_size=batch_size)
        values = statistics.inputs["x"]
        assert (values.lowest, values.highest) == (X.min(), X.max())
        assert values.mean == pytest.approx(X.mean(dtype=np.float64), abs=1e-9)
        assert not values.whole
        assert not values.alike
        score = statistics.scores["y"]
        assert score.value == pytest.approx(expected) == pytest.approx(0.9)
        assert score.chance == np.bincount(labels).max() / 400
    found = sw.look(network(), statistics)
    assert found.warnings == ()
    assert found.lines == [
        f"input: {X.min():.6g} to {X.max():.6g}, mean {X.mean(dtype=np.float64):.4g}",
        f"analog network: accuracy 90.00 % on 400 samples (the best constant answer {100 * score.chance:.2f} %)",
    ]
    assert found.summary()["analog_scores"]["y"]["value"] == score.value
    assert found.summary()["inputs"]["x"]["event_value"] == np.abs(X).max()


def test_no_second_pass_is_made_for_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikewright.forward import Forward

    labels, calls, original = right_labels(), [], Forward.__call__
    monkeypatch.setattr(Forward, "__call__", lambda self, *a: (calls.append(1), original(self, *a))[1])
    sw.calibrate(network(), (X, labels), "max", batch_size=100)
    assert len(calls) == 4


def nothing(x: np.ndarray) -> np.ndarray | None:
    return None


CASES: list[tuple[str, np.ndarray, Callable[[np.ndarray], np.ndarray | None], str]] = [
    ("zeros", X * 0, nothing, "input: every value is 0: are these the data?"),
    ("constant", X * 0 + 0.5, nothing, "input: every value is 0.5: are these the data?"),
    ("identical", X[:1].repeat(200, axis=0), nothing, "input: all 200 samples are the same"),
    ("one", X[:1], nothing, "calibrated on 1 sample only: thresholds follow these few; a thousand are usual"),
    ("few", X[:30], nothing, "calibrated on 30 samples only: thresholds follow these few; a thousand are usual"),
    (
        "raw pixels",
        RANDOM.integers(0, 256, X.shape).astype(np.float32),
        nothing,
        "input: whole numbers from 0 to 255; networks are usually trained on scaled values: is it "
        "--preprocess scale=1/255 that is missing?",
    ),
    ("one class", X, lambda x: np.full(len(x), 1), "every label is 1: a network that always answers so looks perfect"),
    (
        "labels of others",
        X,
        lambda x: np.full(len(x), 9),
        "the labels are not used: label 9 does not exist: the network has 3 classes, 0 to 2",
    ),
]


@pytest.mark.parametrize(("x", "labels", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_odd_about_data(x: np.ndarray, labels: Callable[[np.ndarray], Any], expected: str) -> None:
    assert expected in seen(x, labels(x)).warnings


def test_whole_numbers_are_no_matter_where_the_network_is_good_on_them() -> None:
    pixels = RANDOM.integers(0, 256, X.shape).astype(np.float32)
    assert seen(pixels, right_labels(pixels)).warnings == ()
    deep = RANDOM.integers(0, 60000, X.shape).astype(np.float32)
    assert "scale=1/65535" in seen(deep).warnings[0]
    for fine in (pixels / 255, np.minimum(pixels, 16), pixels - 128):  # scaled, few values, both signs
        assert seen(fine).warnings == ()


def test_a_score_near_chance_is_said_with_both_numbers() -> None:
    labels = RANDOM.integers(0, 3, 400)
    found = seen(X, labels)
    score = found.scores["y"]
    assert found.warnings == (
        f"analog network near chance, accuracy {100 * (score.value or 0):.2f} % on 400 samples "
        f"(the best constant answer {100 * (score.chance or 0):.2f} %): "
        "are data, preprocessing and weights the right ones?",
    )


@pytest.mark.parametrize(
    ("name", "value", "chance", "samples", "near"),
    [
        ("accuracy", 0.58, 0.10, 1000, False),  # preprocessing forgotten: not near chance, and printed
        ("accuracy", 0.10, 0.10, 1000, True),
        ("accuracy", 0.18, 0.10, 1000, True),  # less than a tenth of the way
        ("accuracy", 0.20, 0.10, 1000, False),
        ("accuracy", 0.70, 0.50, 1000, False),
        ("accuracy", 0.70, 0.50, 21, True),  # within two standard errors
        ("accuracy", 0.70, 0.50, 10, False),  # too few to say
        ("accuracy", 1.0, 1.0, 50, False),  # labels of one class have a warning of their own
        ("mse", 0.95, 1.0, 1000, True),
        ("mse", 0.50, 1.0, 1000, False),
        ("mse", None, 1.0, 1000, False),
    ],
)
def test_what_near_chance_is(name: str, value: float | None, chance: float, samples: int, near: bool) -> None:
    assert AnalogScore("task", name, value, chance, samples).near_chance is near


def test_layers_that_never_fire_are_named() -> None:
    found = seen(X, graph=network(bias=-100))
    assert found.warnings == ("2 layers are never active and will never fire: r, s",)
    assert seen(X, graph=network(second=-100)).warnings == ("a layer is never active and will never fire: s",)
    weight = np.eye(6, dtype=np.float32)
    weight[1:5] = 0
    nodes = [Input(name="x", shape=(6,)), Linear(name="a", inputs=("x",), weight=weight, bias=np.zeros(6))]
    dead = Graph([*nodes, ReLU(name="r", inputs=("a",)), Output(name="y", inputs=("r",))])
    assert seen(X, graph=dead).warnings == ("more than half of the channels are never active in r (4 of 6)",)
    chain: list[Any] = [Input(name="x", shape=(6,))]
    for k in range(8):
        chain.append(Linear(name=f"l{k}", inputs=(chain[-1].name,), weight=np.zeros((6, 6)), bias=np.zeros(6)))
        chain.append(ReLU(name=f"r{k}", inputs=(chain[-1].name,)))
    zero = Graph([*chain, Output(name="y", inputs=("r7",))])
    assert seen(X, graph=zero).warnings == ("8 layers are never active and will never fire: r0, r1, r2 and 5 more",)


def test_weights_that_were_never_loaded() -> None:
    graph = network()
    constructed = graph.with_nodes(graph, initialised="as constructed")
    said = ("no weights were given: the network has those that its code gave it (--weights FILE loads trained ones)",)
    assert seen(X, graph=constructed).warnings == said
    assert seen(X, right_labels(), graph=constructed).warnings == ()  # it is good, so its code loads them


def test_python_is_warned_too() -> None:
    with pytest.warns(SpikewrightWarning, match="every value is 0") as said:
        sw.calibrate(network(), X * 0, "max")
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sw.calibrate(network(), (X, right_labels()), "percentile:99.9")


def test_all_of_it_is_saved_and_checked(tmp_path: Path) -> None:
    statistics = sw.calibrate(network(), (X, right_labels()), "max", input_scale="99%")
    statistics.save(tmp_path / "s.safetensors")
    found = sw.Statistics.load(tmp_path / "s.safetensors", expect_key=statistics_key(network(), X))
    assert (found.inputs, found.scores, found.input_scale) == (statistics.inputs, statistics.scores, "percentile:99")
    assert found.event_values() == statistics.event_values()
    assert replace(found, input_scale="max").event_values() == {"x": np.abs(X).max()}
    with pytest.raises(CalibrationError, match=r"no percentile 50 of the input \(they hold 99\); calibrate again"):
        replace(found, input_scale="percentile:50").event_values()
    zeros = sw.calibrate(network(), X * 0, "max", input_scale="99%")
    zeros.save(tmp_path / "z.safetensors")
    assert sw.Statistics.load(tmp_path / "z.safetensors").event_values() == {"x": 1.0}
    facts = statistics.inputs["x"].facts
    for wrong in ({"lowest": "0"}, {"highest": -99.0}, {"quantiles": {"many": 1.0}}, {"quantiles": {"99": -1.0}}):
        with pytest.raises(ValueError, match="the range of an input cannot be"):
            InputRange.of_facts({**facts, **wrong})
    odd = replace(statistics, input_scale="loud")
    odd.save(tmp_path / "odd.safetensors")
    with pytest.raises(ModelFileError, match=r"odd\.safetensors: damaged"):
        sw.Statistics.load(tmp_path / "odd.safetensors")


def test_input_scales_read_back() -> None:
    for text in ("max", "percentile:99.9", "scale:0.5"):
        assert str(parse_input_scale(text)) == text
    assert parse_input_scale("255") == parse_input_scale(255) == parse_input_scale(np.float32(255)) == 255.0


def spiking(threshold: float = 1.0, event_value: float | None = None) -> Graph:
    return Graph(
        [
            Input(name="x", shape=(6,), event_value=event_value),
            Linear(name="a", inputs=("x",), weight=np.eye(6), bias=np.zeros(6)),
            IF(name="n", inputs=("a",), threshold=threshold, v_init=0.0),
            Output(name="y", inputs=("n",)),
        ]
    )


@pytest.mark.parametrize(
    ("x", "graph", "expected"),
    [
        (X, spiking(), ()),
        (
            np.abs(X) * 255,
            spiking(event_value=1.0),
            (
                f"inputs reach {np.abs(X).max() * 255:.6g}, calibration saw up to 1: "
                "are they preprocessed as they were then?",
            ),
        ),
        (
            np.abs(X),
            spiking(event_value=255.0),
            (
                f"inputs reach only {np.abs(X).max():.6g}, calibration saw up to 255: "
                "are they preprocessed as they were then?",
            ),
        ),
        (
            X,
            spiking(threshold=1e6),
            (
                "a population never fired in 400 samples over 8 timesteps: n",
                "the answer is the same for all 400 samples",
            ),
        ),
        (X * 0 + 1, spiking(), ("inputs are 1 everywhere: are these the data?",)),
        (X[3:4].repeat(9, axis=0), spiking(), ("inputs are the same in all 9 samples",)),
    ],
)
def test_what_is_odd_about_a_run(x: np.ndarray, graph: Graph, expected: tuple[str, ...]) -> None:
    for batch_size in (400, 3):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run = sw.simulate(graph, x.astype(np.float32), 8, batch_size=batch_size)
        assert run.warnings == tuple(str(one.message) for one in said) == expected
        assert sw.simulate(graph, x.astype(np.float32), 8, quiet=True).warnings == expected


def test_measures_say_that_the_analog_network_knows_nothing() -> None:
    graph = network()
    scales = sw.calibrate(graph, X, "max").scales("max")
    spikes = sw.convert(graph, scales)
    labels = np.random.default_rng(0).integers(0, 3, 400)
    with pytest.warns(SpikewrightWarning, match="analog network near chance"):
        measures = sw.measure(spikes, (X, labels), 4)
    assert "analog network near chance, accuracy" in measures.warnings[0]
    assert measures.summary()["warnings"] == list(measures.warnings)
    assert sw.measure(spikes, (X, right_labels()), 4).warnings == ()


def test_data_sets_say_their_labels() -> None:
    data = ArrayDataset(X, right_labels())
    assert sw.calibrate(network(), data.take(150), "max").scores["y"].samples == 150
