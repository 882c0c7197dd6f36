"""What the native core counts of activations in one look, against numpy, and calibration with and without it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.calibration import Statistics, calibrate
from spikewright.calibration.requests import Values, _look, _native
from spikewright.calibration.requests._largest import Largest, LargestValues
from spikewright.calibration.requests.request import Seen
from spikewright.graph import Graph
from spikewright.nodes import Input, Output, ReLU

native = pytest.importorskip("spikewright.calibration.requests._activations")
NONE = np.iinfo(np.int32).max


def counted(
    x: np.ndarray, cutoff: np.ndarray, instructions: str = "", rectify: bool = False
) -> tuple[Seen, np.ndarray, np.ndarray]:
    seen = Seen.nothing(x.shape[1])
    count = native.rectify if rectify else native.count
    found = count(x.view(np.int32), cutoff, seen.largest, seen.positives, seen.histogram, instructions)
    return seen, *found


@pytest.mark.parametrize("instructions", native.instruction_sets())
@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 9), st.integers(1, 70), st.sampled_from([1, 3, 31, 32, 63, 64, 65, 512, 700])),
    zeros=st.sampled_from([0.0, 0.5, 0.99]),
    percentile=st.sampled_from([0, 50, 99, 100]),
    seed=st.integers(0, 1000),
    rectify=st.booleans(),
)
def test_numpy_counts_the_same(
    shape: tuple[int, int, int], zeros: float, percentile: float, seed: int, rectify: bool, instructions: str
) -> None:
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(shape) < zeros, 0, rng.lognormal(0, 3, shape)).astype(np.float32)
    x[rng.random(shape) < 0.01] = -0.0
    tops = np.array([np.percentile(x[:, c], percentile) if len(x) else 1 for c in range(shape[1])], np.float32)
    cutoff = np.maximum(tops.view(np.int32), 1)
    given = np.where(rng.random(shape) < 0.4, -x - np.float32(1e-3), x) if rectify else x.copy()
    x = np.maximum(given, 0) if rectify else x
    seen, pattern, channel = counted(given, cutoff, instructions, rectify)
    assert (given == x).all()
    assert (seen.largest.view(np.float32) == (np.abs(x).max(axis=(0, 2)) if len(x) else 0)).all()
    assert (seen.positives == (x > 0).sum(axis=(0, 2))).all()
    expected = np.bincount(x[x > 0].view(np.int32) >> 16, minlength=1 << 15)
    assert (seen.histogram == expected).all()
    bits = x.view(np.int32)
    wanted = np.argwhere(bits >= cutoff[:, None])
    assert (channel == wanted[:, 1]).all()
    assert (pattern == bits[tuple(wanted.T)]).all()


def test_counts_are_added_to_what_is_there_and_the_histogram_may_be_left_out() -> None:
    x = np.ones((2, 3, 5), np.float32)
    seen = Seen.nothing(3)
    cutoff = np.full(3, NONE, np.int32)
    for _ in range(2):
        native.count(x.view(np.int32), cutoff, seen.largest, seen.positives)
    assert seen.positives.tolist() == [20, 20, 20]
    assert not seen.histogram.any()


@pytest.mark.parametrize("positions", [1, 40])
@pytest.mark.parametrize("instructions", native.instruction_sets())
def test_rectifying_keeps_what_is_no_number_and_makes_minus_infinity_zero(positions: int, instructions: str) -> None:
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, -1e-45, 1e-45], np.float32)
    x = np.zeros((3, len(odd), positions), np.float32)
    x[1, :, -1] = odd
    seen, *_ = counted(x, np.full(len(odd), NONE, np.int32), instructions, rectify=True)
    assert (np.isnan(x[1, :, -1]) == np.isnan(odd)).all()
    assert x[1, 2:, -1].view(np.int32).tolist() == [0x7F800000, 0, 0, 0, 1]
    assert np.isfinite(seen.largest.view(np.float32)).tolist() == [False] * 3 + [True] * 4
    assert seen.positives.tolist()[3:] == [0, 0, 0, 1]


def test_an_instruction_set_that_there_is_not_is_refused() -> None:
    assert native.instruction_sets()[0] == "portable"
    with pytest.raises(ValueError, match="'abacus' does not run here"):
        counted(np.ones((1, 1, 1), np.float32), np.full(1, NONE, np.int32), "abacus")


@pytest.mark.parametrize("groups", [1, 5, 300])
def test_the_largest_of_each_group_are_kept(groups: int) -> None:
    rng = np.random.default_rng(groups)
    pattern, channel = rng.integers(1, 50, 4000, dtype=np.int32), rng.integers(0, groups, 4000, dtype=np.int32)
    low, held = rng.integers(0, 30, groups), np.zeros(groups, np.int64)
    above, group = native.above(pattern, channel, low, held)
    good = pattern > low[channel]
    assert (above == pattern[good]).all()
    assert (group == channel[good]).all()
    assert held.tolist() == np.bincount(channel[good], minlength=groups).tolist()
    limit, before = rng.integers(1, 20, groups), low.copy()
    found, of = native.largest(above, group, held, limit, low)
    for g in range(groups):
        wanted = np.sort(above[group == g])[::-1][: limit[g]]
        assert (np.sort(found[of == g])[::-1] == wanted).all()
        assert held[g] == len(wanted)
        assert low[g] == (wanted[-1] if (group == g).sum() > limit[g] else before[g])


@pytest.mark.parametrize("what", ["group", "held", "limit", "more", "length"])
def test_groups_that_do_not_fit_are_refused(what: str) -> None:
    pattern, group = np.ones(4, np.int32), np.array([0, 0, 1, 1], np.uint16)
    held, limit, low = np.array([2, 2]), np.array([1, 1]), np.zeros(2, np.int64)
    if what == "group":
        group[0] = 2
    elif what == "more":
        group[3] = 0
    elif what == "held":
        held[0] = -1
    elif what == "limit":
        limit[0] = 0
    else:
        low = low[:1]
    with pytest.raises(ValueError, match=r"held|group"):
        native.largest(pattern, group, held, limit, low)
    with pytest.raises(ValueError, match="channel"):
        native.above(pattern, np.array([0, 0, 1, 2], np.int32), np.zeros(2, np.int64), held)


@pytest.mark.parametrize("positions", [1, 40])
@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen_whatever_its_sign(odd: float, positions: int) -> None:
    x = np.zeros((3, 2, positions), np.float32)
    x[1, 1, -1] = odd
    seen, *_ = counted(x, np.full(2, NONE, np.int32))
    assert np.isfinite(seen.largest.view(np.float32)).tolist() == [True, False]
    values = Values(torch.from_numpy(x))
    _look.look_at(values, [])
    assert not np.isfinite(values.maximum).all()


@pytest.mark.parametrize("what", ["cutoff", "largest", "positives", "histogram", "negative"])
def test_arrays_that_do_not_fit_are_refused(what: str) -> None:
    sizes = {"cutoff": 3, "largest": 3, "positives": 3, "histogram": 1 << 15}
    sizes[what] = 2
    cutoff = np.full(sizes["cutoff"], 0 if what == "negative" else 1, np.int32)
    arrays = np.zeros(sizes["largest"], np.int32), *(np.zeros(sizes[k], np.int64) for k in ("positives", "histogram"))
    with pytest.raises(ValueError, match=r"channel|bins|positive"):
        native.count(np.zeros((1, 3, 4), np.int32), cutoff, *arrays)


def statistics(
    x: np.ndarray, shape: tuple[int, ...], threads: int, without: bool, monkeypatch: pytest.MonkeyPatch
) -> Statistics:
    graph = Graph([Input(name="x", shape=shape), ReLU(name="r", inputs=("x",)), Output(name="y", inputs=("x",))])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(_look, "AT_ONCE", 1000)
            if without:
                patched.setattr(_native, "module", lambda: None)
            methods = ["max", "percentile:99", "percentile:90,channels", "percentile:99.9,zeros", "mmse"]
            return calibrate(graph, x, methods, batch_size=16)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(6,), (4, 6, 7), (3, 2, 2)])
def test_calibration_is_the_same_to_the_bit_without_the_native_core(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=(150, *shape)).astype(np.float32)
    found = statistics(x, shape, 1, False, monkeypatch)
    for threads, without in ((1, True), (3, False), (3, True)):
        other = statistics(x, shape, threads, without, monkeypatch)
        for name, node in found.nodes.items():
            twin = other.nodes[name]
            assert (node.count, node.layer) == (twin.count, twin.layer)
            assert (node.positives == twin.positives).all()
            assert (node.maximum == twin.maximum).all()
            assert node.results.keys() == twin.results.keys()
            for key, arrays in node.results.items():
                for label, array in arrays.items():
                    assert np.array_equal(array, twin.results[key][label], equal_nan=True), (key, label)
        assert found.inputs == other.inputs


def test_the_largest_values_are_let_go_of_on_the_way() -> None:
    kept = LargestValues(Largest(99.0), 1)
    kept.allow(np.array([10]))
    x = torch.from_numpy(np.random.default_rng(0).random((64, 8, 3000), np.float32))
    with ThreadPoolExecutor(2) as pool:
        values = Values(x, pool=pool, threads=2)
        _look.look_at(values, [kept])
    kept.shrink()
    assert kept.held.tolist() == [10]
    assert sorted(kept.kept[0][0]) == sorted(np.sort(x.numpy().ravel())[-10:].view(np.int32))
