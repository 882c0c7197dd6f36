"""Potentials that the event engine records while layers gather: those of the reference engine, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from gathering_networks import KINDS, Bottlenecks, many_spikes, residual
from runs import same, sender
from spikewright.engines.event import is_built
from spikewright.engines.recording import Record
from spikewright.engines.reference import Simulation
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Conv, Flatten, Input, Linear, Output

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

SETS = _native.instruction_sets()


def check(graph: Graph, x: Array, timesteps: int, isa: str, chunk: int = 64) -> None:
    """All potentials, those of each population alone, and none leave everything else as it is."""
    batch, encoder = torch.from_numpy(x), sender("constant")
    engine = EventSimulation(graph, threads=2, isa=isa, chunk=chunk)
    names = [node.name for node in graph.of_type(IF)]
    layers = engine.prepare(encoder, ("potentials",)).compiled
    assert all(layers.plan.gathering()[layers.layers[name]] for name in names)
    for nodes in ("*", *names[:: max(1, len(names) // 2)]):
        record = Record(("spikes", "potentials"), nodes).fitted(graph, timesteps)
        same(
            graph,
            Simulation(graph).run(batch, timesteps, encoder, record),
            engine.run(batch, timesteps, encoder, record),
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("isa", SETS)
def test_every_kind_of_neurons(isa: str, kind: str) -> None:
    """Graded values, filters each, fused positions, blocks; more steps than words have, in chunks of every length."""
    for seed, (timesteps, chunk) in enumerate(((9, 64), (70, 64), (40, 16), (7, 2))):
        check(*Bottlenecks(seed, kind, 1.0).network(), timesteps, isa, chunk)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "any" in kind or "trains" in kind])
@pytest.mark.parametrize("isa", SETS)
def test_numbers_that_trains_do_not_hold(isa: str, kind: str) -> None:
    for seed in range(4):
        check(*many_spikes(seed, kind), 5, isa, (64, 2)[seed % 2])


@pytest.mark.parametrize("isa", SETS)
def test_shortcuts_and_thresholds_of_channels(isa: str) -> None:
    for seed in range(4):
        check(*residual(seed, 1 / 64), (33, 5, 70)[seed % 3], isa)


def wide(kind: str, channels: int) -> tuple[Graph, Array]:
    """Kernels of several panels, several blocks of channels, and neurons that nothing but a bias reaches."""
    random = np.random.default_rng(channels)

    def weights(*shape: int) -> Array:
        return (random.integers(-2, 3, shape) / 16 * (random.random(shape) < 0.3)).astype(np.float32)

    same_size = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    each = (random.integers(4, 17, (channels, 5, 5)) / 8).astype(np.float32)
    thresholds = random.integers(4, 17, 11) / 8
    nodes = [
        Input(name="x", shape=(1, 5, 5)),
        Conv(name="c0", inputs=("x",), weight=weights(channels, 1, 3, 3), bias=weights(channels) + 0.25, **same_size),
        IF(name="n0", inputs=("c0",), threshold=each, v_init=each / 2, **KINDS[kind]),
        Conv(name="c1", inputs=("n0",), weight=weights(channels, channels, 3, 3), bias=weights(channels), **same_size),
        IF(name="n1", inputs=("c1",), threshold=1.0, v_init=each / 4, v_min=-2.0, **KINDS[kind]),
        Flatten(name="flat", inputs=("n1",)),
        Linear(name="l", inputs=("flat",), weight=weights(11, channels * 25), bias=weights(11)),
        IF(name="n2", inputs=("l",), threshold=thresholds, v_init=0.5, **KINDS[kind]),
        Output(name="y", inputs=("n2",)),
    ]
    return Graph(nodes), (random.integers(0, 9, (3, 1, 5, 5)) / 8).astype(np.float32)


@pytest.mark.parametrize("isa", SETS)
def test_panels_blocks_and_thresholds_of_neurons(isa: str) -> None:
    for kind in ("single", "signed bursts"):
        for channels in (3, 37, 130):
            check(*wide(kind, channels), 12, isa)


def test_steps_are_picked_out_and_every_thread_has_its_own() -> None:
    graph, x = residual(2, 1 / 64)
    record = Record("potentials", "n[12]", "every:4").fitted(graph, 18)
    expected = Simulation(graph).run(torch.from_numpy(x), 18, sender("constant"), record)
    for threads in (1, 3):
        found = EventSimulation(graph, threads=threads).run(torch.from_numpy(x), 18, sender("constant"), record)
        same(graph, expected, found)
        assert {name: kept.shape[1] for name, kept in found.potentials.items()} == {"n1": 4, "n2": 4}


def test_sixteen_bits_give_way_to_floats() -> None:
    graph, x = residual(3, 1 / 64)
    batch, record = torch.from_numpy(x), ("spikes", "potentials")
    narrow = EventSimulation(graph, dtype="int16")
    same(
        graph,
        Simulation(graph).run(batch, 9, sender("constant"), record),
        narrow.run(batch, 9, sender("constant"), record),
    )
    plan = narrow.prepare(sender("constant")).compiled
    wanted = [(plan.layers["n1"], "potentials", np.zeros((1, 2, graph.shapes["n1"][0] * x[0, 0].size), np.float32))]
    with pytest.raises(_native.PlanError, match="cannot give an array 'potentials'"):
        plan.plan.run(1, 2, 1, 64, [], wanted)
