"""Percentiles equal numpy's over the whole set, whatever the data, the batches and the passes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import spikewright as sw
from networks import plain
from spikewright.calibration import Max, Percentile, Scale, Statistics, calibrate, statistics_key, threshold_method
from spikewright.errors import CalibrationError, DataError, ModelFileError, SettingsError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import Input, Linear, Output, ReLU

TOOLBOX_X = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 1], [0, 0]], np.float32)


def relu(shape: tuple[int, ...] = (3,), ceiling: float | None = None) -> Graph:
    """The data themselves, rectified."""
    return Graph(
        [
            Input(name="x", shape=shape),
            ReLU(name="r", inputs=("x",), ceiling=ceiling),
            Output(name="y", inputs=("r",)),
        ]
    )


def toolbox_mlp() -> Graph:
    return Graph(
        [
            Input(name="x", shape=(2,)),
            Linear(name="l1", inputs=("x",), weight=np.array([[2.0, 1], [-1, 3]]), bias=np.array([0.5, -0.5])),
            ReLU(name="r1", inputs=("l1",)),
            Linear(name="l2", inputs=("r1",), weight=np.array([[1, 0.25], [0.5, -1]]), bias=np.array([0, 0.2])),
            ReLU(name="r2", inputs=("l2",)),
            Output(name="y", inputs=("r2",)),
        ]
    )


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Percentile(100), [3.5, 3.875]),
        (Percentile(99.9), [3.493, 3.864]),
        (Percentile(50), [1.75, 1.45]),
        (Percentile(50, zeros=True), [1.5, 1.075]),
        (Max(), [3.5, 3.875]),
    ],
    ids=str,
)
def test_facts_of_snn_toolbox(method: Percentile, expected: list[float]) -> None:
    scales = calibrate(toolbox_mlp(), TOOLBOX_X, [method]).scales(method)
    np.testing.assert_allclose([scales["r1"], scales["r2"]], expected, atol=5e-4)


FLOATS = st.one_of(
    st.floats(-2, 2, width=32),
    st.sampled_from([0.0, -0.0, 1.0, 1.0, 0.5, 1e-45, 1e-38, 3e38, 65504.0]),
)


@settings(max_examples=80, deadline=None)
@given(
    x=arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=FLOATS),
    percentile=st.sampled_from([0.01, 1, 25, 50, 60, 90, 99.9, 100]),
    batch=st.integers(1, 17),
    zeros=st.booleans(),
)
def test_percentiles_are_numpys(x: np.ndarray, percentile: float, batch: int, zeros: bool) -> None:
    layer, channels = (Percentile(percentile, channels=c, zeros=zeros) for c in (False, True))
    statistics = calibrate(relu(), x, [layer, channels], batch_size=batch)
    node = statistics.nodes["r"]

    def expected(values: np.ndarray) -> float:
        rectified = np.maximum(values, 0).astype(np.float64).ravel()
        chosen = rectified if zeros else rectified[rectified > 0]
        if not (rectified > 0).any():
            return np.nan
        return float(np.percentile(chosen, percentile))

    np.testing.assert_equal(float(node[layer.requests(0)[0]]), expected(x))
    request = next(r for r in channels.requests(0) if r.channels)
    np.testing.assert_equal(node[request], [expected(x[:, c]) for c in range(3)])
    assert node.positives.sum() == (x > 0).sum() == node.histogram.sum()
    scales = statistics.scales(channels)["r"]
    assert (np.isfinite(scales) & (scales > 0)).all()


@settings(max_examples=30, deadline=None)
@given(
    x=arrays(np.float32, st.tuples(st.integers(5, 60), st.just(3)), elements=st.floats(2**-10, 100, width=32)),
    percentile=st.sampled_from([1, 50, 99.9]),
)
def test_one_pass_is_within_its_bound(x: np.ndarray, percentile: float) -> None:
    method = Percentile(percentile)
    statistics = calibrate(relu(), x, [method], one_pass=True)
    exact = np.percentile(x.astype(float), percentile)
    assert abs(statistics.scales(method)["r"] - exact) <= statistics.relative_error * exact
    assert statistics.relative_error == 2**-7
    assert calibrate(relu(), x, [method]).relative_error == 0


def test_deep_layers_of_a_real_network() -> None:
    b = plain(3)
    x = b.samples(100)
    folded, _ = sw.prepare(b.graph())
    layer, channels = Percentile(99), Percentile(99, channels=True)
    statistics = calibrate(folded, x, [layer, channels], batch_size=13)
    names = [r.name for r in folded.of_type(ReLU)]
    values = run(folded, x, keep=names)
    for name in names:
        a = values[name].astype(float)
        np.testing.assert_allclose(statistics.scales(layer)[name], np.percentile(a[a > 0], 99), rtol=1e-5)
        alive = [c for c in range(a.shape[1]) if (a[:, c] > 0).any()]
        each = [np.percentile(a[:, c][a[:, c] > 0], 99) for c in alive]
        np.testing.assert_allclose(statistics.scales(channels)[name][alive], each, rtol=1e-5)


@pytest.mark.parametrize(
    "method", [Percentile(99.9), Percentile(95, channels=True), Percentile(99, zeros=True)], ids=str
)
@pytest.mark.parametrize("order", ["as drawn", "rising", "falling"])
def test_first_samples_that_mislead_do_not_matter(method: Percentile, order: str) -> None:
    """More samples than are binned in full; sorted data are the worst that can happen to a guess."""
    x = np.random.default_rng(0).normal(size=(300_000, 3)).astype(np.float32)
    if order != "as drawn":
        x = np.sort(x, axis=0)[:: 1 if order == "rising" else -1].copy()
    images = x.reshape(-1, 100, 3).transpose(0, 2, 1)
    found = calibrate(relu((3, 100)), images, [method], batch_size=50).scales(method)["r"]
    np.testing.assert_array_equal(found, expected_scale(x, method))


def expected_scale(x: np.ndarray, method: Percentile) -> np.ndarray:
    values = np.maximum(x, 0).astype(float)
    each = values.T if method.channels else [values]
    found = [np.percentile(v if method.zeros else v[v > 0], method.percentile) for v in each]
    return np.array(found if method.channels else found[0])


@pytest.mark.parametrize("method", [Percentile(99), Percentile(99, channels=True), Percentile(99, zeros=True)], ids=str)
@pytest.mark.parametrize("later", [0.5, 1.5, 1.8, 1.95, 5.0])
@pytest.mark.parametrize("count", [60_000, 600_000])
def test_values_below_the_cutoff_that_were_and_were_not_binned(method: Percentile, later: float, count: int) -> None:
    """The first samples lie on both sides of what comes later, in numbers that move the percentile there."""
    first = np.random.default_rng(0).uniform(1, 2, (90_000, 3))
    x = np.concatenate([first, np.full((count, 3), later)]).astype(np.float32)
    images = x.reshape(-1, 100, 3).transpose(0, 2, 1)
    found = calibrate(relu((3, 100)), images, [method], batch_size=50).scales(method)["r"]
    np.testing.assert_array_equal(found, expected_scale(x, method))


borders = st.floats(-1, 3).map(lambda border: border + 0.0)  # numpy takes −0 for less than 0


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_drifting_data(data: st.DataObject) -> None:
    """Blocks of values from different ranges, in images, with the first block binned in full."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    blocks = [
        rng.uniform(*sorted(data.draw(st.tuples(borders, borders))), (count, 2, 64, 64))
        for count in data.draw(st.lists(st.integers(1, 90), min_size=2, max_size=4))
    ]
    x = np.concatenate(blocks).round(data.draw(st.integers(1, 6))).astype(np.float32)
    percentile = data.draw(st.sampled_from([50.0, 90.0, 99.0, 99.9]))
    method = Percentile(percentile, channels=data.draw(st.booleans()), zeros=data.draw(st.booleans()))
    scales = calibrate(relu((2, 64, 64)), x, [method], batch_size=data.draw(st.integers(5, 100))).scales(method)["r"]
    flat = x.transpose(0, 2, 3, 1).reshape(-1, 2)
    if (flat > 0).any(axis=0).all():
        wanted = expected_scale(flat, method)
        np.testing.assert_array_equal(scales, np.where(wanted > 0, wanted, scales))


def test_memory_does_not_grow_with_the_data() -> None:
    peaks = []
    for count in (500, 20_000):
        x = np.random.default_rng(0).random((count, 3), np.float32)
        tracemalloc.start()
        calibrate(relu(), x, [Percentile(99.9)], batch_size=100)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000


def test_dead_channels_take_the_layers_scale_and_dead_layers_one() -> None:
    x = np.array([[1, -1, 2], [3, -2, 4]], np.float32)
    assert calibrate(relu(), x, [Max(channels=True)]).scales(Max(channels=True))["r"].tolist() == [3, 4, 4]
    half = Scale(0.5, channels=True)
    assert calibrate(relu(), x, [half]).scales(half)["r"].tolist() == [1.5, 2, 2]
    dead = calibrate(relu(), -np.abs(x), [Max(), Percentile(), Percentile(channels=True)])
    for method in (Max(), Percentile(), Percentile(channels=True)):
        assert (dead.scales(method)["r"] == 1).all()


def test_a_ceiling_bounds_the_scale() -> None:
    x = np.array([[1, 5, 20]], np.float32)
    assert calibrate(relu(ceiling=6.0), x, [Max()]).scales(Max())["r"] == 6
    assert calibrate(relu(ceiling=6.0), x / 10, [Max()]).scales(Max())["r"] == 2


def test_the_schedule_is_not_truncated() -> None:
    method = Percentile(99.9, schedule=0.02)
    assert [r.percentile for layer in (0, 1, 5) for r in method.requests(layer)] == pytest.approx([99.9, 99.88, 99.8])
    x = np.random.default_rng(0).random((200, 2), np.float32)
    statistics = calibrate(toolbox_mlp(), x, [method])
    a = run(toolbox_mlp(), x, keep=("r2",))["r2"].astype(float)
    np.testing.assert_allclose(statistics.scales(method)["r2"], np.percentile(a[a > 0], 99.88), rtol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "max",
        "max:channels",
        "percentile:99.9",
        "percentile:99,channels,schedule=0.02",
        "percentile:99.9,zeros",
        "scale:0.5",
    ],
)
def test_methods_read_back_as_they_print(text: str) -> None:
    assert str(threshold_method(text)) == text
    assert threshold_method(str(threshold_method(text))) == threshold_method(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("max,channels", "max:channels"),
        ("Max", "max"),
        ("max channels", "max:channels"),
        (" percentile : 99.9 , channels", "percentile:99.9,channels"),
        ("percentile=99.9", "percentile:99.9"),
        ("percentile 99 schedule = 0.02", "percentile:99,schedule=0.02"),
        ("99.9%", "percentile:99.9"),
        ("99.9%,channels", "percentile:99.9,channels"),
        ("percentile:99.9%", "percentile:99.9"),
        ("p99.9", "percentile:99.9"),
        ("percentile", "percentile:99.9"),
        ("percentile,channels", "percentile:99.9,channels"),
        ("SCALE:0.5;channels", "scale:0.5,channels"),
        ("max:channels=true", "max:channels"),
    ],
)
def test_methods_are_read_as_people_write_them(text: str, canonical: str) -> None:
    assert str(threshold_method(text)) == canonical
    assert threshold_method(threshold_method(text)) == threshold_method(text)


def test_methods_are_values_or_their_text_everywhere() -> None:
    graph, x = toolbox_mlp(), TOOLBOX_X
    expected = calibrate(graph, x, [Max()]).scales(Max())
    for methods in (["max"], "max", Max(), ("max", Percentile(50))):
        assert calibrate(graph, x, methods).scales("Max") == expected  # type: ignore[arg-type]
    assert calibrate(graph, x).scales("p99.9")["r1"] > 0  # the default
    for wrong, message in (
        ([], "no threshold method is given"),
        ([3], "a threshold method is a text like 'percentile:99.9,channels' or a value like Percentile"),
        (None, "a threshold method is a text"),
        ([Max], "a threshold method is a text"),
    ):
        with pytest.raises(SettingsError, match=message):
            calibrate(graph, x, wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"convert takes data, λ by population or Statistics, not 'max'"):
        sw.convert(graph, "max")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "magic",
            "unknown threshold method 'magic'; choose one of auto, gauss, ltb, max, mmse, percentile, scale, "
            "for example percentile:99.9,channels",
        ),
        ("percentile:120", "percentile: must be above 0 and at most 100, not 120"),
        ("percentile:high", "percentile: percentile takes a number, not 'high'"),
        ("scale:2", "scale: the factor must be above 0 and at most 1, not 2"),
        ("max:fast", "max: unknown option 'fast'; it has channels"),
        ("percentile:99,9", "percentile: percentile is given twice; decimals have a point, as in 99.9"),
        ("percentile:99,percentile=98", "percentile: percentile is given twice"),
        ("max:channels=maybe", "max: channels is there or not; write it without '=maybe'"),
        ("percentile:99,schedule=inf", "percentile: schedule must be a finite number, not inf"),
        ("percentile:nan", "percentile: percentile must be a finite number, not nan"),
    ],
)
def test_methods_that_are_none(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        threshold_method(text)
    assert str(caught.value) == message


def test_saved_statistics_come_back_and_know_their_network(tmp_path: Path) -> None:
    method = Percentile(99, channels=True)
    statistics = calibrate(toolbox_mlp(), TOOLBOX_X, [method])
    statistics.save(tmp_path / "s.safetensors")
    key = statistics_key(toolbox_mlp(), TOOLBOX_X)
    found = Statistics.load(tmp_path / "s.safetensors", expect_key=key)
    for name, scale in statistics.scales(method).items():
        np.testing.assert_array_equal(found.scales(method)[name], scale)
    np.testing.assert_array_equal(found.nodes["r1"].histogram, statistics.nodes["r1"].histogram)
    for other in (statistics_key(toolbox_mlp(), TOOLBOX_X[:4]), statistics_key(relu((2,)), TOOLBOX_X)):
        with pytest.raises(CalibrationError, match="statistics of another network or other data"):
            Statistics.load(tmp_path / "s.safetensors", expect_key=other)
    with pytest.raises(CalibrationError, match="the statistics hold no percentile 50"):
        found.scales(Percentile(50))


def test_files_that_are_no_statistics(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk" * 10)
    with pytest.raises(ModelFileError, match="not a readable statistics file"):
        Statistics.load(tmp_path / "junk")
    sw.save(relu(), tmp_path / "graph.safetensors")
    with pytest.raises(ModelFileError, match="not statistics of Spikewright"):
        Statistics.load(tmp_path / "graph.safetensors")


def test_data_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="the calibration set is empty"):
        calibrate(relu(), np.zeros((0, 3), np.float32))
    with pytest.raises(DataError, match="sample 1 holds NaN or infinity"):
        calibrate(relu(), np.array([[1, 2, 3], [1, np.nan, 3]], np.float32))
    with pytest.raises(DataError, match=r"takes samples of shape \(3,\), the data has \(4,\)"):
        calibrate(relu(), np.zeros((2, 4), np.float32))
