"""Parts of a data set: what each gives is its part of the whole run, and merged they are the whole, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.data import ArrayDataset, as_dataset
from spikewright.data.images import PictureDataset
from spikewright.data.pictures import PictureFiles
from spikewright.encoders.poisson import Poisson
from spikewright.engines import Record, Run, RunSettings
from spikewright.engines.cuda.simulation import CudaSimulation
from spikewright.engines.event import is_built
from spikewright.errors import DataError, SettingsError
from spikewright.events import load_events
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output
from spikewright.rates import Rates, simulated_rates
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
ENGINES = ("reference", "event", "cuda") if is_built() else ("reference", "cuda")
COLUMNS = ("sample", "timestep", "neuron", "value")


@pytest.fixture(autouse=True)
def cuda_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cuda engine without its kernels, so that ``simulate`` takes it anywhere."""
    monkeypatch.setattr(
        "spikewright.engines.choose._cuda_engine", lambda graph, *_: CudaSimulation(graph, "cpu", budget=2**16)
    )


def equal(one: Run, other: Run) -> None:
    assert (one.samples, one.timesteps, one.first_sample, one.engine, one.dt, one.graded, one.warnings) == (
        other.samples,
        other.timesteps,
        other.first_sample,
        other.engine,
        other.dt,
        other.graded,
        other.warnings,
    )
    np.testing.assert_array_equal(one.steps, other.steps)
    np.testing.assert_array_equal(np.asarray(one.labels), np.asarray(other.labels))
    for label in ("outputs", "counts", "spikes", "potentials", "nonzero"):
        found, wanted = getattr(one, label), getattr(other, label)
        assert list(found) == list(wanted), label
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{label} {name}")
            assert found[name].dtype == value.dtype
    assert list(one.events) == list(other.events)
    for name, events in other.events.items():
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(one.events[name], column), getattr(events, column))


def samples(seed: int, count: int = 11) -> tuple[Graph, ArrayDataset]:
    graph, x = spiking_network(seed)
    drawn = np.random.default_rng(seed).integers(-8, 17, (count, *x.shape[1:])) / 8
    return graph, ArrayDataset(drawn.astype(np.float32), np.arange(count) % 3)


RECORDED = (Record(), Record(("spikes", "nonzero")), Record(("events", "potentials"), steps="last:2"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("encoder", ["constant", "poisson"])
@pytest.mark.parametrize("record", RECORDED, ids=str)
def test_merged_parts_are_the_whole_run(engine: str, encoder: str, record: Record) -> None:
    chosen = Poisson(scale=2.0, seed=5) if encoder == "poisson" else encoder
    for seed, (n, batch_size) in enumerate([(2, 4), (3, 100), (11, 3)]):
        graph, data = samples(seed)
        settings = RunSettings(6, chosen, batch_size, engine=engine, dt=1e-3)  # type: ignore[arg-type]
        whole = sw.simulate(graph, data, settings=settings, record=record, quiet=True)
        runs = [sw.simulate(graph, data.part(k, n), settings=settings, record=record, quiet=True) for k in range(n)]
        equal(Run.merged(runs), whole)
        equal(runs[0] + Run.merged(runs[1:]), whole)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_is_exactly_its_part_of_the_whole_run(engine: str) -> None:
    graph, data = samples(4)
    how: dict[str, Any] = {"engine": engine, "encoder": Poisson(scale=2.0), "record": ("spikes", "events")}
    whole, part = sw.simulate(graph, data, 6, **how), sw.simulate(graph, data.part(1, 3), 6, batch_size=2, **how)
    assert (part.first_sample, part.samples) == (3, 4)
    rows = slice(3, 7)
    np.testing.assert_array_equal(part.output, whole.output[rows])
    np.testing.assert_array_equal(part.labels, whole.labels[rows])  # type: ignore[index,arg-type]
    for name, spikes in part.spikes.items():
        np.testing.assert_array_equal(spikes, whole.spikes[name][rows])
        np.testing.assert_array_equal(part.counts[name], spikes.sum(axis=(0, 1)))
        np.testing.assert_array_equal(part.events[name].dense(4, 6, first=3), spikes)
    again = sw.simulate(graph, data.x[rows], 6, first_sample=3, **how)
    np.testing.assert_array_equal(again.output, part.output)


def test_warnings_of_parts_are_those_of_the_whole() -> None:
    """A population that fires in one part only is no silent one; samples are alike in each part, not in all."""
    graph = Graph(
        [
            Input(name="x", shape=(1,), event_value=1.0),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
            Output(name="y", inputs=("n",)),
        ]
    )
    data = as_dataset(np.array([[0.1], [0.1], [0.9], [0.9]], np.float32))
    settings = RunSettings(4)
    runs = [sw.simulate(graph, data.part(k, 2), settings=settings, quiet=True) for k in range(2)]
    assert any("never fired" in warning for warning in runs[0].warnings)
    assert any("are 0.9 everywhere" in warning for warning in runs[1].warnings)
    assert Run.merged(runs).warnings == sw.simulate(graph, data, settings=settings, quiet=True).warnings == ()


def test_sizes_and_places_of_parts() -> None:
    data = as_dataset((np.arange(22, dtype=np.float32).reshape(11, 2), np.arange(11)))
    for n in range(1, 12):
        parts = [data.part(k, n) for k in range(n)]
        assert {len(part) for part in parts} <= {11 // n, 11 // n + 1}
        assert [part.first_sample for part in parts] == [int(part.targets[0]) for part in parts]  # type: ignore
        np.testing.assert_array_equal(np.concatenate([part.targets for part in parts]), np.arange(11))  # type: ignore
    assert data.part(1, 2).part(1, 3).first_sample == int(data.part(1, 2).part(1, 3).targets[0])  # type: ignore
    assert data.part(1, 2).take(2).first_sample == 5
    assert data.part(1, 2).subset(np.array([3, 1])).first_sample == 0
    pictures = PictureDataset(PictureFiles(map(Path, "abcde")))
    assert [(len(pictures.part(k, 2)), pictures.part(k, 2).first_sample) for k in range(2)] == [(2, 0), (3, 2)]
    for k, n, said in (
        (2, 2, "there is no part 2 of 2; the parts are 0 to 1"),
        (0, 12, "a data set of 11 samples has no 12 parts; ask for at most 11"),
        (-1, 2, "the part of a data set must be 0 or more, not -1"),
        (0, 0, "the number of parts must be 1 or more, not 0"),
    ):
        with pytest.raises(SettingsError, match=said):
            data.part(k, n)
    broken = replace(data, x=np.where(np.arange(11)[:, None] == 9, np.nan, data.x))  # type: ignore[type-var]
    with pytest.raises(DataError, match="sample 9 holds NaN"):
        list(broken.part(2, 3).batches(4))


def test_runs_that_do_not_follow_each_other_are_refused() -> None:
    graph, data = samples(2)
    first, second, third = (sw.simulate(graph, data.part(k, 3), 4, quiet=True) for k in range(3))
    plain = sw.simulate(graph, data.x[3:7], 4, quiet=True)
    longer = sw.simulate(graph, data.part(1, 3), 5, quiet=True)
    recorded = sw.simulate(graph, data.part(1, 3), 4, record="spikes", quiet=True)
    for runs, said in (
        ([], "there are no runs to merge"),
        ([first, third], "this one begins at sample 7, the samples before it end at 3"),
        ([second, first], "this one begins at sample 0"),
        ([first, plain], "first_sample=3"),
        ([first, longer], "timesteps of the first are 4, of another 5"),
        ([first, recorded], "made in the same way: spikes"),
    ):
        with pytest.raises(SettingsError, match=said) as caught:
            Run.merged(runs)
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError):
        _ = first + 3


def test_events_of_a_part_in_a_folder(tmp_path: Path) -> None:
    graph, data = samples(3)
    how: dict[str, Any] = {"encoder": Poisson(scale=2.0), "batch_size": 2}
    whole = sw.simulate(graph, data, 6, record="events", **how)
    sw.simulate(graph, data.part(2, 3), 6, events_to=tmp_path / "events", **how)
    stored = load_events(tmp_path / "events")
    assert (stored.first_sample, stored.samples) == (7, 4)
    for name, events in whole.events.items():
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(stored[name], column), getattr(events, column)[events.sample >= 7])


def test_rates_of_parts_merge() -> None:
    weight = np.array([[0.5, 0.25], [1.0, -0.5]], np.float32)
    graph = Graph(
        [
            Input(name="x", shape=(2,)),
            Linear(name="w", inputs=("x",), weight=weight, bias=np.full(2, 0.125)),
            IF(name="n", inputs=("w",), threshold=1.0, v_init=0.5),
            Output(name="y", inputs=("n",)),
        ]
    )
    data = as_dataset(np.random.default_rng(0).random((7, 2), np.float32))
    settings = RunSettings(8, "poisson", seed=2, batch_size=3)
    whole = simulated_rates(graph, data, settings=settings)
    parts = [simulated_rates(graph, data.part(k, 3), settings=settings) for k in range(3)]
    merged = Rates.merged(parts)
    assert (merged.samples, merged.timesteps, merged.network) == (7, 8, graph.fingerprint)
    assert list(merged.values) == list(whole.values)
    for name, values in whole.values.items():
        np.testing.assert_allclose(merged.values[name], values, rtol=1e-14)
    with pytest.raises(SettingsError, match="rates merge where each says of how many samples"):
        Rates.merged([])
    with pytest.raises(DataError, match="different networks or timesteps"):
        Rates.merged([whole, simulated_rates(graph, data, 9)])
