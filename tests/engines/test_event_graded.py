"""Graded values as products, filters of single channels, and any number of spikes a step: as the reference has it."""

from __future__ import annotations

import numpy as np
import pytest

from gathering_networks import KINDS, Bottlenecks, many_spikes
from runs import same
from spikewright.encoders import encoder
from spikewright.engines.event import is_built
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.graph import Graph
from spikewright.nodes import AvgPool, Flatten, Input, Linear, Output

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

CONSTANT = encoder("constant")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("isa", "chunk"), [("", 64), ("wide", 5), ("portable", 16)])
def test_bottlenecks_run_spike_for_spike(kind: str, isa: str, chunk: int) -> None:
    for seed in range(4):
        graph, x = Bottlenecks(seed, kind, 1.0).network()
        batch = torch.from_numpy(x)
        simulation = EventSimulation(graph, threads=1, chunk=chunk, isa=isa)
        for record in ((), ("events", "nonzero", "spikes")):
            expected = Simulation(graph).run(batch, 9, CONSTANT, record)
            same(graph, expected, simulation.run(batch, 9, CONSTANT, record))
        gathering = simulation.prepare(CONSTANT).compiled.plan.gathering()
        assert all(gathering)


@pytest.mark.parametrize("kind", ["any number", "signed, any number", "more than trains hold", "without debt"])
@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_numbers_beyond_what_trains_hold(kind: str, isa: str) -> None:
    """Thresholds so low that most neurons send more than 15 at most steps, and take as many back."""
    largest = 0.0
    for seed in range(4):
        graph, x = many_spikes(seed, kind)
        batch = torch.from_numpy(x)
        record = ("events", "nonzero", "spikes")
        expected = Simulation(graph).run(batch, 5, CONSTANT, record)
        same(graph, expected, EventSimulation(graph, isa=isa, chunk=2).run(batch, 5, CONSTANT, record))
        largest = max(largest, *(float(spikes.max()) for spikes in expected.spikes.values()))
    assert largest > 15


@pytest.mark.parametrize("kind", ["any number", "more than trains hold"])
@pytest.mark.parametrize("pooled", [True, False])
def test_large_numbers_of_moved_neurons(kind: str, pooled: bool) -> None:
    """Neurons send more than trains hold, and stand elsewhere for what reads them: pooled, or in another order."""
    made = Bottlenecks(0, kind, 1 / 32)
    at = made.neurons(made.conv(made.add(Input(name="input", shape=(2, 6, 6))), 2, 3, 3))
    made.scale, values = 8.0, 3 * 6 * 6
    if pooled:
        at = made.add(AvgPool(name="pool", inputs=(at,), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2))
        at, values = made.neurons(made.conv(at, 3, 5, 3)), 5 * 3 * 3
    at = made.add(Flatten(name="flat", inputs=(at,)))
    at = made.neurons(made.add(Linear(name="full", inputs=(at,), weight=made.weights(7, values), bias=np.zeros(7))))
    made.add(Output(name="output", inputs=(at,)))
    graph, x = Graph(made.nodes), torch.from_numpy((made.random.integers(0, 9, (2, 2, 6, 6)) / 8).astype(np.float32))
    record = ("events", "nonzero", "spikes")
    expected = Simulation(graph).run(x, 5, CONSTANT, record)
    same(graph, expected, EventSimulation(graph).run(x, 5, CONSTANT, record))
    assert max(float(spikes.max()) for spikes in expected.spikes.values()) > 15


@pytest.mark.parametrize("steps", [1, 31, 33, 70])
def test_bursts_over_the_ends_of_words(steps: int) -> None:
    graph, x = Bottlenecks(5, "signed bursts", 0.5).network()
    batch = torch.from_numpy(x)
    expected = Simulation(graph).run(batch, steps, CONSTANT, RECORDS[:1])
    same(graph, expected, EventSimulation(graph).run(batch, steps, CONSTANT, RECORDS[:1]))


def test_memory_does_not_grow_with_timesteps() -> None:
    graph, _ = Bottlenecks(1, "single", 1.0).network()
    plan = EventSimulation(graph).prepare(CONSTANT).compiled.plan
    assert plan.bytes_per_thread(64) == plan.bytes_per_thread(1024)
    lists = EventSimulation(graph, gather=False).prepare(CONSTANT).compiled.plan
    assert plan.bytes_per_thread(64) < 3 * lists.bytes_per_thread(64)


def test_sixteen_bits_beside_graded_values() -> None:
    """What reads graded values stays in single precision; the rest may count in 16 bits, exactly here."""
    graph, x = Bottlenecks(2, "single", 1.0).network()
    batch = torch.from_numpy(x)
    expected = Simulation(graph).run(batch, 9, CONSTANT)
    same(graph, expected, EventSimulation(graph, dtype="int16").run(batch, 9, CONSTANT))
