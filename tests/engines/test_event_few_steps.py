"""Runs of few timesteps: short chunks, plans that are kept, and sums over samples that nobody looks at one by one."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

import spikewright as sw
from runs import same, sender
from spikewright.engines.event import is_built
from spikewright.engines.recording import Record
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph
from spikewright.nodes import SpikeMaxPool
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native, plans  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402


@pytest.mark.parametrize("timesteps", [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 72])
def test_chunks_of_every_length(timesteps: int) -> None:
    """Spans of 8, 16, 32 and 64 steps, full and not, and short chunks behind long ones."""
    for seed in range(100 * timesteps, 100 * timesteps + 4):
        graph, x = spiking_network(seed, blocks=6)
        batch = torch.from_numpy(x)
        for name in ("constant", "poisson"):
            expected = Simulation(graph).run(batch, timesteps, sender(name), ("spikes", "nonzero"))
            for isa in _native.instruction_sets():
                found = EventSimulation(graph, isa=isa).run(batch, timesteps, sender(name), ("spikes", "nonzero"))
                same(graph, expected, found)


@pytest.mark.parametrize("chunk", [1, 8, 16, 17, 32])
def test_short_chunks_one_after_the_other(chunk: int) -> None:
    for seed in range(40, 46):
        graph, x = spiking_network(seed, blocks=6)
        batch = torch.from_numpy(x)
        expected = Simulation(graph).run(batch, 37, sender("constant"), ("events",))
        same(graph, expected, EventSimulation(graph, chunk=chunk).run(batch, 37, sender("constant"), ("events",)))


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """The graphs that are compiled from now on."""
    found: list[Graph] = []
    compile_graph = plans.compile_graph

    def noted(graph: Graph, **settings: object) -> object:
        found.append(graph)
        return compile_graph(graph, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(plans, "compile_graph", noted)
    return found


def test_a_second_run_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(monkeypatch)
    graph, x = spiking_network(3)
    one, other = (sw.simulate(graph, x, steps, engine="event", quiet=True) for steps in (4, 9))
    assert len(made) == 1
    np.testing.assert_array_equal(one.output, other.output[:, :4])
    sw.simulate(graph, x, 4, engine="event", quiet=True, record="nonzero")
    assert len(made) == 2, "what is recorded makes another plan"
    sw.simulate(graph, x, 4, engine="event", quiet=True, record="nonzero")
    sw.simulate(graph, x, 4, engine="event", quiet=True)
    assert len(made) == 2


def test_plans_go_with_their_graph_and_are_no_part_of_it() -> None:
    graph, x = spiking_network(3)
    gc.collect()
    size, before = len(pickle.dumps(graph)), len(plans._KEPT)
    sw.simulate(graph, x, 4, engine="event", quiet=True)
    assert len(plans._KEPT) == before + 1
    assert len(pickle.dumps(graph)) == size
    del graph
    gc.collect()
    assert len(plans._KEPT) == before


def test_few_plans_of_a_graph_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(monkeypatch)
    graph, x = spiking_network(3)
    batch = torch.from_numpy(x)
    for isa in ("wide", "portable"):
        for record in ((), ("nonzero",), ("potentials",)):
            EventSimulation(graph, isa=isa).run(batch, 2, sender("constant"), record)
    assert len(plans._KEPT[graph]) == plans.MOST_KEPT
    assert len(made) == 6
    EventSimulation(graph, isa="portable").run(batch, 2, sender("constant"), ("potentials",))
    assert len(made) == 6, "the last are kept"


@pytest.mark.parametrize("encoder", ["constant", "poisson"])
def test_sums_over_samples_are_what_single_samples_add_up_to(encoder: str) -> None:
    """What nobody looks at one by one is summed by the native core, on several threads."""
    pools = 0
    for seed in range(40):
        graph, x = spiking_network(seed)
        pools += len(graph.of_type(SpikeMaxPool))
        batch = torch.from_numpy(np.concatenate([x, -x, x / 2]))
        recording = Record(("nonzero",)).fitted(graph, 10)
        each = Simulation(graph).run(batch, 10, sender(encoder), recording)
        recording = type(recording)(recording.nodes, recording.steps, recording.timesteps, summed=True)
        total = EventSimulation(graph, threads=3).run(batch, 10, sender(encoder), recording)
        assert each.graded == total.graded
        for kind in ("counts", "negative", "nonzero"):
            expected, found = getattr(each, kind), getattr(total, kind)
            assert set(expected) == set(found)
            for name, values in expected.items():
                sums = (of.double().sum(dim=0).numpy() for of in (found[name], values))
                np.testing.assert_array_equal(*sums, err_msg=f"{kind} {name}")
    assert pools > 3


def test_observers_see_single_samples() -> None:
    graph, x = spiking_network(3)
    seen: list[int] = []
    watched = sw.simulate(
        graph,
        x,
        6,
        engine="event",
        quiet=True,
        record="nonzero",
        observers=[lambda _, done: seen.extend(len(counts) for counts in done.counts.values())],
    )
    alone = sw.simulate(graph, x, 6, engine="event", quiet=True, record="nonzero")
    assert set(seen) == {len(x)}
    for kind in ("counts", "nonzero", "negative"):
        one, other = getattr(watched, kind), getattr(alone, kind)
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
