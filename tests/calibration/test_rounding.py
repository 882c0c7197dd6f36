"""The squared error of clipping and rounding, from histograms and from mean and variance, is that of every value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.calibration import Histogram
from spikewright.calibration.requests import Distribution, Totals, Values
from spikewright.calibration.rounding import MANY, Levels, least_error, squared_error
from spikewright.calibration.tails import HistogramTails, NormalTails
from spikewright.conversion import Neurons

RNG = np.random.default_rng(5)
GRID = 1 - 0.01 * np.arange(95)


def distribution(values: np.ndarray, channels: bool = True) -> Distribution:
    """The histogram of rectified values ``(samples, channels)``."""
    import torch

    request = Histogram(channels)
    accumulator, totals = request.accumulator(values.shape[1]), Totals(values.shape[1])
    batch = Values(torch.from_numpy(values.astype(np.float32)).relu())
    accumulator.add(batch)
    totals.add(batch)
    return request.found(accumulator.arrays(totals))


def brute_force(values: np.ndarray, scale: float, levels: Levels) -> float:
    """The error of each value, added up."""
    x = np.maximum(values.astype(np.float32), 0).astype(float)
    return float(((x - levels.rounded(x, np.asarray(scale))) ** 2).sum())


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(0, 5),
    neurons=st.builds(
        Neurons, v_init=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.5]), max_spikes=st.sampled_from([1, 2, 3])
    ),
    timesteps=st.integers(1, 20),
)
def test_levels_are_what_a_neuron_counts(x: float, neurons: Neurons, timesteps: int) -> None:
    """Reset by subtraction, a constant current: the count is the current rounded, shifted by the initial potential."""
    v, count, most = neurons.v_init, 0, neurons.max_spikes or 1
    for _ in range(timesteps):
        v += x
        n = min(max(int(np.floor(v + 1e-12)), 0), most)
        v, count = v - n, count + n
    levels = Levels.of(neurons, timesteps)
    near = x * timesteps + neurons.v_init
    if abs(near - round(near)) > 1e-6:
        assert levels.rounded(np.asarray(x), np.ones(())) * timesteps == pytest.approx(count)


def test_levels_without_a_cap_are_those_of_one_spike() -> None:
    assert Levels.of(Neurons(max_spikes=None), 8) == Levels.of(Neurons(), 8) == Levels(8, 8, 0.5)
    assert Levels.of(Neurons(max_spikes=4, v_init=0.0), 8) == Levels(8, 32, 0.0)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 1.0, 2.2, -0.4])
@pytest.mark.parametrize(("count", "bursts"), [(1, 1), (4, 1), (16, 1), (4, 3), (64, 1)])
def test_the_error_of_a_histogram_is_that_of_its_values(count: int, bursts: int, shift: float) -> None:
    values = RNG.normal(size=(60_000, 3)) * [1, 0.01, 30] + [0, 0.01, -20]
    tails, levels = HistogramTails.of(distribution(values)), Levels(count, count * bursts, shift)
    scale = values.max(axis=0)[:, None] * [0.03, 0.2, 0.45, 1.0]
    found = squared_error(tails, scale, levels)
    for channel in range(3):
        expected = [brute_force(values[:, channel], s, levels) for s in scale[channel]]
        np.testing.assert_allclose(found[channel], expected, rtol=0.03)
    whole = HistogramTails.of(distribution(values, channels=False))
    found = squared_error(whole, np.array([[20.0, 50.0]]), levels)
    np.testing.assert_allclose(found[0], [brute_force(values.ravel(), s, levels) for s in (20, 50)], rtol=0.03)


def test_values_in_the_middle_of_bins_are_exact() -> None:
    """Counts and sums above a border between bins are those of the values."""
    middles = np.array([0, 0.25 + 2.0**-10, 1 + 2.0**-8, 3 + 2.0**-7])
    values = np.repeat(middles, [5, 4, 3, 2])[:, None]
    tails = HistogramTails.of(distribution(values))
    count, total = tails.above(np.array([[-1.0, 0.0, 0.01, 0.5, 2.0, 5.0]]))
    assert count.tolist() == [[14, 14, 9, 5, 2, 0]]
    sums = [values[values >= border].sum() for border in (0, 0, 0.01, 0.5, 2, 5)]
    np.testing.assert_allclose(total[0], sums, rtol=1e-12)
    squares = tails.squares_above(np.array([[0.0, 2.0]]))
    np.testing.assert_allclose(squares[0], [(values**2).sum(), (values[-2:] ** 2).sum()], rtol=1e-4)


@pytest.mark.parametrize("ceiling", [np.inf, 1.2])
@pytest.mark.parametrize(
    "levels", [Levels(1, 1), Levels(8, 8), Levels(8, 8, 0.0), Levels(4, 12, 0.8), Levels(200, 200)]
)
def test_the_error_of_a_normal_distribution_is_its_integral(levels: Levels, ceiling: float) -> None:
    mean, deviation = np.array([0.3, -1.0, 2.0]), np.array([1.0, 0.7, 0.4])
    scale = np.array([[0.5, 2.0]] * 3)
    found = squared_error(NormalTails(mean, deviation, ceiling), scale, levels)
    for row, (mu, sigma) in enumerate(zip(mean, deviation, strict=True)):
        x = np.linspace(mu - 9 * sigma, mu + 9 * sigma, 400_001)
        density = np.exp(-(((x - mu) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
        a = np.clip(x, 0, ceiling)
        for column in range(2):
            error = (a - levels.rounded(a, scale[row, column])) ** 2
            expected = (error * density).sum() * (x[1] - x[0])
            rounding = (scale[row, column] / levels.count) ** 2 / 4 if levels.most > MANY else 1e-7
            assert found[row, column] == pytest.approx(expected, rel=3e-3, abs=rounding)


def test_very_many_levels_cost_no_more() -> None:
    values = RNG.normal(size=(50_000, 1))
    tails = HistogramTails.of(distribution(values))
    for shift in (0.0, 0.5):
        levels = Levels(MANY + 1, MANY + 1, shift)
        found = squared_error(tails, np.array([[1.0, 2.0, 3.5]]), levels)[0]
        np.testing.assert_allclose(found, [brute_force(values[:, 0], s, levels) for s in (1, 2, 3.5)], rtol=0.03)
    found = least_error(tails, np.array([5.0]), [Levels(2**31 - 1, 2**31 - 1)])
    assert 4 < found[0] <= 5


@pytest.mark.parametrize("shift", [0.0, 0.5, 0.8])
@pytest.mark.parametrize(("count", "bursts"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (4, 4)])
def test_no_lambda_of_a_fine_grid_is_better(count: int, bursts: int, shift: float) -> None:
    """Beside an outlier λ lies below a twentieth of the largest value, where a grid of 95 steps of 1 % ends."""
    values = np.stack([RNG.normal(size=20_000), RNG.exponential(size=20_000), RNG.exponential(size=20_000)], axis=1)
    values[0, 2] = 60
    levels = Levels(count, count * bursts, shift)
    found = least_error(HistogramTails.of(distribution(values)), values.max(axis=0), [levels])
    assert (found <= values.max(axis=0)).all()
    for channel, scale in enumerate(found):
        grid = [brute_force(values[:, channel], s, levels) for s in GRID * values[:, channel].max()]
        assert brute_force(values[:, channel], scale, levels) <= min(grid) * 1.003
    if (count, bursts, shift) == (1, 1, 0.5):
        assert found[2] < 0.05 * 60


def test_for_a_range_the_sum_of_relative_errors_is_least() -> None:
    values = RNG.exponential(size=(20_000, 1))
    levels = [Levels(t, t) for t in (2, 4, 8)]
    tails = HistogramTails.of(distribution(values))
    highest = values.max(axis=0)
    alone = [least_error(tails, highest, [one])[0] for one in levels]
    least = [brute_force(values[:, 0], scale, one) for scale, one in zip(alone, levels, strict=True)]

    def relative(scale: float) -> float:
        return sum(brute_force(values[:, 0], scale, one) / best for one, best in zip(levels, least, strict=True))

    found = least_error(tails, highest, levels)[0]
    assert alone[0] < found < alone[2]
    assert relative(found) <= min(relative(s) for s in GRID * highest[0]) * 1.003


def test_groups_without_positive_values_have_no_lambda() -> None:
    values = np.stack([np.full(100, -1.0), np.full(100, 0.7), np.zeros(100)], axis=1)
    found = least_error(HistogramTails.of(distribution(values)), np.array([1.0, 0.7, 1.0]), [Levels(4, 4)])
    assert np.isnan(found[[0, 2]]).all()
    assert levels_error(found[1], 0.7) < 1e-4
    assert np.isnan(least_error(NormalTails(np.array([-50.0]), np.ones(1)), np.ones(1), [Levels(4, 4)]))


def levels_error(scale: float, value: float) -> float:
    return abs(float(Levels(4, 4).rounded(np.asarray(value), np.asarray(scale))) - value)
