"""Percentiles that are found in the pass that meets them, in a stated memory; further passes find the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.calibration import Calibration, Percentile, Quantile, calibrate
from spikewright.calibration.requests import Histogram, Totals, Values
from spikewright.calibration.requests._largest import Largest, LargestValues
from spikewright.calibration.requests.float_bits import blocks_of, floats
from spikewright.calibration.room import bytes_kept, share_out, worth_keeping
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Input, Output, ReLU

PERCENTILES = (60, 75, 90, 99, 99.9, 100)


def relu(shape: tuple[int, ...] = (3,)) -> Graph:
    """The data themselves, rectified."""
    return Graph([Input(name="x", shape=shape), ReLU(name="r", inputs=("x",)), Output(name="y", inputs=("r",))])


def numpys(values: np.ndarray, percentile: float, zeros: bool) -> float:
    rectified = np.maximum(values, 0).astype(np.float64).ravel()
    chosen = rectified if zeros else rectified[rectified > 0]
    return float(np.percentile(chosen, percentile)) if (rectified > 0).any() else np.nan


def passes_of(graph: Graph, data: Any, methods: list[Any], **given: Any) -> tuple[Any, int]:
    calibration = Calibration(graph, data, methods, **given)
    while calibration.needs_pass:
        counts = calibration.counts()
        counts.add(calibration.forward(), calibration.data, 16)
        calibration.merge(counts)
        calibration.finish_pass()
    return calibration.statistics(), calibration.passes


def normal(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, 3, 50))


def mostly_zero(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.where(rng.random((count, 3, 50)) < 0.97, 0, rng.lognormal(0, 3, (count, 3, 50)))


def ties(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.minimum(rng.integers(0, 5, (count, 3, 50)), 3) / 3


def silent_channel(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, 3, 50)) * np.array([1, 0, 1e-3])[:, None] - np.array([0, 1, 0])[:, None]


def rising(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.sort(rng.normal(size=(count, 3, 50)), axis=0)


def falling(rng: np.random.Generator, count: int) -> np.ndarray:
    return rising(rng, count)[::-1]


@pytest.mark.parametrize("count", [1, 2, 17, 400])
@pytest.mark.parametrize("kind", [normal, mostly_zero, ties, silent_channel, rising, falling])
def test_one_pass_finds_numpys_percentiles(kind: Any, count: int) -> None:
    x = np.ascontiguousarray(kind(np.random.default_rng(count), count), np.float32)
    methods = [Percentile(p, channels=c, zeros=z) for p in PERCENTILES for c in (False, True) for z in (False, True)]
    statistics, passes = passes_of(relu((3, 50)), x, methods)
    assert passes == 1
    node = statistics.nodes["r"]
    for percentile in PERCENTILES:
        for zeros in (False, True):
            assert node[Quantile(percentile, zeros=zeros)] == pytest.approx(
                numpys(x, percentile, zeros), rel=0, abs=0, nan_ok=True
            )
            each = [numpys(x[:, c], percentile, zeros) for c in range(3)]
            np.testing.assert_array_equal(node[Quantile(percentile, channels=True, zeros=zeros)], each)


@pytest.mark.parametrize("kind", [normal, mostly_zero, ties, silent_channel, rising, falling])
def test_what_does_not_fit_the_memory_takes_more_passes(kind: Any) -> None:
    """1 MiB keeps 65,536 values of a layer, or 32,768 of channels."""
    x = np.repeat(np.ascontiguousarray(kind(np.random.default_rng(0), 1600), np.float32), 8, axis=2)
    methods = [Percentile(p, channels=c, zeros=z) for p in (60, 97.5, 99) for c, z in ((False, True), (True, False))]
    statistics, passes = passes_of(relu((3, 400)), x, methods, memory=1)
    alone, one = passes_of(relu((3, 400)), x, [Percentile(99)], memory=1)
    assert (passes > 1, one) == (True, 1)
    assert alone.nodes["r"][Quantile(99)] == numpys(x, 99, zeros=False)
    node = statistics.nodes["r"]
    for percentile in (60, 97.5, 99):
        assert node[Quantile(percentile, zeros=True)] == numpys(x, percentile, zeros=True)
        each = [numpys(x[:, c], percentile, zeros=False) for c in range(3)]
        np.testing.assert_array_equal(node[Quantile(percentile, channels=True)], each)


def test_more_positive_values_than_were_expected_take_more_passes() -> None:
    """Half of the values are taken to be positive; where all are, the largest that are kept are too few."""
    x = np.abs(np.random.default_rng(0).normal(size=(800, 3, 800))).astype(np.float32) + 1
    for channels in (False, True):
        percentile = 94 if not channels else 97
        methods = [Percentile(percentile, channels=channels)]
        statistics, passes = passes_of(relu((3, 800)), x, methods, memory=1)
        assert passes > 1
        assert statistics.nodes["r"][Quantile(percentile)] == numpys(x, percentile, zeros=False)
        if channels:
            each = [numpys(x[:, c], percentile, zeros=False) for c in range(3)]
            np.testing.assert_array_equal(statistics.nodes["r"][Quantile(percentile, channels=True)], each)


def test_a_generator_will_do_where_the_largest_values_fit() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3, 200)).astype(np.float32)

    def samples() -> Iterator[np.ndarray]:
        yield from x

    found = calibrate(relu((3, 200)), samples(), "percentile:99.9,channels", batch_size=16)
    wanted = [numpys(x[:, c], 99.9, zeros=False) for c in range(3)]
    np.testing.assert_array_equal(found.nodes["r"][Quantile(99.9, channels=True)], wanted)
    with pytest.raises(DataError, match="a generator can be read once only"):
        calibrate(relu((3, 200)), samples(), "percentile:20,channels", batch_size=16, memory=1)


def test_the_memory_is_never_exceeded() -> None:
    x = np.abs(np.random.default_rng(0).normal(size=(4096, 8, 32))).astype(np.float32)
    batches = [Values(torch.from_numpy(x[k : k + 64])) for k in range(0, len(x), 64)]
    for values in batches:
        _ = values.blocks, values.positives  # are of the batch, whatever is kept of it
    for memory in (8, 16):
        for channels in (False, True):
            for to_come in (len(x) * 32 * (1 if channels else 8), None):
                kept, totals = LargestValues(Largest(50, channels), 8 if channels else 1), Totals(8)
                share_out([(kept, totals, to_come)], memory)
                tracemalloc.start()
                for values in batches:
                    totals.add(values)
                    kept.add(values)
                    share_out([(kept, totals, to_come)], memory)
                    assert kept.nbytes <= 1.3 * bytes_kept(memory) + 8e6
                kept.finish_pass(totals, {})
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < (memory << 20) + 32e6, (memory, channels, peak)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3e38, 1e-45]), min_size=1, max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=4),
    limits=st.lists(st.integers(1, 60), min_size=5, max_size=5),
    channels=st.booleans(),
)
def test_the_largest_of_parts_are_the_largest_of_all(
    values: list[float], cuts: list[int], limits: list[int], channels: bool
) -> None:
    """Whatever the limits of the parts, what is known is right, and as many are known as the least limit says."""
    x = np.resize(np.float32(values), (len(values), 2, 1))
    x[:, 1] *= np.float32(0.5)
    ends = sorted({0, len(x), *(min(cut, len(x)) for cut in cuts)})
    merged = LargestValues(Largest(50, channels), 2 if channels else 1)
    merged.allow(np.full(2 if channels else 1, limits[-1]))
    for start, end, limit in zip(ends, ends[1:], limits, strict=False):
        part = merged.fresh()
        part.allow(np.full(2 if channels else 1, limit))
        for k in range(start, end, 5):
            part.add(Values(torch.from_numpy(x[k : min(k + 5, end)])))
        merged.merge(part)
    merged.finish_pass(Totals(2), {})
    groups = [x[:, 0].ravel(), x[:, 1].ravel()] if channels else [x.ravel()]
    for group, all_values in enumerate(groups):
        ordered = np.sort(all_values[all_values > 0])[::-1]
        for rank, value in enumerate(ordered):
            pattern, known = merged.at(np.full(len(groups), rank))
            if known[group]:
                assert floats(pattern)[group] == value
            else:
                assert rank >= min(limits)


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "every second"])
def test_layouts(layout: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(21, 4, 6, 6)).astype(np.float32))
    given = {
        "contiguous": x,
        "channels last": x.to(memory_format=torch.channels_last),
        "every second": torch.stack([x, -x], dim=2)[:, :, 0],
    }[layout]
    values = Values(given.relu())
    kept, totals = LargestValues(Largest(90, channels=True), 4), Totals(4)
    kept.add(values)
    totals.add(values)
    kept.finish_pass(totals, {})
    for channel in range(4):
        ordered = np.sort(x[:, channel].numpy().ravel())[::-1]
        assert totals.positives[channel] == (ordered > 0).sum()
        assert totals.maximum[channel] == ordered[0]
        for rank in (0, 3, 40):
            assert floats(kept.at(np.full(4, rank))[0])[channel] == ordered[rank]


def test_pieces_of_large_maps() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).random((11, 3, 100)).astype(np.float32))
    low = np.float32([0.5, 0.9, 0.99])
    for size in (1, 50, 1000, 10**6):
        found: list[list[float]] = [[], [], []]
        for block in blocks_of(rows):
            for runs, places in block.parts(size):
                for pattern, channel in zip(*block.values_from(low, runs, places), strict=True):
                    found[channel].append(float(floats(np.array([pattern], np.int64))[0]))
        for channel, values in enumerate(found):
            every = rows[:, channel].numpy().ravel()
            assert sorted(values) == sorted(every[every >= low[channel]].tolist())


def test_which_percentiles_are_worth_trying() -> None:
    asked = [({Quantile(99.9), Quantile(60, channels=True), Histogram()}, 10_000), ({Quantile(99)}, 100)]
    assert worth_keeping(asked, 10, 512) == [(Largest(99.9), Largest(60, channels=True)), (Largest(99),)]
    assert worth_keeping(asked, 100_000, 512) == [(), ()]  # read once more for the 60th anyway
    assert worth_keeping(asked, 10**9, 1) == [(), ()]
    assert worth_keeping(asked, None, 512) == [(Largest(99.9),), (Largest(99),)]


@pytest.mark.parametrize("memory", [0, -1, 1.5, "much"])
def test_memory_is_a_whole_number(memory: Any) -> None:
    with pytest.raises(SettingsError, match="memory"):
        calibrate(relu(), np.ones((2, 3), np.float32), memory=memory)
