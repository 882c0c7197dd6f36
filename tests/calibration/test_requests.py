"""What a method can ask of the data: histograms of all values, moments, percentiles; and methods written with them."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import spikewright as sw
from spikewright.calibration import Calibration, Histogram, Method, Moments, Quantile, Statistics, calibrate
from spikewright.calibration.inputs import parse_input_scale
from spikewright.calibration.requests import Request, Totals, Values, parse
from spikewright.calibration.requests.histogram import CHANNEL_OCTAVES, HistogramCounts, bytes_of_channels
from spikewright.calibration.statistics import KIND
from spikewright.errors import CalibrationError, ModelFileError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Input, Linear, Output, ReLU
from spikewright.tensors import read_tensors, write_tensors

REQUESTS: tuple[Request[object], ...] = (
    Histogram(),
    Histogram(channels=True),
    Moments(),
    Moments(channels=True, zeros=True),
    Moments(channels=True, before_relu=True),
    Moments(before_relu=True),
    Quantile(99.9),
    Quantile(50, channels=True, zeros=True),
)
X = np.random.default_rng(0).normal(size=(3000, 3)).astype(np.float32) * np.float32([1, 10, 1e-3])


def relu(shape: tuple[int, ...] = (3,)) -> Graph:
    """The data themselves, rectified."""
    return Graph([Input(name="x", shape=shape), ReLU(name="r", inputs=("x",)), Output(name="y", inputs=("r",))])


def linear() -> Graph:
    weight = np.random.default_rng(1).normal(size=(4, 3))
    return Graph(
        [
            Input(name="x", shape=(3,)),
            Linear(name="l", inputs=("x",), weight=weight, bias=np.array([0.5, -0.5, 0, 0.1])),
            ReLU(name="r", inputs=("l",)),
            Output(name="y", inputs=("l",)),
        ]
    )


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_keys_read_back(request_: Request[object]) -> None:
    assert parse(request_.key) == request_


@pytest.mark.parametrize(
    "key", ["", "histograms", "moments,zeros,channels", "101", "99.90", "moments,fast", "1,channels,x"]
)
def test_keys_that_are_none(key: str) -> None:
    assert parse(key) is None


def test_the_histogram_is_of_all_values() -> None:
    """Issue 12: it was of the first samples only."""
    x = np.concatenate([np.full((40_000, 3), 0.25), np.full((20_000, 3), 2.0)]).astype(np.float32)
    images = x.reshape(-1, 100, 3).transpose(0, 2, 1)
    node = calibrate(relu((3, 100)), images, "max").nodes["r"]
    assert node.histogram.sum() == x.size
    assert node.histogram[np.searchsorted(node.edges, 0.25)] == 120_000
    assert node.histogram[np.searchsorted(node.edges, 2.0)] == 60_000


@settings(max_examples=60, deadline=None)
@given(
    x=arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(3)),
        elements=st.one_of(st.floats(-2, 2, width=32), st.sampled_from([0.0, -0.0, 1e-45, 1e-38, 65504.0, 3e38])),
    ),
    batch=st.integers(1, 17),
)
def test_every_value_is_in_its_bin(x: np.ndarray, batch: int) -> None:
    statistics = calibrate(relu(), x, "max", requests=REQUESTS[:2], batch_size=batch)
    node = statistics.nodes["r"]
    for request, values in ((Histogram(), [x.ravel()]), (Histogram(channels=True), list(x.T))):
        found = node[request]
        rows = zip(*(np.atleast_2d(a) for a in (found.counts, found.edges)), strict=True)
        for (counts, edges), below, zeros, group in zip(
            rows, *map(np.atleast_1d, (found.below, found.zeros)), values, strict=True
        ):
            positive = group[group > 0].astype(float)
            np.testing.assert_array_equal(counts, np.histogram(positive, np.append(edges[:-1], np.inf))[0])
            assert (below, zeros) == ((positive < edges[0]).sum(), (group <= 0).sum())
            if request.channels and positive.size:
                limit = max(positive.max() * 2.0 ** (1 - CHANNEL_OCTAVES), 2.0**-133)
                assert not request.channels or (positive[positive < edges[0]] < limit).all()


def test_bins_are_one_per_cent_wide_at_most() -> None:
    node = calibrate(relu(), X, "max", requests=[Histogram(channels=True)]).nodes["r"]
    for request in (Histogram(), Histogram(channels=True)):
        edges = np.atleast_2d(node[request].edges)
        for row in edges:
            normal = row[(row >= np.finfo(np.float32).tiny) & np.isfinite(row)]
            assert (np.diff(normal) / normal[:-1]).max() <= 2**-7 < 0.01


def test_histograms_of_the_channels_of_vgg16_stay_below_200_mb() -> None:
    convolutions = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    channels = sum(convolutions) + 4096 * 2 + 1000
    assert channels == 13_416
    assert bytes_of_channels(sum(convolutions)) == 51_904_512
    assert bytes_of_channels(channels) == 164_855_808
    tracemalloc.start()
    made = [HistogramCounts(n, windowed=True) for n in (*convolutions, 4096, 4096, 1000)]
    for counts in made:
        rows = np.random.default_rng(0).normal(size=(8, len(counts.slots), 1)).astype(np.float32)
        counts.add(values(rows))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bytes_of_channels(channels) <= held < 170e6
    assert peak < 200e6


def values(x: np.ndarray) -> Values:
    import torch

    return Values(torch.from_numpy(x).relu())


def test_more_values_than_32_bits_count() -> None:
    counts, totals = HistogramCounts(2, windowed=True), Totals(2)
    x = values(np.ones((4, 2, 5), np.float32))
    counts.add(x)
    totals.add(x)
    for _ in range(30):  # each as many values again
        other = counts.fresh()
        other.merge(counts)
        counts.merge(other)
        totals.positives *= 2
    assert counts.slots.dtype == np.int64
    assert counts.counts.max() == 20 << 30 == totals.positives[0]
    assert counts.below(totals).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(40, 3, 70, 70), (3000, 50, 1), (2, 5, 40_000)], ids=str)
def test_threads_do_not_matter(shape: tuple[int, ...]) -> None:
    import torch

    x = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32)).relu()
    with ThreadPoolExecutor(4) as pool:
        for windowed, groups in ((False, 1), (True, shape[1])):
            alone, several = HistogramCounts(groups, windowed), HistogramCounts(groups, windowed)
            alone.add(Values(x))
            several.add(Values(x, None, pool, 4))
            np.testing.assert_array_equal(alone.counts, several.counts)
            assert alone.counts.sum() == (x > 0).sum()


def test_moments() -> None:
    statistics = calibrate(linear(), X, "max", requests=REQUESTS, batch_size=700)
    before = X.astype(float) @ np.random.default_rng(1).normal(size=(4, 3)).T + [0.5, -0.5, 0, 0.1]
    for name in ("r", "y"):
        node, after = statistics.nodes[name], np.maximum(before, 0)
        each, whole = node[Moments(channels=True, before_relu=True)], node[Moments(before_relu=True)]
        np.testing.assert_allclose(each.mean, before.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(each.variance, before.var(axis=0), rtol=1e-4)
        np.testing.assert_allclose([whole.smallest, whole.largest], [before.min(), before.max()], rtol=1e-5)
        assert (whole.count, each.count.tolist()) == (12_000, [3000] * 4)
        zeros, positive = node[Moments(channels=True, zeros=True)], node[Moments()]
        np.testing.assert_allclose(zeros.mean, after.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(zeros.smallest, 0)
        np.testing.assert_allclose(positive.variance, after[after > 0].var(), rtol=1e-4)
        assert positive.count == node.positives.sum()
        assert 0 < positive.smallest <= positive.mean <= positive.largest == node.maximum.max()
    dead = calibrate(relu(), -np.abs(X), "max", requests=REQUESTS).nodes["r"][Moments()]
    assert (dead.count, dead.smallest, dead.largest) == (0, np.inf, -np.inf)
    assert np.isnan(dead.mean)
    assert np.isnan(dead.variance)


@dataclass(frozen=True)
class Mmse(Method):
    """λ with the least mean squared error of rounding to T levels below it, by channel (Li et al. 2021, eq. 10).

    Attributes:
        levels: T.
    """

    levels: int = 8

    def requests(self, layer: int) -> tuple[Histogram, ...]:  # noqa: ARG002
        return (Histogram(channels=True), Histogram())

    def scale(self, node: sw.calibration.NodeFacts) -> np.ndarray:
        return self._best(node[Histogram(channels=True)], node.maximum)

    def whole(self, node: sw.calibration.NodeFacts) -> float:
        return float(self._best(node[Histogram()], node.maximum.max()))

    def _best(self, found: sw.calibration.Distribution, maximum: np.ndarray) -> np.ndarray:
        factors = 1 - 0.01 * np.arange(95)
        errors = []
        for factor in factors:
            step = np.where(maximum > 0, factor * maximum, 1.0)[..., None] / self.levels
            rounded = step * np.clip(np.floor(found.centres / step + 0.5), 0, self.levels)
            used = np.where(found.counts > 0, found.centres - rounded, 0)
            errors.append((used**2 * found.counts).sum(axis=-1))
        return factors[np.argmin(errors, axis=0)] * maximum


def test_a_method_that_looks_at_the_distribution() -> None:
    """One file: what clips and rounds with the least error, found from the histogram, is what all values say."""
    method = Mmse(4)
    statistics = calibrate(relu(), X, [method])
    found = statistics.scales(method)["r"]
    for channel, scale in enumerate(found):
        a = np.maximum(X[:, channel], 0).astype(float)
        tried = (1 - 0.01 * np.arange(95)) * a.max()
        errors = [((a - np.clip(np.floor(a * 4 / t + 0.5), 0, 4) * t / 4) ** 2).sum() for t in tried]
        mine = ((a - np.clip(np.floor(a * 4 / scale + 0.5), 0, 4) * scale / 4) ** 2).sum()
        assert scale < a.max()
        assert mine <= min(errors) * 1.002
    assert (calibrate(relu(), -np.abs(X), [method]).scales(method)["r"] == 1).all()
    with pytest.raises(SettingsError, match="input scale: give max, a percentile"):
        parse_input_scale(method)


def test_what_was_not_asked_for_is_not_there() -> None:
    node = calibrate(relu(), X, "max").nodes["r"]
    message = r"the statistics hold no {} \(they hold histogram\); calibrate again"
    for request, words in ((Moments(channels=True), "moments,channels"), (Quantile(50), "percentile 50")):
        with pytest.raises(CalibrationError, match=message.format(words)):
            node[request]


def test_requests_are_saved_and_checked(tmp_path: Path) -> None:
    statistics = calibrate(linear(), X, "max", requests=REQUESTS)
    statistics.save(tmp_path / "s.safetensors")
    found = Statistics.load(tmp_path / "s.safetensors")
    for name, node in statistics.nodes.items():
        assert found.nodes[name].results.keys() == node.results.keys()
        for key, kept in node.results.items():
            for label, array in kept.items():
                np.testing.assert_array_equal(found.nodes[name].results[key][label], array)
    node = statistics.nodes["r"]
    for key, label, wrong in (
        ("histogram", "counts", 1),
        ("histogram,channels", "below", -1),
        ("moments", "count", 1),
        ("moments,channels,before", "squares", -1e9),
        ("99.9", "values", np.nan),
    ):
        damaged = {
            k: {n: np.asarray(a + wrong) if (k, n) == (key, label) else a for n, a in r.items()}
            for k, r in node.results.items()
        }
        bad = Statistics({"r": sw.calibration.NodeStatistics(**{**vars(node), "results": damaged})}, "key", 3000)
        bad.save(tmp_path / "bad.safetensors", force=True)
        with pytest.raises(ModelFileError, match=r"bad\.safetensors: damaged, .* of 'r'"):
            Statistics.load(tmp_path / "bad.safetensors")


def test_percentiles_of_channels_take_one_pass() -> None:
    calibration = Calibration(relu(), X, "percentile:99.9,channels")
    seen = []
    calibrate(relu(), X, "percentile:99.9,channels", progress=lambda done, total: seen.append((done, total)))
    assert calibration.passes_left == 1
    assert seen[-1] == (3000, 3000)


def test_files_of_an_earlier_format_are_refused_with_advice(tmp_path: Path) -> None:
    calibrate(relu(), X, "max").save(tmp_path / "s.safetensors")
    facts, arrays = read_tensors(tmp_path / "s.safetensors", KIND)
    assert facts.pop("format") == KIND.format == 3
    write_tensors(tmp_path / "old.safetensors", replace(KIND, format=2), facts, arrays)
    message = r"old\.safetensors: statistics format 2, this version reads 3; delete it and calibrate again"
    with pytest.raises(ModelFileError, match=message):
        Statistics.load(tmp_path / "old.safetensors")
