"""Spike trains event by event: the same in both engines, and the same as the dense record."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from runs import sender
from spikewright.engines.event import is_built
from spikewright.events import Events
from spiking_networks import spiking_network

ENGINES = ("reference", "event") if is_built() else ("reference",)
COLUMNS = {"sample": np.int64, "timestep": np.int32, "neuron": np.int32, "value": np.float32}
native = pytest.mark.skipif(not is_built(), reason="the native core was not built")
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")


def equal(one: Events, other: Events) -> bool:
    return one.shape == other.shape and all(np.array_equal(getattr(one, c), getattr(other, c)) for c in COLUMNS)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), encoder=st.sampled_from(["constant", "poisson"]), batch_size=st.integers(1, 3))
def test_events_are_the_dense_record(engine: sw.engines.Engine, seed: int, encoder: str, batch_size: int) -> None:
    graph, x = spiking_network(seed)
    record = ("spikes", "events")
    run = sw.simulate(graph, x, 9, record=record, encoder=sender(encoder), batch_size=batch_size, engine=engine)
    assert list(run.events) == [node.name for node in graph.populations]
    for name, events in run.events.items():
        np.testing.assert_array_equal(events.dense(3, 9), run.spikes[name])
        assert len(events) == np.count_nonzero(run.spikes[name])  # none twice, none of 0
        assert events.shape == graph.shapes[name]
        assert all(getattr(events, column).dtype == kind for column, kind in COLUMNS.items())
        order = np.lexsort((events.neuron, events.timestep, events.sample))
        np.testing.assert_array_equal(order, np.arange(len(events)))


@native
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch_size=st.integers(1, 3))
def test_both_engines_give_the_same_events(seed: int, batch_size: int) -> None:
    graph, x = spiking_network(seed)
    expected = sw.simulate(graph, x, 70, record="events", engine="reference")  # more than a chunk
    found = sw.simulate(graph, x, 70, record="events", engine="event", batch_size=batch_size)
    assert list(expected.events) == list(found.events)
    assert all(equal(events, found.events[name]) for name, events in expected.events.items())
    assert not found.spikes


def test_what_is_not_asked_for_is_not_kept() -> None:
    graph, x = spiking_network(1)
    assert all(not sw.simulate(graph, x, 3, record="spikes", engine=engine).events for engine in ENGINES)


def test_events_of_two_samples_by_hand() -> None:
    parts = [
        Events.of_steps((1, 3), [step([0, 1], [2, 0]), step([], []), step([0], [1], 3.0)]),
        Events.of_steps((1, 3), [step([], []), step([0], [2])], first=2),
    ]
    events = Events.joined((1, 3), parts)
    assert events.sample.tolist() == [0, 0, 1, 2]
    assert events.timestep.tolist() == [0, 2, 0, 1]
    assert events.neuron.tolist() == [2, 1, 0, 2]
    dense = events.dense(3, 3)
    assert dense.shape == (3, 3, 1, 3)
    assert dense[0, 2, 0, 1] == 3
    assert dense.sum() == 6
    with pytest.raises(IndexError):
        events.dense(2, 3)
    assert not Events.joined((1, 3), []).dense(2, 2).any()


def step(sample: list[int], neuron: list[int], value: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array(sample, np.int64), np.array(neuron, np.int32), np.full(len(sample), value, np.float32)


MEMORY = """
import resource, sys
import numpy as np, spikewright as sw
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output
neurons, timesteps, rate = {neurons}, {timesteps}, {rate}
nodes = [
    Input(name="x", shape=(1,)),
    Linear(name="w", inputs=("x",), weight=np.full((neurons, 1), rate, np.float32), bias=np.zeros(neurons, np.float32)),
    IF(name="n", inputs=("w",), threshold=1.0, v_init=0.0),
    Linear(name="v", inputs=("n",), weight=np.ones((1, neurons), np.float32), bias=np.zeros(1, np.float32)),
    Output(name="y", inputs=("v",)),
]
peaks, spikes = [], []
for samples in {samples}:
    x = np.ones((samples, 1), np.float32)
    run = sw.simulate(Graph(nodes), x, timesteps, batch_size=10, engine={engine!r}, **{options!r})
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    spikes.append(int(sum(counts.sum() for counts in run.counts.values())))
print(*peaks, *spikes)
"""


def peaks_and_spikes(**options: object) -> list[int]:
    """Peak memory in MiB after each run, then the spikes of each."""
    done = subprocess.run([sys.executable, "-c", MEMORY.format(**options)], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@native
@linux
def test_few_events_take_little_memory_however_many_neurons_and_timesteps() -> None:
    """Dense, they would take 1.5 GB."""
    network = {"neurons": 200_000, "timesteps": 2_000, "rate": 1 / 1024, "samples": (1,), "engine": "event"}
    without, _ = peaks_and_spikes(**network, options={})
    recorded, spikes = peaks_and_spikes(**network, options={"record": ("events",)})
    assert spikes == 200_000
    assert recorded < without + 60


@linux
@pytest.mark.parametrize("engine", ENGINES)
def test_memory_does_not_grow_with_a_data_set_that_is_streamed(engine: str, tmp_path: object) -> None:
    """In memory, the events of the second run would take 300 MB more than those of the first."""
    pytest.importorskip("pyarrow")
    few, many, _, spikes = peaks_and_spikes(
        neurons=2_000,
        timesteps=64,
        rate=0.5,
        samples=(20, 250),
        engine=engine,
        options={"events_to": f"{tmp_path}/events", "force": True},
    )
    assert spikes == 16_000_000
    assert many < few + 60
