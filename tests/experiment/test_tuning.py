"""Tuning: tried on samples held out of calibration, chosen by a rule, made on all of them; test data have no part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain, residual
from spikewright.data import ArrayDataset, as_dataset, sample_digests
from spikewright.encoders.events import EventFrames
from spikewright.errors import DataError, SettingsError, UnsupportedModelError
from spikewright.experiment import tuning
from spikewright.experiment.held_out import ExpectedInputs, expected_inputs, held_out
from spikewright.experiment.tuning import Grid, Point, tune
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import Input, LeakyReLU, Output
from spikewright.timesteps import Timesteps

pytestmark = pytest.mark.filterwarnings("ignore::spikewright.SpikewrightWarning")  # few samples, random networks
GRID = ["method=max", "method=percentile:99,channels", "gain=1..2"]


def network(seed: int = 7, samples: int = 120) -> tuple[Graph, Array, Array]:
    """A random network with samples, and labels that it mostly gets right."""
    b = plain(seed)
    graph, x = b.graph(), b.samples(samples)
    y = run(sw.prepare(graph)[0], x)["output"].argmax(1)
    y[::10] = 0
    return graph, x, y


def test_the_parts_share_no_sample() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    x[40:50] = x[:10]  # the same samples once more
    data = ArrayDataset(x, np.arange(60) % 3)
    parts = held_out(data, 20, seed=1)
    kept, rest = sample_digests(parts.held_out), sample_digests(parts.fitting)
    assert len(set(kept.tolist())) == 20 == len(parts.held_out)
    assert not np.isin(rest, kept).any()
    assert np.isin(sample_digests(data), np.concatenate([kept, rest])).all()
    again = held_out(data, 20, seed=1)
    assert (sample_digests(again.held_out) == kept).all()
    assert (sample_digests(held_out(data, 20, seed=2).held_out) != kept).any()
    assert np.bincount(np.asarray(parts.held_out.labels)).min() >= 5  # in proportion to the classes
    assert len(held_out(data).held_out) == 25  # half of those that differ
    assert str(parts) == f"20 of {20 + len(parts.fitting)} samples held out, seed 1"


@pytest.mark.parametrize("count", [10, 11])
def test_something_is_left_to_calibrate_with(count: int) -> None:
    with pytest.raises(DataError, match=f"{count} of 10 different calibration samples cannot be held out"):
        held_out(ArrayDataset(np.arange(10.0).reshape(10, 1)), count)


def test_what_is_found_is_what_compare_finds() -> None:
    graph, x, y = network()
    found = tune(
        graph, (x, y), GRID, rules="best", timesteps="2..4", hold_out=40, test=(x[:30], y[:30]), allow_overlap=True
    )
    assert len(found.tried) == 4
    parts = held_out(as_dataset((x, y), graph.inputs), 40)
    by_hand = sw.convert(graph, parts.fitting, "percentile:99,channels")
    measured = sw.measure(by_hand, parts.held_out, 4)
    one = next(t for t in found.tried if str(t.point) == "method=percentile:99,channels gain=1")
    np.testing.assert_array_equal(one.scored.score, measured.accuracy)
    assert measured.analog_accuracy is not None
    assert measured.accuracy is not None
    assert found.reference == measured.analog_accuracy
    np.testing.assert_allclose(one.scored.lost, 100 * (measured.analog_accuracy - measured.accuracy))
    assert one.scored.synops == pytest.approx(measured.total_synops)
    assert one.scored.firing_rate == pytest.approx(measured.firing_rate)
    best = found.recommended
    assert best.row.lost == min(row.lost for row in found.rows)
    assert best.conversion.calibration.samples == 120  # settled on all of them
    assert best.measures is not None
    assert best.measures.timesteps == best.row.timesteps
    assert "best: method=" in str(found).splitlines()[-3]
    assert found.labelled
    assert found.title == "accuracy"


def test_test_data_have_no_part_in_the_choice() -> None:
    """Poisoned test data change nothing but what is measured on them."""
    graph, x, y = network()
    asked: dict[str, Any] = {"rules": ["best", "smallest T within 5 points"], "timesteps": "2..4", "hold_out": 40}
    without = tune(graph, (x, y), GRID, **asked)
    poisoned = tune(graph, (x, y), GRID, test=(1e3 * x[::-1], (y + 1) % 3), **asked)
    assert [one.row for one in without.settled] == [one.row for one in poisoned.settled]
    for one, other in zip(without.tried, poisoned.tried, strict=True):
        np.testing.assert_array_equal(one.scored.score, other.scored.score)
    assert without.conversion == poisoned.conversion
    assert without.recommended.measures is None


def test_without_labels_the_trained_networks_answers_count() -> None:
    graph, x, y = network()
    found = tune(graph, x, "method=max", timesteps=4, hold_out=30)
    assert not found.labelled
    assert found.reference == 1.0
    parts = held_out(as_dataset(x, graph.inputs), 30)
    measured = sw.measure(sw.convert(graph, parts.fitting, "max"), parts.held_out, 4)
    assert measured.agreement is not None
    np.testing.assert_array_equal(found.tried[0].scored.score, measured.agreement)
    np.testing.assert_allclose(found.tried[0].scored.lost, 100 * (1 - measured.agreement))
    other = tune(graph, (x, y + 50), "method=max", timesteps=4, hold_out=30)  # labels of another task
    assert not other.labelled
    assert "the labels are not used: label 5" in other.notes[0]
    assert (sample_digests(parts.fitting) != 0).all()


def test_regression_counts_in_points_of_r_squared() -> None:
    b = residual(2)
    graph, x = b.graph(), b.samples(60)
    y = run(sw.prepare(graph)[0], x)["output"].astype(np.float32)
    found = tune(graph, (x, y), "method=max", timesteps="8..16", task="regression", hold_out=20)
    measured = sw.measure(
        sw.convert(graph, held_out(as_dataset((x, y), graph.inputs), 20).fitting, "max"),
        held_out(as_dataset((x, y), graph.inputs), 20).held_out,
        16,
        task="regression",
    )
    np.testing.assert_allclose(found.tried[0].scored.lost, 100 * (1 - measured.head.scores["r2"]), atol=1e-3)
    assert found.title == "mean squared error"
    assert not found.percent


def test_a_search_draws_and_halves() -> None:
    graph, x, y = network(samples=400)
    grid = Grid.parse(["method=max", "method=percentile:99,channels", "gain=1..6"])
    found = tune(graph, (x, y), grid, trials=10, seed=3, timesteps="2..4", hold_out=260)
    assert {one.point for one in found.tried} < set(grid.drawn(10, 3))
    assert len(found.tried) == 3  # 10 on 65 samples, 5 on 130, 3 on all
    assert found.grid.endswith("10 trials, seed 3")


class Interrupted(Exception):
    pass


def test_a_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x, y = network()
    store = tmp_path / "sweep.parquet"
    asked: dict[str, Any] = {"timesteps": "2..4", "hold_out": 40}
    expected = tune(graph, (x, y), GRID, **asked)
    seen: list[str] = []
    scored = tuning.job.Yardstick.scored

    def counted(self: Any, *given: Any, **options: Any) -> Any:
        if len(seen) == 2:
            raise Interrupted
        seen.append("one")
        return scored(self, *given, **options)

    monkeypatch.setattr(tuning.job.Yardstick, "scored", counted)
    with pytest.raises(Interrupted):
        tune(graph, (x, y), GRID, store=store, **asked)
    seen.clear()
    found = tune(graph, (x, y), GRID, store=store, **asked)
    assert len(seen) == 2  # the other two
    for one, other in zip(found.tried, expected.tried, strict=True):
        assert one.point == other.point
        np.testing.assert_array_equal(one.scored.score, other.scored.score)
        np.testing.assert_array_equal(one.scored.lost, other.scored.lost)
        assert one.scored.synops == other.scored.synops
    assert found.recommended.row == expected.recommended.row
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.parquet"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"grid": [*GRID, "gain=3"]}, "another grid"),
        ({"timesteps": "2..8"}, "another settings"),
        ({"hold_out": 41}, "another data"),
        ({"trials": 2}, "another grid"),
        ({"seed": 5}, "another data"),
    ],
)
def test_another_sweep_is_refused(change: dict[str, Any], what: str, tmp_path: Path) -> None:
    graph, x, y = network()
    store = tmp_path / "sweep.parquet"
    asked: dict[str, Any] = {"grid": GRID, "timesteps": "2..4", "hold_out": 40, "store": store}
    tune(graph, (x, y), **asked)
    before = store.read_bytes()
    with pytest.raises(DataError, match=f"holds what was found of {what}; choose another path for --store, or give"):
        tune(graph, (x, y), **{**asked, **change})
    assert store.read_bytes() == before
    tune(graph, (x, y), **{**asked, **change}, force=True)
    assert store.read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + b"x" * 400 + b"PAR1"])
def test_what_is_no_sweep_is_refused(content: bytes, tmp_path: Path) -> None:
    graph, x, y = network()
    (tmp_path / "sweep.parquet").write_bytes(content)
    with pytest.raises(DataError, match="no sweep, or damaged"):
        tune(graph, (x, y), GRID, store=tmp_path / "sweep.parquet", hold_out=40)


def test_everything_is_refused_before_data_are_read(tmp_path: Path) -> None:
    graph, x, y = network()

    class Unread(ArrayDataset):
        def raw(self) -> Any:
            raise AssertionError("read")

        batches = raw

    data = Unread(x, y)
    for grid, more, said in (
        ("gain=0", {}, "gain takes"),
        ("neurons=conv99: spikes=2", {}, "no population is called 'conv99'"),
        ("gain=1", {"rules": "nonsense"}, "no rule is written"),
        ("gain=1", {"rules": []}, "no rule is given"),
        ("gain=1", {"rules": "best at T=64"}, "of a T that is not looked at"),
        ("gain=1", {"timesteps": "0"}, "timesteps must be 1"),
        ("gain=1", {"trials": 0}, "trials must be 1"),
        ("gain=1", {"test": (x, y + 50)}, "label 5"),
    ):
        with pytest.raises((SettingsError, DataError), match=said):
            tune(graph, data, grid, **more)
    leaky = Graph(
        [Input(name="i", shape=(3,)), LeakyReLU(name="l", inputs=("i",), slope=0.1), Output(name="o", inputs=("l",))]
    )
    with pytest.raises(UnsupportedModelError):
        tune(leaky, x, "gain=1")
    with pytest.raises(SettingsError, match=r"sweep\.csv: a sweep is kept as \.parquet"):
        tune(graph, (x, y), "gain=1", store=tmp_path / "sweep.csv")


def test_event_frames() -> None:
    """λ are found on the mean frame, and the gain is tuned on frames, one a timestep."""
    b = plain(7)
    graph = b.graph()
    frames = np.random.default_rng(0).poisson(0.4, (60, 6, *b.samples(1).shape[1:])).astype(np.float32)
    means = expected_inputs(as_dataset(frames), EventFrames())
    np.testing.assert_allclose(next(means.batches(60))[0], frames.mean(axis=1), rtol=1e-6)
    assert isinstance(means, ExpectedInputs)
    assert means.shape == graph.sample_shape
    found = tune(graph, frames, ["gain=1..3", "spikes=multi"], timesteps=6, encoder="events", hold_out=20)
    assert [one.point["gain"] for one in found.tried] == ["1", "2", "3"]
    rates = [one.scored.firing_rate for one in found.tried]
    assert rates[0] < rates[1] < rates[2]
    parts = held_out(as_dataset(frames), 20)
    mean = next(expected_inputs(parts.fitting, EventFrames()).batches(99))[0]
    by_hand = sw.measure(sw.convert(graph, mean, neurons="spikes=multi"), parts.held_out, 6, encoder="events")
    np.testing.assert_array_equal(found.tried[0].scored.score, by_hand.agreement)
    assert found.tried[0].scored.synops == pytest.approx(by_hand.total_synops)


def test_every_setting_reaches_the_conversion() -> None:
    graph, x, y = network()
    point = Point.parse("method=max v_init=0.25 spikes=3 reset=zero leak=0.9 v_min=-1 view=thresholds gain=2")
    grid = Grid(tuple((name, (text,)) for name, text in point.settings))
    found = tune(graph, (x, y), grid, timesteps=Timesteps(2, 3), hold_out=40).conversion
    assert found.neurons == point.neurons
    assert found.view == "thresholds"
    assert str(found.corrections[0]) == "gain:factor=2.0"
    assert found.calibration.method == "max"
