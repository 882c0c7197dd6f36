"""The quantised network, what is lost by what, and the sentences about it."""

import numpy as np
import pytest
import torch

import spikewright as sw
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.measures.advice import Had, advice
from spikewright.measures.error_split import OWN
from spikewright.measures.loss import Loss, looked_at, losses, reasons
from spikewright.measures.quantised import quantised_graph
from spikewright.nodes import Input, Linear, Output, ReLU

SAMPLES = 60


@pytest.fixture(scope="module")
def trained() -> tuple[Graph, np.ndarray, np.ndarray]:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(8, 30), torch.nn.ReLU(), torch.nn.Linear(30, 20), torch.nn.ReLU(), torch.nn.Linear(20, 4)]
    graph = sw.load(torch.nn.Sequential(*layers).eval(), shape=(8,))
    x = np.random.default_rng(0).normal(size=(2 * SAMPLES, 8)).astype(np.float32)
    return graph, x, run(graph, x)["output"].argmax(axis=1)


def test_amounts_keep_their_sign() -> None:
    loss = Loss("output", 8, "accuracy", 0.0041, {}, None, {})
    assert [loss.amount(value, 2) for value in (-0.0007, 0.0007, -0.00001, 0.0, -0.0123)] == [
        "−0.07", "0.07", "0.00", "0.00", "−1.23",
    ]  # fmt: skip
    assert [loss.amount(value) for value in (-0.0007, -0.0004, 0.0004)] == ["−0.1", "0.0", "0.0"]


def chain(ceiling: float | None = None, levels: int | None = None) -> Graph:
    one, zero = np.ones((1, 1), np.float32), np.zeros(1)
    return Graph(
        [
            Input(name="x", shape=(1,)),
            Linear(name="in", inputs=("x",), weight=one, bias=zero),
            ReLU(name="a", inputs=("in",), ceiling=ceiling, levels=levels),
            Linear(name="out", inputs=("a",), weight=one, bias=zero),
            Output(name="y", inputs=("out",)),
        ]
    )


def test_the_quantised_network_has_the_levels_that_steps_count() -> None:
    x = np.array([[-1.0], [0.1], [0.3], [0.6], [1.0], [3.0]], np.float32)
    made = sw.convert(chain(), {"a": np.asarray(2.0)})
    # four levels above zero of 0.5 each, rounded to the nearest, clipped at 2
    assert run(quantised_graph(made, 4), x)["y"].ravel().tolist() == [0, 0, 0.5, 0.5, 1.0, 2.0]
    assert run(quantised_graph(made, None), x)["y"].ravel().tolist() == pytest.approx([0, 0.1, 0.3, 0.6, 1.0, 2.0])
    bursts = sw.convert(chain(), {"a": np.asarray(2.0)}, neurons="spikes=2")
    assert run(quantised_graph(bursts, 4), x)["y"].ravel().tolist() == [0, 0, 0.5, 0.5, 1.0, 3.0]
    free = sw.convert(chain(), {"a": np.asarray(0.5)}, neurons="spikes=multi")
    assert run(quantised_graph(free, 2), x)["y"].ravel().tolist() == [0, 0, 0.25, 0.5, 1.0, 3.0]


def test_constant_currents_count_exactly_its_levels() -> None:
    """A first layer has neither unevenness nor transients: its counts are the quantised network's activations."""
    x = np.linspace(-0.5, 2.5, 97, dtype=np.float32)[:, None]
    made = sw.convert(chain(), {"a": np.asarray(1.5)})
    for timesteps in (1, 3, 8):
        outputs = sw.simulate(made, x, timesteps).output[:, -1]
        np.testing.assert_allclose(outputs, run(quantised_graph(made, timesteps), x)["y"], atol=1e-6)


def test_trained_levels_stay_what_they_are() -> None:
    x = np.linspace(-0.5, 2.5, 41, dtype=np.float32)[:, None]
    graph = chain(ceiling=1.0, levels=4)
    made = sw.convert(graph, {"a": np.asarray(0.3)})
    for network in (quantised_graph(made, 4), quantised_graph(made, None)):
        np.testing.assert_allclose(run(network, x)["y"], run(graph, x)["y"], atol=1e-6)


def test_what_is_lost_sums_up(trained: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    graph, x, labels = trained
    made = sw.convert(graph, x[:SAMPLES], "scale:0.4")
    measures = sw.measure(made, (x[SAMPLES:], labels[SAMPLES:]), 16)
    head = measures.head
    assert head.quantised is not None
    assert head.steps == head.quantised.steps == (4, 8, 16)
    found = losses(measures)
    assert [loss.timesteps for loss in found] == [4, 8, 16]
    for loss in found:
        assert tuple(loss.parts) == OWN
        assert sum(loss.parts.values()) == pytest.approx(loss.total)
        assert loss.total == pytest.approx(1 - head.scores["accuracy"][loss.timesteps - 1])  # labels are its answers
        rounded = run(quantised_graph(made, loss.timesteps), x[SAMPLES:])["output"].argmax(axis=1)
        clipped = run(quantised_graph(made, None), x[SAMPLES:])["output"].argmax(axis=1)
        right = [(one == labels[SAMPLES:]).mean() for one in (clipped, rounded)]
        assert loss.parts["clipping"] == pytest.approx(1 - right[0])
        assert loss.parts["rounding"] == pytest.approx(right[0] - right[1])
    sentence = str(found[0])
    assert f"at T = 4, {100 * found[0].total:.1f} points of accuracy are lost (95 % interval " in sentence
    assert sentence.endswith(f"What helps: {advice(found[0].worst, 4, Had.of(made))}")
    assert reasons(measures)[-1] == str(found[-1])
    assert "quantised" in measures.summary()["heads"]["output"]
    assert set(measures.summary()["errors"]["timesteps"]) == {"4", "8", "16"}


def test_without_labels_the_loss_is_of_agreement(trained: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    graph, x, _ = trained
    measures = sw.measure(sw.convert(graph, x[:SAMPLES], "max"), x[SAMPLES:], 8)
    loss = losses(measures)[-1]
    assert loss.total == pytest.approx(1 - measures.head.agreement["accuracy"][-1])
    assert loss.interval is not None
    assert loss.total in loss.interval


def test_numbers_to_be_met_lose_too(trained: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    graph, x, _ = trained
    answers = run(graph, x)["output"]
    measures = sw.measure(sw.convert(graph, x[:SAMPLES], "max"), (x[SAMPLES:], answers[SAMPLES:]), 4)
    loss = losses(measures)[-1]
    assert loss.score == "mse"
    assert loss.total == pytest.approx(measures.head.scores["mse"][-1])
    assert "more mean squared error than the trained network (95 % interval" in str(loss)


def test_nobody_asked_why(trained: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    graph, x, labels = trained
    measures = sw.measure(sw.convert(graph, x[:SAMPLES], "max"), (x[SAMPLES:], labels[SAMPLES:]), 4, explain=False)
    assert measures.errors is measures.head.quantised is None
    assert reasons(measures) == losses(measures) == []
    assert measures.head.interval(4) is not None


def test_the_quantised_network_takes_no_more_samples_than_it_needs() -> None:
    """What it loses is found on a draw, against the trained network there: near what it loses on all samples."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(8, 30), torch.nn.ReLU(), torch.nn.Linear(30, 20), torch.nn.ReLU(), torch.nn.Linear(20, 4)]
    graph = sw.load(torch.nn.Sequential(*layers).eval(), shape=(8,))
    random = np.random.default_rng(1)
    x = random.normal(size=(4100, 8)).astype(np.float32)
    labels = run(graph, x)["output"].argmax(axis=1)
    labels[::5] = random.integers(0, 4, len(labels[::5]))  # a network that is not always right
    made = sw.convert(graph, x[:100], "scale:0.6")
    test = (x[100:], labels[100:])
    measures = sw.measure(made, test, 32)
    found = measures.head.quantised
    assert found is not None
    assert found.of == 4000
    assert set(found.samples) <= {1000, 2000, 4000}
    assert found.samples[-1] == 1000  # next to nothing changes
    for t, score in zip(found.steps, found.scores["accuracy"], strict=True):
        whole = (run(quantised_graph(made, t), test[0])["output"].argmax(axis=1) == test[1]).mean()
        assert score == pytest.approx(whole, abs=0.03)
        assert measures.head.interval(t) is not None
    again = sw.measure(made, test, 32).head.quantised
    assert again is not None
    np.testing.assert_array_equal(again.scores["accuracy"], found.scores["accuracy"])
    said = looked_at([measures])
    assert said.startswith("reasons are found on samples drawn from these 4,000: clipping and rounding on 1,000")
    assert said.endswith("the errors of populations on 32")


def test_networks_of_windows_are_the_quantised_network_to_the_digit() -> None:
    torch.manual_seed(0)
    graph = sw.load(torch.nn.Sequential(torch.nn.Linear(8, 30), torch.nn.ReLU(), torch.nn.Linear(30, 4)), shape=(8,))
    x = np.random.default_rng(0).random((700, 8), np.float32)
    labels = run(graph, x)["output"].argmax(axis=1)
    measures = sw.measure(sw.convert(graph, x[:100], "max", neurons="layered"), (x[100:], labels[100:]), 8)
    found = measures.head.quantised
    assert found is not None
    assert found.samples == (600, 600)
    np.testing.assert_allclose(measures.head.scores["accuracy"][[3, 7]], found.scores["accuracy"], atol=1e-12)
    assert looked_at([measures]) == "reasons are found on all 600 samples, but for the errors of populations, on 32"


def test_few_samples_are_all_looked_at(trained: tuple[Graph, np.ndarray, np.ndarray]) -> None:
    graph, x, labels = trained
    made = sw.convert(graph, x[:SAMPLES], "max")
    assert looked_at([sw.measure(made, (x[60:80], labels[60:80]), 4)]) == "reasons are found on all 20 samples"
    assert looked_at([sw.measure(made, (x[60:80], labels[60:80]), 4, explain=False)]) == ""
