"""Settings of a run and what it records: two values, or the keywords that build them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from runs import same
from spikewright.data import as_dataset
from spikewright.encoders.poisson import Poisson
from spikewright.engines import Record, RunSettings, Simulation
from spikewright.engines.cuda.simulation import CudaSimulation
from spikewright.engines.event import is_built
from spikewright.engines.reference import BatchRun
from spikewright.errors import SettingsError
from spikewright.events import load_events
from spikewright.graph import Graph
from spikewright.measures import measure
from spikewright.nodes import IF, Input, Linear, Output
from spikewright.rates import simulated_rates
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
ENGINES = ("reference", "event", "cuda") if is_built() else ("reference", "cuda")


def two_layers(**meta: Any) -> Graph:
    """Two populations, with names that are no patterns."""
    weight = np.array([[0.5, 0.25], [1.0, -0.5]], np.float32)
    nodes: list[Any] = [Input(name="x", shape=(2,))]
    for k, name in enumerate(("conv1.if", "conv2.if")):
        nodes.append(Linear(name=f"w{k}", inputs=(nodes[-1].name,), weight=weight, bias=np.full(2, 0.125)))
        nodes.append(IF(name=name, inputs=(f"w{k}",), threshold=1.0, v_init=0.5))
    return Graph([*nodes, Output(name="y", inputs=("conv2.if",))], meta)


X = np.array([[1.0, 0.5], [0.25, 0.0], [0.75, 1.0]], np.float32)


def engine_of(name: str, graph: Graph) -> Any:
    if name == "event":
        from spikewright.engines.event.simulation import EventSimulation

        return EventSimulation(graph, threads=2, chunk=3)
    return CudaSimulation(graph, "cpu", 2**14) if name == "cuda" else Simulation(graph)


def of_record(run: BatchRun, record: Record, steps: list[int], names: set[str]) -> BatchRun:
    """What is left of everything once some nodes and steps are taken out of it in numpy."""

    def chosen(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value[:, steps] for name, value in values.items() if name in names}

    return replace(
        run,
        spikes=chosen(run.spikes) if "spikes" in record.what else {},
        potentials=chosen(run.potentials) if "potentials" in record.what else {},
        events={name: events.at_steps(np.array(steps)) for name, events in run.events.items() if name in names}
        if "events" in record.what
        else {},
        nonzero={},
        graded=set(),
    )


STEPS = {
    "all": list(range(11)),
    "last:3": [8, 9, 10],
    "every:4": [3, 7],
    "2:9:3": [2, 5, 8],
    "10:11": [10],
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", STEPS)
def test_every_engine_records_the_nodes_and_steps_that_are_asked_for(engine: str, steps: str) -> None:
    kinds = [("spikes",), ("events",), ("potentials",), ("spikes", "potentials"), ("spikes", "events", "potentials")]
    for seed, what in enumerate(kinds):
        graph, x = spiking_network(seed + 10 * len(steps))
        there = graph.of_type(IF) if what == ("potentials",) else graph.populations
        names = {node.name for node in there[seed % 2 :: 2] or there}
        record = Record(what, tuple(sorted(names)), steps)
        batch, encoder = torch.from_numpy(x), Poisson(scale=2.0)
        everything = Simulation(graph).run(batch, 11, encoder, ("spikes", "events", "potentials"))
        found = engine_of(engine, graph).run(batch, 11, encoder, record.fitted(graph, 11))
        same(graph, of_record(everything, record, STEPS[steps], names), found)


@pytest.mark.parametrize("engine", ENGINES)
def test_activity_of_some_nodes(engine: str) -> None:
    graph = two_layers()
    record = Record("nonzero", "w1")
    found = engine_of(engine, graph).run(torch.from_numpy(X), 9, Poisson(), record.fitted(graph, 9))
    expected = Simulation(graph).run(torch.from_numpy(X), 9, Poisson(), ("nonzero",))
    assert list(found.nonzero) == ["w1"]
    np.testing.assert_array_equal(found.nonzero["w1"], expected.nonzero["w1"])
    assert found.graded == expected.graded & {"w1"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_asked_for_is_not_kept(engine: str) -> None:
    """At one of two hundred steps of one population: no array has room for more."""
    graph = two_layers()
    record = Record(("spikes", "potentials"), "conv2*", "last:1").fitted(graph, 200)
    found = engine_of(engine, graph).run(torch.from_numpy(X), 200, Poisson(), record)
    for values in (found.spikes, found.potentials):
        assert {name: tuple(value.shape) for name, value in values.items()} == {"conv2.if": (3, 1, 2)}
        assert all(value.untyped_storage().nbytes() == value.numel() * 4 for value in values.values())


def test_keywords_and_values_say_the_same(tmp_path: Path) -> None:
    graph = two_layers()
    by_keywords = sw.simulate(graph, X, timesteps=8, encoder="poisson", seed=3, batch_size=2, record="spikes")
    run = RunSettings(timesteps=8, encoder="poisson", seed=3, batch_size=2)
    by_value = sw.simulate(graph, X, settings=run, record=Record("spikes"))
    for name, spikes in by_keywords.spikes.items():
        np.testing.assert_array_equal(spikes, by_value.spikes[name])
    np.testing.assert_array_equal(by_value.output, sw.simulate(graph, X, 8, encoder=Poisson(seed=3)).output)
    assert by_value.steps.tolist() == list(range(8))
    record = Record("events", "conv1*", range(2, 8, 2), folder=tmp_path / "events", outputs=False)
    some = sw.simulate(graph, X, settings=run, record=record)
    stored = load_events(tmp_path / "events")
    assert list(stored) == list(some.events) == ["conv1.if"]
    np.testing.assert_array_equal(stored["conv1.if"].neuron, some.events["conv1.if"].neuron)
    assert set(stored["conv1.if"].timestep.tolist()) <= {2, 4, 6}
    assert not some.outputs


def test_measure_and_rates_take_the_same_two_values(tmp_path: Path) -> None:
    graph = two_layers()
    run = RunSettings(timesteps=8, encoder="poisson", seed=3, batch_size=2)
    analog = Graph([node for node in graph if node.name in ("x", "w0")] + [Output(name="y", inputs=("w0",))])
    conversion = sw.Conversion(folded=analog, spiking=graph, scales={})
    measures = measure(
        conversion, X, settings=run, record=Record("spikes", "conv2.if", "last:2", outputs=False), allow_overlap=True
    )
    plain = measure(conversion, X, 8, encoder=Poisson(seed=3), batch_size=2, allow_overlap=True)
    assert measures.summary() == plain.summary()
    assert {name: value.shape for name, value in measures.run.spikes.items()} == {"conv2.if": (3, 2, 2)}
    rates = simulated_rates(graph, X, settings=run, record=Record(folder=tmp_path / "events"))
    for name, values in rates.values.items():
        np.testing.assert_array_equal(values, measures.rates.values[name])
    assert len(load_events(tmp_path / "events")) == 2


def test_texts_and_equality() -> None:
    assert str(RunSettings()) == "timesteps=64, encoder=constant"
    assert str(RunSettings(8, "poisson", seed=3)) == "timesteps=8, encoder=poisson, seed=3"
    assert RunSettings(8.0, batch_size=np.int64(3)) == RunSettings(8, batch_size=3)  # type: ignore[arg-type]
    assert replace(RunSettings(encoder="poisson", seed=3), timesteps=5).chosen_encoder == Poisson(seed=3)
    assert RunSettings(device=torch.device("cpu")) == RunSettings()
    assert str(Record()) == "nothing"
    assert str(Record(["spikes", "events"], "conv*", range(4, 8))) == "spikes, events of conv* at 4:8"  # type: ignore[arg-type]
    assert str(Record(folder=Path("a") / "b")) == "events to a/b"
    assert Record("spikes") == Record(("spikes",), ("*",))


GRAPH = two_layers()


def simulated(*given: Any, **keywords: Any) -> Any:
    return sw.simulate(GRAPH, X, *given, **keywords)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: RunSettings(0), "timesteps must be 1 or more, not 0"),
    (lambda: RunSettings(dt=-1.0), "dt must be a positive number of seconds, not -1.0"),
    (lambda: RunSettings(dt="1ms"), "dt must be a finite number or None, not '1ms'"),  # type: ignore[arg-type]
    (lambda: RunSettings(seed=3), "encoder 'constant' draws no numbers: seed is for those that do, such as poisson"),
    (lambda: RunSettings(encoder=Poisson(), seed=3), "the encoder has settings of its own: give it the seed"),
    (lambda: RunSettings(engine="warp"), "engine must be 'auto' or 'event' or"),  # type: ignore[arg-type]
    (lambda: RunSettings(step="signed"), "step must be NeuronStep, not 'signed'"),  # type: ignore[arg-type]
    (lambda: RunSettings(first_sample=-1), "first_sample must be 0 or more, not -1"),
    (lambda: Record("volts"), "cannot record 'volts'; choose from spikes, events, potentials, nonzero"),
    (lambda: Record("spikes", ()), "record: nodes names none"),
    (lambda: Record("spikes", steps="last:0"), "steps must be 'all', 'last:8', 'every:4'"),
    (lambda: Record("spikes", steps="4:2"), "steps must be 'all', 'last:8', 'every:4'"),
    (lambda: Record("spikes", steps=range(3, 3)), "steps must be a range upwards"),
    (lambda: Record("spikes", steps=3), "steps must be 'all'"),  # type: ignore[arg-type]
    (lambda: Record("nonzero", steps="last:2"), "'nonzero' counts all timesteps"),
    (lambda: Record("spikes", folder=3), "folder must be a path, not 3"),  # type: ignore[arg-type]
    (lambda: simulated(8, record=Record("spikes", "conv3*")), "the network has no node 'conv3"),
    (
        lambda: simulated(8, record=Record("spikes", "w0")),
        "'w0' has no spikes to record; these have: conv1",
    ),
    (
        lambda: simulated(8, record=Record("spikes", steps="last:9")),
        "'last:9' reach beyond the 8 timesteps",
    ),
    (lambda: simulated(8, record=Record("spikes", steps="4:9")), "'4:9' reach beyond the 8 timesteps"),
    (
        lambda: simulated(8, settings=RunSettings()),
        r"give settings=RunSettings\(...\) or timesteps, not both",
    ),
    (lambda: simulated(settings=RunSettings(), engine="event"), "or engine, not both"),
    (lambda: simulated(settings=3), "settings must be RunSettings, not 3"),
    (
        lambda: simulated(record=Record(), events_to="a"),
        r"give record=Record\(...\) or events_to, not both",
    ),
    (lambda: simulated(T=8), "there is no setting 'T'; choose from timesteps, encoder"),
    (lambda: simulated_rates(GRAPH, X, 8, record="spikes"), "rates hold no spikes: call simulate for them"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_refusals(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["event", "reference"] if is_built() else ["reference"])
def test_what_could_not_be_kept_is_refused_before_anything_runs(engine: Any) -> None:
    graph, x = spiking_network(3)
    many = np.broadcast_to(x[:1], (10**12, *x.shape[1:]))

    class Begun(Exception):
        pass

    def begun(done: int, _total: int) -> None:
        raise Begun(done)

    with pytest.raises(SettingsError, match=r"keeping the answers of 1,000,000,000,000 samples over 8 timesteps takes"):
        sw.simulate(graph, many, 8, engine=engine, progress=begun)
    with pytest.raises(SettingsError, match="keeping spikes of 1,000,000,000,000 samples"):
        sw.simulate(graph, many, 8, engine=engine, record="spikes", keep_outputs=False, progress=begun)
    with pytest.raises(Begun):  # counts alone do not grow
        sw.simulate(graph, many, 8, engine=engine, keep_outputs=False, progress=begun)
    assert sw.simulate(graph, as_dataset(many).part(7, 10**12), 8, engine=engine, quiet=True).first_sample == 7
