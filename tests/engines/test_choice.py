"""Which engine ``auto`` takes: the one that measurements say, whatever the data and however a run is cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.encoders.constant import Constant
from spikewright.engines.choose import choose_engine
from spikewright.engines.cost import EVENT, REFERENCE, seconds
from spikewright.engines.event import is_built
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.recording import Record
from spikewright.engines.settings import RunSettings
from spikewright.engines.work import FIRING, event_work, reference_work
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Flatten, Input, Linear, Output

needs_core = pytest.mark.skipif(not is_built(), reason="the event engine is not built")
RECORDED = Path(__file__).parents[2] / "benchmarks" / "results" / "engine_choice.jsonl"
MISSED = 0.05
"""The part of the recorded cases in which the model may be more than 1.2 times off."""


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def test_the_model_takes_the_engine_that_was_measured_to_be_faster() -> None:
    off = []
    for line in lines():
        if "event" in line:
            foreseen = {"event": seconds(line["event"], EVENT), "reference": seconds(line["reference"], REFERENCE)}
            taken = min(foreseen, key=lambda name: foreseen[name])
            off.append(line["ms"][taken] / min(line["ms"].values()))
    assert len(off) > 80
    assert sum(far > 1.2 for far in off) <= MISSED * len(off)


def convolutions(**neurons: Any) -> Graph:
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 0.1, shape).astype(np.float32)

    plain: Any = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}

    return Graph(
        [
            Input(name="image", shape=(2, 8, 8)),
            Conv(name="first", inputs=("image",), weight=weights(16, 2, 3, 3), bias=np.zeros(16), **plain),
            IF(name="a", inputs=("first",), threshold=1.0, v_init=0.5, **neurons),
            Conv(name="second", inputs=("a",), weight=weights(24, 16, 3, 3), bias=np.zeros(24), **plain),
            IF(name="b", inputs=("second",), threshold=1.0, v_init=0.5, **neurons),
            Flatten(name="flat", inputs=("b",)),
            Linear(name="last", inputs=("flat",), weight=weights(10, 24 * 16), bias=np.zeros(10)),
            Output(name="answer", inputs=("last",)),
        ]
    )


@needs_core
def test_work_is_counted_from_shapes() -> None:
    graph, recording = convolutions(), Record("spikes").fitted(convolutions(), 8)
    prepared = EventSimulation(graph).prepare(Constant(), recording)
    work = event_work(graph, prepared, recording, 5)
    second, last = 24 * 16 * 16 * 9, 24 * 16 * 10
    assert work["products at rest"] == 5 * 16 * 36 * 18
    assert work["additions"] == pytest.approx(5 * 8 * FIRING * (second + last * 16 / 10))  # ten outputs in two vectors
    assert work["neurons"] == 5 * 8 * (16 * 36 + 24 * 16)
    assert work["recorded"] == 5 * 8 * (16 * 36 + 24 * 16)
    other = reference_work(graph, Constant(), recording, 5)
    assert other["products"] == 5 * 8 * (16 * 36 * 18 + second + last)
    assert other["neurons"] == 5 * 8 * (16 * 36 + 24 * 16)
    assert other["population calls"] == 2 * 8


def test_all_work_has_a_price() -> None:
    kinds: dict[str, set[str]] = {"event": set(), "reference": set()}
    for line in lines():
        for engine, found in kinds.items():
            found |= {kind for kind, amount in line.get(engine, {}).items() if amount}
    assert kinds["event"] <= set(EVENT)
    assert kinds["reference"] <= set(REFERENCE)
    assert all(price > 0 for price in (*EVENT.values(), *REFERENCE.values()))


@needs_core
def test_recording_potentials_adds_what_is_recorded_and_nothing_else() -> None:
    graph = convolutions()
    works = []
    for record in (Record(), Record("potentials", "b"), Record("potentials")):
        recording = record.fitted(graph, 8)
        works.append(event_work(graph, EventSimulation(graph).prepare(Constant(), recording), recording, 1))
    assert [work.pop("recorded") for work in works] == [0, 8 * 24 * 16, 8 * (16 * 36 + 24 * 16)]
    assert works[0] == works[1] == works[2]


@needs_core
def test_without_gathering_all_is_scattered() -> None:
    graph = convolutions()
    recording = Record("potentials").fitted(graph, 8)
    scattering = EventSimulation(graph, gather=False).prepare(Constant(), recording)
    work = event_work(graph, scattering, recording, 1)
    assert work["scattered spikes"] == pytest.approx(8 * FIRING * (24 * 16 * 16 * 9 + 24 * 16 * 10))
    assert not work.get("additions")


@needs_core
@pytest.mark.parametrize(
    ("neurons", "record", "timesteps", "batch", "engine"),
    [
        ({}, (), 8, 100, "event"),
        ({}, ("spikes",), 64, 100, "event"),
        ({"max_spikes": 4, "signed": True}, (), 8, 20, "event"),
        ({}, ("nonzero",), 16, 100, "event"),
        ({}, (), 1, 1, "reference"),
        ({}, ("potentials",), 1, 20, "reference"),
    ],
)
def test_small_networks_run_on_events_but_for_one_step(
    neurons: dict[str, Any], record: tuple[str, ...], timesteps: int, batch: int, engine: str
) -> None:
    """One step of few samples is over before lists of events pay, as measurements of small networks say."""
    graph = convolutions(**neurons)
    settings = RunSettings(timesteps=timesteps, batch_size=batch)
    choice = choose_engine(graph, Constant(), Record(record).fitted(graph, timesteps), settings)
    assert choice.simulator.name == engine
    assert choice.reason.startswith("foreseen for a sample on one thread: event ")


def test_the_choice_depends_on_neither_data_nor_parts() -> None:
    graph, random = convolutions(), np.random.default_rng(1)
    x = random.random((7, 2, 8, 8), np.float32)
    whole = sw.simulate(graph, x, 4, quiet=True)
    assert whole.engine_reason
    data = sw.ArrayDataset(x)
    parts = [sw.simulate(graph, data.part(k, 3), 4, quiet=True) for k in range(3)]
    for other in (*parts, sw.simulate(graph, np.zeros_like(x), 4, quiet=True)):
        assert (other.engine, other.engine_reason) == (whole.engine, whole.engine_reason)
    merged = sw.Run.merged(parts)
    assert (merged.engine, merged.engine_reason) == (whole.engine, whole.engine_reason)


def test_a_run_says_why_it_is_that_engine() -> None:
    graph, x = convolutions(), np.zeros((2, 2, 8, 8), np.float32)
    assert sw.simulate(graph, x, 4, engine="reference", quiet=True).engine_reason == "asked for"
    precise = sw.simulate(graph, x, 4, dtype="float64", quiet=True)
    assert precise.engine == "reference"
    assert "float64" in precise.engine_reason or not is_built()
    layered = convolutions().replaced(*(node.replace(schedule="layered") for node in graph.of_type(IF)))
    assert sw.simulate(layered, x, 4, quiet=True).engine_reason == "a window is a dense step"
