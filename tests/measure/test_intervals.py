"""Intervals of scores, against published numbers and formulas."""

import numpy as np
import pytest

from spikewright.measures.intervals import Interval, interval, paired_interval


def ends(found: Interval | None) -> list[float]:
    assert found is not None
    return [found.low, found.high]


def test_wilson() -> None:
    assert ends(interval(np.repeat([1.0, 0.0], [8, 2]))) == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert ends(interval(np.ones(10))) == pytest.approx([0.7225, 1.0], abs=1e-4)


def test_pairs_of_the_prime_minister() -> None:
    """Agresti's approval ratings: 794 and 570 as before, 150 and 86 changed: 4 points less, 95 % interval 2 to 6."""
    first = np.repeat([1, 1, 0, 0], [794, 150, 86, 570]).astype(float)
    second = np.repeat([1, 0, 1, 0], [794, 150, 86, 570]).astype(float)
    assert ends(paired_interval(first, second)) == pytest.approx([0.0212, 0.0587], abs=2e-4)
    other = paired_interval(second, first)
    assert ends(other) == pytest.approx([-0.0587, -0.0212], abs=2e-4)
    assert -0.04 in (other or Interval(0, 0))


def test_equal_answers_leave_a_little_doubt() -> None:
    low, high = ends(paired_interval(np.ones(98), np.ones(98)))
    assert high == -low == pytest.approx(1.96 / 100, abs=1e-4)


def test_scores_that_are_no_shares_are_drawn() -> None:
    values = np.random.default_rng(1).normal(3, 1, 400)
    low, high = ends(interval(values))
    assert (low, high) == pytest.approx((values.mean() - 0.098, values.mean() + 0.098), abs=0.012)
    assert ends(interval(values)) == [low, high]  # the same every time
    shifted = paired_interval(values, values - 1)
    assert ends(shifted) == pytest.approx([1, 1])
    assert interval(values[:1]) is paired_interval(values[:1], values[:1]) is None
