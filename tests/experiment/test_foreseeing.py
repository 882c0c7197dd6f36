"""What cannot be is refused before a sample is read, and what would not fit into memory before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain, residual
from spikewright.corrections import Walk, correctors_of
from spikewright.corrections import memory as corrections_memory
from spikewright.data import ArrayDataset
from spikewright.engines import memory
from spikewright.errors import SettingsError
from spikewright.experiment.foreseeing import check_ways, unscaled
from spikewright.experiment.tuning import Grid, Point


class Unread(ArrayDataset):
    """Samples that nobody may read."""

    def batches(self, size: int) -> Iterator[Any]:
        raise AssertionError(f"{size} samples were read")


IMPOSSIBLE = [
    ({"neurons": "few_spike", "timesteps": 32}, "at most 24 timesteps, not 32"),
    ({"neurons": "layered", "correct": "v_init", "timesteps": 4}, "another network for each T"),
    ({"neurons": "layered", "correct": "bias:4,steps", "timesteps": 4}, "a bias for each of them is one for all"),
    ({"neurons": "layered", "correct": "bursts:2", "timesteps": 4}, "bursts: neurons that exchange window by window"),
    ({"neurons": "layered", "early_exit": 0.01, "timesteps": 4}, "there is nothing to stop before"),
    ({"neurons": "layered", "readout_from": 2, "timesteps": 4}, "over its own window"),
    ({"correct": ["v_init:4", "gain:2"], "timesteps": 4}, "the gain comes first"),
    ({"correct": "v_init:100000", "timesteps": 4}, "v_init:100000: nothing is tuned for 100,000 timesteps"),
    ({"methods": "auto:100000", "timesteps": 4}, "auto:100000: nothing is tuned for 100,000 timesteps"),
    ({"methods": "auto:25,allow=few_spike", "timesteps": 4}, "at most 24 timesteps, not 25"),
    (
        {"methods": "auto:8,allow=layered", "neurons": "leak=0.9", "timesteps": 4},
        "auto:8,allow=layered: Neurons: layered",
    ),
]


@pytest.mark.parametrize(("options", "said"), IMPOSSIBLE)
def test_before_a_sample_is_read(options: dict[str, Any], said: str) -> None:
    b = plain(7)
    x = b.samples(12)
    with pytest.raises(SettingsError, match=said):
        sw.compare(b.graph(), Unread(x), Unread(x), **options)


@pytest.mark.parametrize(
    ("options", "said"), [one for one in IMPOSSIBLE if not {"early_exit", "readout_from"} & set(one[0])]
)
def test_converting_looks_at_no_sample_either(options: dict[str, Any], said: str) -> None:
    if options.get("neurons") == "few_spike":
        return  # it is the run that cannot be
    b = plain(7)
    own = {("method" if name == "methods" else name): value for name, value in options.items() if name != "timesteps"}
    with pytest.raises(SettingsError, match=said):
        sw.convert(b.graph(), Unread(b.samples(12)), **own)


@pytest.mark.parametrize(
    ("grid", "timesteps", "said"),
    [
        (
            ["correct=none", "correct=bias:1000000,steps"],
            4,
            "the point correct=bias:1000000,steps cannot be tried: bias",
        ),
        (
            ["neurons=free", "neurons=few_spike"],
            "4..32",
            "the point neurons=few_spike cannot be tried: few_spike: each",
        ),
        (
            ["neurons=layered", "correct=none", "correct=v_init"],
            "4..8",
            "neurons=layered correct=v_init:4..8 cannot be",
        ),
        (["reset=zero", "neurons=free", "neurons=signed"], 4, "the point reset=zero neurons=signed cannot be tried"),
        (
            ["gain=1..3", "correct=none", "correct=gain:2"],
            4,
            "the point gain=2 correct=gain:2 cannot be tried: the gain",
        ),
    ],
)
def test_the_point_of_a_grid_that_cannot_be_is_named_first(grid: list[str], timesteps: Any, said: str) -> None:
    b = plain(7)
    with pytest.raises(SettingsError, match=said):
        sw.tune(b.graph(), Unread(b.samples(12)), grid, timesteps=timesteps)


def test_neurons_as_usual_have_a_word_in_grids() -> None:
    for point in Grid.parse(["neurons=free", "neurons=spikes=single", "neurons=signed"]).points:
        assert Point.parse(str(point)) == point
    assert Point.parse("neurons=spikes=single") == Point.parse("neurons=free")


def test_what_a_walk_keeps_is_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    b = residual(7)
    conversion = sw.convert(b.graph(), b.samples(20), "max")
    x = b.samples(40)
    walk, most = Walk(conversion, ArrayDataset(x), 8), 0
    for _ in walk:
        kept = [*walk.spiking.kept.values(), *walk.analog.kept.values()]
        most = max(most, sum(one.numel() * one.element_size() for one in kept))
    assert most <= corrections_memory.walk_bytes(conversion.spiking, 40, 8) <= 100 * most
    assert corrections_memory.walk_bytes(conversion.spiking, 4000, 800) > 5000 * most
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    said = "v_init:4: what 40 samples send in 4 timesteps takes about .* GiB, and .* GiB are free: correct for fewer"
    with pytest.raises(SettingsError, match=said):
        sw.correct(conversion, x, "v_init:4", samples=256)
    with pytest.raises(SettingsError, match=r"correct for fewer timesteps, or on fewer samples \(correction_samples"):
        sw.convert(b.graph(), Unread(x), "max", correct="v_init:4")


def test_one_network_serves_all_points_of_its_neurons() -> None:
    b = plain(7)
    folded, made = sw.prepare(b.graph())[0], {}
    for text in ("v_init", "bias:4", "v_init:8"):
        check_ways(folded, [sw.threshold_method("max")], correctors_of(text), made=made)
    assert len(made) == 1
    assert all((np.asarray(value) == 1).all() for value in unscaled(folded).scales.values())


def test_long_runs_have_fewer_samples_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [memory.side_by_side(100, t) for t in (1, 64, 2621, 2622, 2**18, 2**24)] == [100, 100, 100, 99, 1, 1]
    b = plain(7)
    conversion, x = sw.convert(b.graph(), b.samples(20), "max"), b.samples(10)
    usual = sw.simulate(conversion, x, timesteps=8)
    monkeypatch.setattr(memory, "AT_ONCE", 24)
    seen: list[tuple[int, int]] = []
    few = sw.simulate(conversion, x, timesteps=8, progress=lambda *each: seen.append(each))
    assert [done for done, _ in seen] == [3, 6, 9, 10]
    assert (few.output == usual.output).all()
    monkeypatch.setattr(memory, "available", lambda: 1_000)
    said = "the answers to 3 samples at each of 8 timesteps take about .* GiB, and .* GiB are free: run fewer timesteps"
    with pytest.raises(SettingsError, match=said):
        sw.simulate(conversion, x, timesteps=8, engine="reference", keep_outputs=False)


def test_margins_of_an_early_exit_are_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    b = plain(7)
    conversion = sw.convert(b.graph(), b.samples(20), "max")
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    said = "an early exit keeps the margins of 30 samples at 16 timesteps, which takes about"
    with pytest.raises(SettingsError, match=said):
        sw.choose_exit(conversion, b.samples(30), 0.01, sw.RunSettings(16))
    with pytest.raises(SettingsError, match=said):
        sw.measure(conversion, b.samples(30), 16, early_exit=sw.EarlyExit(1.0))


def test_single_spikes_of_a_long_run_are_shown_of_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    from spikewright.measures import measurement

    monkeypatch.setattr(measurement, "RASTER", 5)
    b = plain(7)
    for neurons in ("free", "layered"):
        conversion, x = sw.convert(b.graph(), b.samples(20), "max", neurons=neurons), b.samples(6)
        measures = sw.measure(conversion, x, 12, readout_from=7 if neurons == "free" else 0)
        spikes = sw.simulate(conversion, x[:1], timesteps=12, record="spikes").spikes
        for name, train in measures.raster.items():
            own = spikes[name][0, :5].reshape(5, -1)
            active = np.flatnonzero(own.any(axis=0))
            assert train.shape[0] == 5
            if len(active):
                some = active[np.linspace(0, len(active) - 1, min(40, len(active)), dtype=int)]
                assert (train == own[:, some]).all()
