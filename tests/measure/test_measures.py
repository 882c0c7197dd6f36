"""Measures against facts, and against counting by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, plain, residual
from spikewright.errors import DataError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.measures import Energy, SynOps, accuracy, agreement, operations, synops
from spikewright.nodes import IF, AvgPool, Conv, Flatten, Input, Linear, Output
from spikewright.nodes._window import output_length, window_counts


def test_accuracy_counts_ties_for_the_first() -> None:
    outputs = np.array([[[0.0, 1, 1]], [[2, 2, 2]]])
    assert accuracy(outputs, np.array([1, 0])) == 1
    assert accuracy(outputs, np.array([2, 1])) == 0
    assert accuracy(outputs, np.array([2, 1]), k=2) == 1
    with pytest.raises(DataError, match="top-4 of 3 classes"):
        accuracy(outputs, np.array([0, 0]), k=4)


def test_agreement_is_accuracy_against_the_analog_answer() -> None:
    outputs = np.array([[[1.0, 0], [0, 1]], [[0, 1], [0, 1]]])
    np.testing.assert_array_equal(agreement(outputs, np.array([[0, 1.0], [0, 1]])), [0.5, 1])


@pytest.mark.parametrize(
    ("n", "kernel", "stride", "outputs", "pairs", "unused"),
    [(5, 3, 2, 2, 6, []), (4, 2, 1, 3, 6, []), (6, 2, 3, 2, 4, [2, 5]), (5, 2, 2, 2, 4, [4])],
)
def test_facts_of_pooling_connections(
    n: int, kernel: int, stride: int, outputs: int, pairs: int, unused: list[int]
) -> None:
    reached, held = window_counts(n, kernel, stride, (0, 0))
    assert len(held) == outputs
    assert reached.sum() == held.sum() == pairs
    assert np.flatnonzero(reached == 0).tolist() == unused


def test_facts_of_same_padding() -> None:
    reached, _ = window_counts(4, 3, 2, (0, 1))  # TensorFlow: windows start at 0 and 2
    assert np.outer(reached, reached).sum() == 25
    assert window_counts(4, 3, 2, (1, 1))[1].tolist() == [2, 3]  # PyTorch: at −1 and 1
    assert output_length(5, 3, 1, (0, 0), dilation=2) == 1


def synops_net(stride: int, padding: tuple[int, int]) -> Graph:
    """The net of the facts: 4x4x1, two 3x3 filters, three outputs."""
    conv = Conv(
        name="conv",
        inputs=("x",),
        weight=np.ones((2, 1, 3, 3)),
        bias=np.zeros(2),
        stride=(stride, stride),
        padding=(padding, padding),
        dilation=(1, 1),
    )
    size = int(np.prod(Graph([Input(name="x", shape=(1, 4, 4)), conv]).shapes["conv"]))
    return Graph(
        [
            Input(name="x", shape=(1, 4, 4)),
            conv,
            IF(name="n", inputs=("conv",), threshold=np.ones(()), v_init=np.zeros(())),
            Flatten(name="flat", inputs=("n",)),
            Linear(name="dense", inputs=("flat",), weight=np.ones((3, size)), bias=np.zeros(3)),
            Output(name="y", inputs=("dense",)),
        ]
    )


@pytest.mark.parametrize(
    ("stride", "padding", "conv", "dense"), [(1, (1, 1), 200, 96), (2, (0, 1), 50, 24), (1, (0, 0), 72, 24)]
)
def test_facts_of_synops(stride: int, padding: tuple[int, int], conv: int, dense: int) -> None:
    graph = synops_net(stride, padding)
    counts = {name: np.ones(graph.shapes[name]) for name in ("x", "n")}
    assert synops(graph, counts) == {"conv": SynOps(conv, 0, 0), "dense": SynOps(dense, 0, 0)}
    assert synops(graph, {"n": counts["n"]})["conv"] == SynOps(0, 0, conv)


@pytest.mark.parametrize(("padding", "expected"), [(1, (32, 48, 72)), (0, (8, 24, 72))])
def test_facts_of_a_single_spike(padding: int, expected: tuple[int, int, int]) -> None:
    b = Builder(0, (1, 8, 8))
    b.conv(8, padding=((padding, padding),) * 2)
    graph = b.graph()
    for (row, column), count in zip(((0, 0), (0, 4), (4, 4)), expected, strict=True):
        spike = np.zeros((1, 8, 8))
        spike[0, row, column] = 1
        assert synops(graph, {"input": spike})["conv1"].spikes == count


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups", "dilation", "ratio"),
    [
        (3, 1, 0, 1, 1, 0.7656),
        (3, 1, 1, 1, 1, 0.9184),
        (3, 2, 1, 1, 1, 0.9184),
        (3, 2, 0, 1, 1, 0.7656),
        (5, 1, 0, 1, 1, 0.5625),
        (5, 1, 2, 1, 1, 0.8556),
        (2, 2, 0, 1, 1, 1.0),
        (2, 4, 0, 1, 1, 1.0),
        (3, 1, 1, 2, 1, 0.4592),
        (3, 1, 2, 1, 2, 0.8403),
    ],
)
def test_facts_of_exact_over_rough(
    kernel: int, stride: int, padding: int, groups: int, dilation: int, ratio: float
) -> None:
    b = Builder(0, (2, 16, 16))
    b.conv(8, kernel, stride, ((padding, padding),) * 2, groups, dilation)
    exact = synops(b.graph(), {"input": np.ones((2, 16, 16))})["conv1"].spikes
    rough = 2 * 16 * 16 * 8 * kernel**2 / stride**2
    assert exact / rough == pytest.approx(ratio, abs=6e-5)


def test_connections_through_a_pool_against_brute_force() -> None:
    """A spike is one event at each pool cell that holds it, and each event travels that cell's connections."""
    b = Builder(0, (2, 7, 6))
    graph = Graph(
        [
            *b.nodes,
            AvgPool(name="pool", inputs=("input",), kernel=(3, 2), stride=(2, 1), padding=((1, 0), (0, 1))),
            Conv(
                name="conv",
                inputs=("pool",),
                weight=np.ones((4, 1, 2, 3)),
                bias=np.zeros(4),
                stride=(1, 2),
                padding=((0, 1), (1, 1)),
                dilation=(2, 1),
                groups=2,
            ),
            Output(name="y", inputs=("conv",)),
        ]
    )
    counts = np.random.default_rng(0).integers(0, 5, (2, 7, 6)).astype(float)
    _, rows, columns = graph.shapes["pool"]
    cells = np.zeros((2, rows, columns))
    for c, i, j, p, q in product(range(2), range(rows), range(columns), range(3), range(2)):
        r, s = 2 * i + p - 1, j + q
        if 0 <= r < 7 and 0 <= s < 6:
            cells[c, i, j] += counts[c, r, s]
    _, out_rows, out_columns = graph.shapes["conv"]
    total = 0.0
    for i, j, p, q in product(range(out_rows), range(out_columns), range(2), range(3)):
        r, s = i + 2 * p, 2 * j + q - 1
        if 0 <= r < rows and 0 <= s < columns:
            total += 2 * cells[:, r, s].sum()
    assert synops(graph, {"input": counts})["conv"].spikes == total


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups", "dilation"),
    [
        (3, 2, ((1, 0), (0, -1)), 1, 1),
        (2, 1, ((0, 0), (1, 1)), 2, 2),
        (1, 3, ((0, 0), (0, 0)), 4, 1),
    ],
)
def test_connections_of_a_transposed_convolution_against_brute_force(
    kernel: int, stride: int, padding: tuple[tuple[int, int], ...], groups: int, dilation: int
) -> None:
    b = Builder(0, (4, 3, 4))
    name = b.conv_transpose(4, kernel, stride, padding, groups, dilation)
    graph = b.graph()
    _, rows, columns = graph.shapes[name]
    leaving, arriving = np.zeros((4, 3, 4)), np.zeros((4, rows, columns))
    for c, i, j, k, p, q in product(range(4), range(3), range(4), range(4), range(kernel), range(kernel)):
        r, s = i * stride + p * dilation - padding[0][0], j * stride + q * dilation - padding[1][0]
        if 0 <= r < rows and 0 <= s < columns and c * groups // 4 == k * groups // 4:
            leaving[c, i, j] += 1
            arriving[k, r, s] += 1
    node = graph[name]
    np.testing.assert_array_equal(node.fan_out((4, 3, 4))[0], leaving)
    np.testing.assert_array_equal(node.events(np.ones((4, 3, 4))), arriving)
    assert node.macs((4, 3, 4)) == leaving.sum()


def test_connections_of_an_adaptive_pool_against_brute_force() -> None:
    b = Builder(0, (2, 7, 5))
    name = b.adaptive_pool(3, 4)
    node = b.graph()[name]
    counts = np.random.default_rng(1).integers(0, 5, (2, 7, 5)).astype(float)
    leaving, arriving = np.zeros((2, 7, 5)), np.zeros((2, 3, 4))
    for c, i, j in product(range(2), range(3), range(4)):
        rows, columns = slice(i * 7 // 3, -(-(i + 1) * 7 // 3)), slice(j * 5 // 4, -(-(j + 1) * 5 // 4))
        leaving[c, rows, columns] += 1
        arriving[c, i, j] = counts[c, rows, columns].sum()
    np.testing.assert_array_equal(node.fan_out((2, 7, 5))[0], leaving)
    np.testing.assert_array_equal(node.events(counts), arriving)


def converted(b: Builder, x: np.ndarray) -> sw.Conversion:
    folded, _ = sw.prepare(b.graph())
    method = sw.threshold_method("max")
    return sw.convert(b.graph(), sw.calibrate(folded, x, [method]).scales(method))


def test_everything_at_once() -> None:
    b = residual(2)
    x, labels = b.samples(20), b.random.integers(0, 3, 20)
    graph = converted(b, x)
    m = sw.measure(graph, (x, labels), 32, batch_size=6)
    answers = run(b.graph(), x)["output"].argmax(1)
    assert m.analog_accuracy == (answers == labels).mean()
    spikes = sw.simulate(graph, x, 32, record=("spikes",))
    np.testing.assert_array_equal(m.accuracy, accuracy(spikes.output, labels))
    np.testing.assert_array_equal(m.agreement, accuracy(spikes.output, answers))
    analog = run(graph.normalised, x, keep=tuple(m.layers))
    for name, layer in m.layers.items():
        rates = spikes.spikes[name].mean(axis=1)
        assert layer.firing.mean == pytest.approx(rates.mean())
        assert layer.firing.silent == (rates.sum(axis=0) == 0).mean()
        expected = np.corrcoef(rates.ravel(), analog[name].ravel())[0, 1]
        assert layer.correlation.pearson == pytest.approx(expected, abs=1e-6)
        assert layer.correlation.rms == pytest.approx(np.sqrt(((rates - analog[name]) ** 2).mean()), rel=1e-4)
    counts = {name: train.sum(axis=(0, 1)) / 20 for name, train in spikes.spikes.items()}
    assert {k: pytest.approx(v.spikes) for k, v in synops(graph.spiking, counts).items()} == {
        k: v.spikes for k, v in m.synops.items()
    }
    assert m.summary()["synops_per_sample"] == pytest.approx(m.total_synops)


def test_effective_operations_against_brute_force() -> None:
    b = plain(1)
    x = b.samples(4)
    x[:, :, ::2] = 0
    graph = converted(b, x).spiking
    conv = graph["conv1"]
    weight = np.array(conv.arrays["weight"])
    weight[np.abs(weight) < 0.1] = 0
    graph = graph.replaced(conv.replace(weight=weight))
    found = operations(graph, sw.simulate(graph, x, 8, record=("nonzero",)))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    count = 0
    for i, j in product(range(8), range(8)):
        window = padded[:, None, :, i : i + 3, j : j + 3]
        count += int(((window != 0) & (weight != 0)).sum())
    assert found["conv1"].macs == pytest.approx(8 * count / 4)
    assert found["conv1"].acs == 0
    assert found["conv1"].connection_sparsity == (weight == 0).mean()
    assert found["conv1"].activation_sparsity == pytest.approx((x == 0).mean())
    assert found["conv1"].dense == 8 * graph.macs("conv1")


def test_energy_with_its_constants() -> None:
    layers = {"a": SynOps(1000.0, 0, 0), "b": SynOps(0.0, 0, 10)}
    assert Energy().spiking(layers, 8) == pytest.approx((1000 * 0.9 + 80 * 4.6) / 1000)
    assert Energy(mac=1, ac=2).spiking(layers, 1) == pytest.approx(2.01)


def test_labels_that_are_no_classes() -> None:
    b = plain(1)
    x = b.samples(4)
    graph = converted(b, x)
    with pytest.raises(DataError, match="label 9 does not exist: the network has 4 classes, 0 to 3"):
        sw.measure(graph, (x, np.array([0, 9, 1, 2])), 2)
