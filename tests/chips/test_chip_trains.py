"""Pictures as trains: rates are kept, events of a step are spread evenly, and binning them gives the same events."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.chips.network import ChipInput
from spikewright.chips.simulation.timeline import timeline
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.errors import DataError, SettingsError

SOURCE = ChipInput("input", (2, 3, 4), (), event_value=0.5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["mixed", "rows"]), st.integers(1, 20))
def test_regular_trains_keep_rates(seed: int, order: str, steps: int) -> None:
    picture = np.random.default_rng(seed).random(SOURCE.shape).astype(np.float32)
    trains = PictureTrains(timesteps=steps, order=order)  # type: ignore[arg-type]
    train = trains.of(picture, SOURCE, 0)
    counts = trains.frames(train, SOURCE) / SOURCE.event_value
    assert counts.sum() == len(train)
    assert (np.abs(counts.sum(0) - picture / 0.5 * steps) < 1 + 1e-6).all()
    each = picture / 0.5  # in every step, the number of events is the rate rounded up or down
    assert (counts >= np.floor(each - 1e-6)).all()
    assert (counts <= np.ceil(each + 1e-6)).all()


@pytest.mark.parametrize("kind", ["regular", "poisson"])
def test_events_of_a_step_are_spread_evenly_over_it(kind: str) -> None:
    trains = PictureTrains(timesteps=8, dt=1e-4, kind=kind)  # type: ignore[arg-type]
    train = trains.of(np.full(SOURCE.shape, 0.4), SOURCE, 3)
    for step, count in Counter((train.time // 100).tolist()).items():
        own = train.time[train.time // 100 == step] - 100 * step
        assert own.tolist() == [k * 100 // count for k in range(count)]


@pytest.mark.parametrize("kind", ["regular", "poisson"])
def test_or_all_of_them_come_at_its_beginning(kind: str) -> None:
    picture = np.random.default_rng(1).random(SOURCE.shape).astype(np.float32)
    spread, together = (PictureTrains(timesteps=5, kind=kind, spread=on) for on in (True, False))  # type: ignore[arg-type]
    train = together.of(picture, SOURCE, 2)
    assert (train.time % together.step == 0).all()
    frames = together.frames(train, SOURCE)
    np.testing.assert_array_equal(frames, spread.frames(spread.of(picture, SOURCE, 2), SOURCE))
    order = timeline({"input": train}, {"input": SOURCE.shape}, together.beats(), together=True)
    assert order.time.tolist() == together.beats().tolist()
    assert order.tick.all()


def test_rows_come_in_order_and_mixed_ones_do_not() -> None:
    def places(order: str) -> list[tuple[int, ...]]:
        train = PictureTrains(timesteps=1, order=order).of(np.ones(SOURCE.shape), SOURCE, 0)  # type: ignore[arg-type]
        return list(zip(train.y.tolist(), train.x.tolist(), train.channel.tolist(), strict=True))

    assert places("rows") == sorted(places("rows"))
    assert places("mixed") != sorted(places("mixed"))
    assert sorted(places("mixed")) == places("rows")


def test_poisson_trains_are_drawn_by_seed_and_sample_and_have_the_rate() -> None:
    picture = np.full(SOURCE.shape, 0.25)
    trains = PictureTrains(timesteps=400, kind="poisson")
    first, again, other = (trains.of(picture, SOURCE, sample) for sample in (0, 0, 1))
    assert first.time.tolist() == again.time.tolist()
    assert len(first) != len(other) or first.x.tolist() != other.x.tolist()
    assert abs(len(first) - 24 * 200) < 5 * (24 * 200) ** 0.5
    assert np.bincount(first.x).min() > 1000


def test_ticks_come_at_the_beginning_of_steps_and_evenly_in_them() -> None:
    trains = PictureTrains(timesteps=2, dt=1e-3, ticks=4)
    assert trains.beats().tolist() == [0, 250, 500, 750, 1000, 1250, 1500, 1750]
    assert trains.clock_hz == 4000


def test_what_cannot_be_sent_is_refused() -> None:
    trains = PictureTrains()
    with pytest.raises(DataError, match="has values down to -1: an event stands for"):
        trains.of(np.full(SOURCE.shape, -1.0), SOURCE, 0)
    with pytest.raises(DataError, match=r"takes pictures of \(2, 3, 4\); these have \(3, 4\)"):
        trains.of(np.zeros((3, 4)), SOURCE, 0)
    for wrong, said in (
        ({"dt": 1.5e-6}, "dt must be a whole number of microseconds, not 1.5e-06 s"),
        ({"timesteps": 0}, "timesteps must be 1 or more"),
        ({"ticks": 3}, "3 ticks do not divide a step of 1000 µs"),
    ):
        with pytest.raises(SettingsError, match=said):
            PictureTrains(**wrong)  # type: ignore[arg-type]
