"""Threshold methods for a given T: what they find is what their equations say, of every channel, for every neuron."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import erf

import spikewright as sw
from spikewright.calibration import (
    Calibration,
    Gauss,
    LocalThresholdBalancing,
    Ltb,
    Mmse,
    Moments,
    Statistics,
    calibrate,
    threshold_method,
)
from spikewright.calibration.inputs import parse_input_scale
from spikewright.calibration.requests import parse as parse_request
from spikewright.calibration.rounding import Levels
from spikewright.conversion import Neurons, NeuronsByPopulation
from spikewright.errors import CalibrationError, ModelFileError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Conv, Flatten, Input, Linear, MaxPool, Output, ReLU
from spikewright.timesteps import Timesteps

RNG = np.random.default_rng(11)
X = np.stack([RNG.normal(0.2, 1, 6000), RNG.normal(-1, 0.5, 6000), RNG.exponential(3, 6000)], axis=1).astype(np.float32)


def relu(ceiling: float | None = None, channels: int = 3) -> Graph:
    """The data themselves, rectified."""
    return Graph(
        [
            Input(name="x", shape=(channels,)),
            ReLU(name="r", inputs=("x",), ceiling=ceiling),
            Output(name="y", inputs=("r",)),
        ]
    )


def error(values: np.ndarray, scale: float, levels: Levels) -> float:
    a = np.maximum(values.astype(float), 0)
    return float(((a - levels.rounded(a, np.asarray(scale))) ** 2).sum())


@pytest.mark.parametrize(
    ("text", "method", "written"),
    [
        ("mmse:16", Mmse(16), "mmse:16"),
        ("MMSE 16 channels", Mmse("16", channels=True), "mmse:16,channels"),
        ("mmse:channels,4..32", Mmse(Timesteps(4, 32), channels=True), "mmse:4..32,channels"),
        ("mmse=8", Mmse(np.int64(8)), "mmse:8"),
        ("mmse", Mmse(), "mmse:4..32"),
        ("gauss:4,channels", Gauss(4, channels=True), "gauss:4,channels"),
        ("gauss", Gauss("4..32"), "gauss:4..32"),
        ("ltb", Ltb(), "ltb:100"),
        ("ltb:20,size=50,seed=3", Ltb(20, 50, 3), "ltb:20,size=50,seed=3"),
    ],
)
def test_texts_read_back(text: str, method: sw.Method, written: str) -> None:
    assert threshold_method(text) == method
    assert str(method) == written
    assert threshold_method(written) == method
    assert hash(threshold_method(written)) == hash(method)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mmse:0", "timesteps must be 1 or more, not 0"),
        ("mmse:32..4", "a range of timesteps goes up, as in 4..32, not 32..4"),
        ("mmse:4..", "timesteps are a whole number or a range, as in 16 or 4..32, not '4..'"),
        ("gauss:1.5", "timesteps are a whole number or a range, as in 16 or 4..32, not '1.5'"),
        ("mmse:4,8", "mmse: timesteps is given twice"),
        ("mmse:channel", "timesteps are a whole number or a range"),
        ("mmse:8,channel", "mmse: unknown option 'channel'; it has timesteps, channels"),
        ("ltb:0", "ltb: batches must be 1 or more, not 0"),
        ("ltb:1.5", "ltb: batches must be a whole number, not 1.5"),
        ("ltb:9,size=x", "ltb: size takes a number, not 'x'"),
        ("ltb:9,seed=-1", "ltb: seed must be 0 or more, not -1"),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        threshold_method(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "neurons",
    [Neurons(), Neurons(v_init=0.0), Neurons(max_spikes=3), Neurons(max_spikes=None), Neurons(v_init=0.8)],
    ids=str,
)
@pytest.mark.parametrize("timesteps", [1, 4, 16])
def test_mmse_has_the_least_error_of_the_neurons_there_will_be(timesteps: int, neurons: Neurons) -> None:
    each, layer = Mmse(timesteps, channels=True), Mmse(timesteps)
    statistics = calibrate(relu(), X, [each, layer])
    scales, levels = statistics.scales(each, neurons)["r"], Levels.of(neurons, timesteps)
    for channel, scale in enumerate(scales):
        values = X[:, channel]
        grid = [error(values, s, levels) for s in np.linspace(0.002, 1, 300) * values.max()]
        assert scale <= values.max()
        assert error(values, scale, levels) <= min(grid) * 1.02  # a channel has 130 positive values
    whole = statistics.scales(layer, neurons)["r"]
    assert (
        error(X, float(whole), levels) <= min(error(X, s, levels) for s in np.linspace(0.1, 1, 200) * X.max()) * 1.003
    )
    if neurons == Neurons():
        np.testing.assert_array_equal(statistics.scales(each)["r"], scales)


def test_conversions_find_lambda_for_their_own_neurons() -> None:
    """Each population has its own: a cap of several spikes wants a λ that many times smaller."""
    graph = Graph(
        [
            Input(name="x", shape=(3,)),
            Linear(name="l1", inputs=("x",), weight=np.eye(3), bias=np.zeros(3)),
            ReLU(name="r1", inputs=("l1",)),
            Linear(name="l2", inputs=("r1",), weight=np.eye(3), bias=np.zeros(3)),
            ReLU(name="r2", inputs=("l2",)),
            Linear(name="l3", inputs=("r2",), weight=np.eye(3), bias=np.zeros(3)),
            Output(name="y", inputs=("l3",)),
        ]
    )
    neurons = NeuronsByPopulation(Neurons(), {"r2": Neurons(max_spikes=4)})
    made = sw.convert(graph, X, "mmse:8,channels", neurons=neurons)
    both = calibrate(sw.prepare(graph)[0], X, "mmse:8,channels")
    for name, alone in (("r1", Neurons()), ("r2", Neurons(max_spikes=4))):
        np.testing.assert_array_equal(made.scales[name], both.scales("mmse:8,channels", alone)[name])
    assert (made.scales["r2"] < 0.5 * made.scales["r1"]).all()
    assert made.calibration.method == "mmse:8,channels"
    compared = sw.compare(graph, X, 0.5 * X[:50], ["mmse:4", "gauss:4"], 4, neurons=neurons)
    assert [candidate.label for candidate in compared.candidates] == ["mmse:4", "gauss:4"]


def test_no_lambda_exceeds_a_ceiling() -> None:
    for text in ("mmse:64", "gauss:64,channels", "ltb:200"):
        assert (calibrate(relu(1.5), X, text).scales(text)["r"] <= 1.5).all()
    assert calibrate(relu(100), X, "mmse:64").scales("mmse:64")["r"] <= X.max()
    at_most = calibrate(relu(1.5), X, "mmse:1").scales("mmse:1")["r"]
    assert error(np.minimum(X, 1.5), float(at_most), Levels(1, 1)) <= error(np.minimum(X, 1.5), 1.5, Levels(1, 1))


def test_channels_that_were_rarely_active_take_the_lambda_of_the_layer() -> None:
    x = np.concatenate([X[:500, :1], np.full((500, 2), -1, np.float32)], axis=1)
    x[:9, 1] = 1e-3
    x[:20, 2] = 1e-3
    method = Mmse(8, channels=True)
    statistics = calibrate(relu(), x, [method, Mmse(8)])
    scales = statistics.scales(method)["r"]
    assert scales[1] == statistics.scales(Mmse(8))["r"] > 0.1
    assert scales[2] == pytest.approx(1e-3, rel=0.01)
    assert calibrate(relu(), -np.abs(x), method).scales(method)["r"].tolist() == [1, 1, 1]


def expected_error(scale: float, mean: float, deviation: float, levels: Levels, ceiling: float = np.inf) -> float:
    x = mean + deviation * np.linspace(-9, 9, 100_001)
    a = np.clip(x, 0, ceiling)
    return float(
        (((a - levels.rounded(a, np.asarray(scale))) ** 2) * np.exp(-(((x - mean) / deviation) ** 2) / 2)).sum()
    )


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-1.0, 0.6), (2.0, 0.5), (0.03, 0.01)])
@pytest.mark.parametrize("timesteps", [1, 2, 8, 32])
def test_gauss_minimises_the_expected_error(mean: float, deviation: float, timesteps: int) -> None:
    """And where it does, the threshold iteration of H-MT stays, with a = 0 and b = n = T."""
    x = RNG.normal(mean, deviation, (20_000, 1)).astype(np.float32)
    method = Gauss(timesteps, channels=True)
    statistics = calibrate(relu(channels=1), x, method)
    theta = float(statistics.scales(method)["r"][0])
    moments = statistics.nodes["r"][Moments(channels=True, before_relu=True)]
    mu, sigma, n = float(moments.mean[0]), float(np.sqrt(moments.variance[0])), timesteps
    levels = Levels(n, n)
    bounds = (0.7 * theta, 1.4 * theta)
    best = minimize_scalar(lambda s: expected_error(s, mu, sigma, levels), bounds=bounds, method="bounded").x
    largest = max(theta, float(x.max()))
    assert theta == pytest.approx(min(best, largest), rel=0.01)
    i = np.arange(1, n + 1)
    for _ in range(3):
        z = ((2 * i - 1) * theta / (2 * n) - mu) / (np.sqrt(2) * sigma)
        above = mu / theta * n * (n - erf(z).sum()) + sigma / theta * np.sqrt(2 / np.pi) * n * np.exp(-(z**2)).sum()
        after = theta * above / (n**2 - ((2 * i - 1) * erf(z)).sum())
        assert after == pytest.approx(theta, rel=0.005)


def test_gauss_heeds_ceilings_bursts_and_the_initial_potential() -> None:
    x = RNG.normal(1, 1, (20_000, 1)).astype(np.float32)
    for neurons, ceiling in ((Neurons(v_init=0.0), None), (Neurons(max_spikes=3), None), (Neurons(), 1.5)):
        statistics = calibrate(relu(ceiling, 1), x, "gauss:4")
        theta, levels = float(statistics.scales("gauss:4", neurons)["r"]), Levels.of(neurons, 4)
        moments = statistics.nodes["r"][Moments(before_relu=True)]
        told = float(moments.mean), float(np.sqrt(moments.variance)), levels, np.inf if ceiling is None else ceiling
        grid = np.linspace(0.2, 4 if ceiling is None else ceiling, 60)
        assert expected_error(theta, *told) <= min(expected_error(s, *told) for s in grid) * 1.002


def test_gauss_of_values_that_are_all_alike() -> None:
    alike = np.tile(np.float32([0.5, -2, 0]), (50, 1))
    scales = calibrate(relu(), alike, "gauss:4,channels").scales("gauss:4,channels")["r"]
    assert scales[0] == pytest.approx(0.5, rel=1e-3)
    assert scales[1] == scales[2]
    assert (scales <= 0.5).all()
    assert calibrate(relu(), -1 - np.abs(X), "gauss:4").scales("gauss:4")["r"] == 1


def network() -> Graph:
    rng = np.random.default_rng(2)
    return Graph(
        [
            Input(name="x", shape=(2, 5, 5)),
            Conv(
                name="c",
                inputs=("x",),
                weight=rng.normal(size=(3, 2, 2, 2)),
                bias=rng.normal(size=3),
                stride=(1, 1),
                padding=((0, 0), (0, 0)),
                dilation=(1, 1),
            ),
            ReLU(name="r1", inputs=("c",), ceiling=6.0),
            MaxPool(name="m", inputs=("r1",), kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1)),
            Flatten(name="f", inputs=("m",)),
            Linear(name="l", inputs=("f",), weight=rng.normal(size=(4, 12)), bias=rng.normal(size=4)),
            ReLU(name="r2", inputs=("l",)),
            Linear(name="o", inputs=("r2",), weight=rng.normal(size=(3, 4)), bias=np.zeros(3)),
            Output(name="y", inputs=("o",)),
        ]
    )


def learnt(graph: Graph, x: np.ndarray, batches: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Local threshold balancing in a few lines of numpy."""
    weights = {node.name: node for node in graph}
    theta = {"r1": np.zeros(3), "r2": np.zeros(4), "y": np.zeros(3)}
    rng, order = np.random.default_rng(seed), np.zeros(0, int)
    while len(order) < batches * size:
        order = np.append(order, rng.permutation(len(x)))
    for rows in order[: batches * size].reshape(batches, size):
        a = x[rows].astype(float)
        kernel = weights["c"].weight
        z = np.zeros((size, 3, 4, 4))
        for row in range(4):
            for column in range(4):
                z[:, :, row, column] = np.einsum("bcij,ocij->bo", a[:, :, row : row + 2, column : column + 2], kernel)
        a = np.clip(z + weights["c"].bias[:, None, None], 0, 6)
        theta["r1"] += 2 * np.maximum(a - theta["r1"][:, None, None], 0).mean(axis=(0, 2, 3))
        a = np.minimum(a, theta["r1"][:, None, None])
        a = a.reshape(size, 3, 2, 2, 2, 2).max(axis=(3, 5)).reshape(size, -1)
        a = np.maximum(a @ weights["l"].weight.T + weights["l"].bias, 0)
        theta["r2"] += 2 * np.maximum(a - theta["r2"], 0).mean(axis=0)
        a = np.maximum(np.minimum(a, theta["r2"]) @ weights["o"].weight.T, 0)
        theta["y"] += 2 * np.maximum(a - theta["y"], 0).mean(axis=0)
    return theta


def images(samples: int = 30) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(samples, 2, 5, 5)).astype(np.float32)


def test_ltb_learns_as_its_equations_say(tmp_path: Path) -> None:
    x, method = images(), Ltb(7, size=10, seed=5)
    progress = []
    statistics = calibrate(network(), x, method, progress=lambda done, total: progress.append((done, total)))
    expected = learnt(network(), x, 7, 10, 5)
    scales = statistics.scales(method)
    for name, theta in expected.items():
        found = statistics.nodes[name][LocalThresholdBalancing(7, 10, 5)]
        np.testing.assert_allclose(found, theta, rtol=1e-5)
        largest = theta.max()
        np.testing.assert_allclose(scales[name], np.where(theta > 0, theta, largest), rtol=1e-5)
    assert progress[-1] == (100, 100)  # 30 counted, 70 in order
    assert progress == [(30, 100), *((30 + done, 100) for done in range(10, 71, 10)), (100, 100)]
    statistics.save(tmp_path / "s.safetensors")
    again = Statistics.load(tmp_path / "s.safetensors").scales(method)
    for name, scale in scales.items():
        np.testing.assert_array_equal(again[name], scale)


def test_ltb_of_parts_is_that_of_the_whole() -> None:
    """The parts are counted apart; what depends on the order runs over all samples in one place, at the end."""
    from spikewright.data import ArrayDataset

    data = ArrayDataset(images(40))
    calibration = Calibration(network(), data, ["ltb:3,size=16", "max"])
    while calibration.needs_pass:
        for start in (0, 25):
            rows = np.arange(start, min(start + 25, 40))
            counts = calibration.counts(start, len(rows))
            counts.add(calibration.forward(), data.subset(rows))
            calibration.merge(counts)
        calibration.finish_pass()
    assert [request.key for request in calibration.in_order] == ["ltb,batches=3,size=16,seed=0"]
    whole = calibrate(network(), data, "ltb:3,size=16")
    for name, scale in whole.scales("ltb:3,size=16").items():
        np.testing.assert_array_equal(calibration.statistics().scales("ltb:3,size=16")[name], scale)


def test_ltb_cannot_be_made_of_statistics_that_do_not_hold_it() -> None:
    message = r"the statistics hold no ltb,batches=9,size=100,seed=0 \(they hold histogram\); calibrate again"
    with pytest.raises(CalibrationError, match=message):
        calibrate(network(), images(), "max").scales("ltb:9")
    with pytest.raises(SettingsError, match="input scale: give max, a percentile"):
        parse_input_scale("ltb:9")


@pytest.mark.parametrize(
    "key", ["ltb", "ltb,batches=1", "ltb,batches=-1,size=2,seed=3", "ltb,batches=01,size=2,seed=3"]
)
def test_keys_of_no_such_request(key: str) -> None:
    assert parse_request(key) is None


@pytest.mark.parametrize(
    "wrong", [np.float64([1, -1, 2]), np.float64([1, np.nan, 2]), np.float64([1, 2]), np.float32([1, 2, 3])], ids=str
)
def test_damaged_thresholds_are_refused(wrong: np.ndarray, tmp_path: Path) -> None:
    statistics = calibrate(network(), images(), "ltb:2,size=5")
    results = statistics.nodes["r1"].results
    object.__setattr__(
        statistics.nodes["r1"], "results", {**results, "ltb,batches=2,size=5,seed=0": {"thresholds": wrong}}
    )
    statistics.save(tmp_path / "s.safetensors")
    with pytest.raises(
        ModelFileError, match=r"s\.safetensors: damaged, ltb,batches=2,size=5,seed=0 of 'r1': thresholds"
    ):
        Statistics.load(tmp_path / "s.safetensors")


@pytest.mark.parametrize(
    "text", ["percentile:60,channels,zeros", "percentile:60,zeros", "percentile:0.5,channels,zeros"]
)
def test_a_lambda_of_zero_never_results(text: str) -> None:
    """Where more values are zero than are left out, a channel takes the λ of its layer, a layer its largest value."""
    x = np.zeros((100, 3), np.float32)
    x[:50, 0], x[:10, 1] = np.linspace(1, 2, 50), 5
    scales = calibrate(relu(), x, text).scales(text)["r"]
    percentile = threshold_method(text).percentile  # type: ignore[attr-defined]
    x = x.astype(float)
    layer = np.percentile(x, percentile) or 5.0
    expected = [np.percentile(x[:, channel], percentile) or layer for channel in range(3)]
    np.testing.assert_array_equal(scales, expected if "channels" in text else layer)
    assert (scales > 0).all()
