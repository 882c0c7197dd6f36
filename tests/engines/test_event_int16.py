"""16-bit fixed point: exact where 16 bits hold every weight, close elsewhere, and never around the corner."""

from __future__ import annotations

import numpy as np
import pytest

import spikewright as sw
from gathering_networks import residual
from runs import sender
from spikewright.encoders import encoder as named_encoder
from spikewright.engines.event import is_built
from spikewright.engines.reference import Simulation
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

CONSTANT = named_encoder("constant")


@pytest.mark.parametrize("seed", range(16))
def test_what_16_bits_hold_is_exact(seed: int) -> None:
    graph, x = residual(seed, 1 / 64)
    batch = torch.from_numpy(x)
    expected = Simulation(graph).run(batch, 70, CONSTANT, ("potentials",))
    isa = _native.instruction_sets()[seed % len(_native.instruction_sets())]
    found = EventSimulation(graph, threads=2, isa=isa, dtype="int16").run(batch, 70, CONSTANT)
    within = True
    for node in graph.of_type(IF):
        least = expected.potentials[node.name].amin(dim=(0, 1, 3, 4)).numpy()
        within &= bool((least > -8 * np.asarray(node.threshold)).all())
        if within:  # beyond, potentials stay where 16 bits end
            np.testing.assert_array_equal(
                found.counts[node.name].numpy(), expected.counts[node.name].numpy(), node.name
            )
    assert float(found.counts["n0"].sum()) > 0


@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_instruction_sets_agree(isa: str) -> None:
    graph, x = residual(5, 1e-6)
    batch = torch.from_numpy(x)
    one, other = (EventSimulation(graph, isa=i, dtype="int16").run(batch, 40, CONSTANT) for i in ("portable", isa))
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(counts.numpy(), other.counts[name].numpy(), name)


@pytest.mark.parametrize("seed", range(8))
def test_what_they_do_not_hold_is_close(seed: int) -> None:
    graph, x = residual(100 + seed, 1e-6)
    batch = torch.from_numpy(x)
    exact, narrow = (EventSimulation(graph, dtype=d).run(batch, 64, CONSTANT) for d in ("float32", "int16"))
    for name, counts in exact.counts.items():
        total = float(counts.sum())
        assert abs(float(narrow.counts[name].sum()) - total) <= max(3.0, 0.01 * total), name


def test_potentials_end_where_16_bits_end() -> None:
    """Strong inhibition for long must not come out on the other side, nor excitation at every step."""
    weight = np.array([[-3.0], [5.0]], np.float32)
    graph = Graph(
        [
            Input(name="x", shape=(1,)),
            IF(name="n0", inputs=("x",), threshold=1.0, v_init=0.0),
            Linear(name="l", inputs=("n0",), weight=weight, bias=np.array([0.25, 0.5])),
            IF(name="n1", inputs=("l",), threshold=1.0, v_init=0.0),
            Output(name="y", inputs=("n1",)),
        ]
    )
    run = EventSimulation(graph, dtype="int16").run(torch.ones(1, 1), 500, CONSTANT)
    assert run.counts["n1"].tolist() == [[0.0, 500.0]]


@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_what_arrives_ends_where_16_bits_end(isa: str) -> None:
    """A bias that 32 bits do not hold either has the sign that it had."""
    graph = Graph(
        [
            Input(name="x", shape=(1,)),
            IF(name="n0", inputs=("x",), threshold=1.0, v_init=0.0),
            Linear(name="l", inputs=("n0",), weight=np.ones((2, 1), np.float32), bias=np.array([1e12, -1e12])),
            IF(name="n1", inputs=("l",), threshold=1.0, v_init=0.0),
            Output(name="y", inputs=("n1",)),
        ]
    )
    run = EventSimulation(graph, isa=isa, dtype="int16").run(torch.ones(1, 1), 7, CONSTANT)
    assert run.counts["n1"].tolist() == [[7.0, 0.0]]


@pytest.mark.parametrize("seed", range(60))
def test_any_network_runs(seed: int) -> None:
    graph, x = spiking_network(seed)
    encoder = sender(("constant", "poisson")[seed % 2])
    run = EventSimulation(graph, chunk=7, dtype="int16").run(torch.from_numpy(x), 11, encoder, ("spikes",))
    for name, counts in run.counts.items():
        torch.testing.assert_close(run.spikes[name].sum(dim=1), counts)


def test_it_is_asked_for_by_name() -> None:
    graph, x = residual(0, 1 / 64)
    assert sw.simulate(graph, x, 8, dtype="int16").engine == "event, int16"
    with pytest.raises(SettingsError, match="int16 is the event engine's"):
        sw.simulate(graph, x, 8, dtype="int16", engine="reference")
    with pytest.raises(SettingsError, match="potentials are recorded in"):
        sw.simulate(graph, x, 8, dtype="int16", record=("potentials",))
    with pytest.raises(SettingsError, match="unknown dtype 'int4'; choose one of float32, float64, int16, int8"):
        sw.simulate(graph, x, 8, dtype="int4")
