"""Whatever connections an operator says: everything derived from them is what their definition says."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from listing import columns, flat
from operators_of_wiring import connections, matrices, node_of
from runs import same
from spikewright.connections import Connections
from spikewright.connections.listing import one_by_one
from spikewright.encoders.constant import Constant
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph
from spikewright.measures.operations import operations
from spikewright.nodes import IF, Input, Output
from spikewright.synapse_graph import synapses
from spikewright.wiring import projections


def network(made: Connections) -> Graph:
    return Graph(
        [
            Input(name="x", shape=made.inputs),
            IF(name="a", inputs=("x",), threshold=np.ones(()), v_init=np.full((), 0.5)),
            node_of(made, "odd", "a"),
            IF(name="b", inputs=("odd",), threshold=np.ones(()), v_init=np.full((), 0.5)),
            Output(name="y", inputs=("b",)),
        ]
    )


@settings(max_examples=50, deadline=None)
@given(connections(), st.integers(0, 99))
def test_what_is_counted_and_added_up(made: Connections, seed: int) -> None:
    weights, counts = matrices(made)
    values = np.random.default_rng(seed).integers(0, 9, made.inputs).astype(np.float64)
    np.testing.assert_array_equal(made.fan_out().ravel(), counts.sum(axis=0))
    np.testing.assert_array_equal(made.arriving(values).ravel(), counts @ values.ravel())
    total = made.total(values)
    if total is None:
        assert made.gain is not None
    else:
        assert total == weights.sum(axis=0) @ values.ravel()
    listed = one_by_one(made)
    found = np.zeros_like(weights)
    np.add.at(found, (listed.outputs, listed.inputs), listed.weights)
    np.testing.assert_array_equal(found, weights)
    assert len(listed.inputs) == counts.sum()
    run = SimpleNamespace(nonzero={"odd": values}, graded=(), samples=1, timesteps=9, mean_steps=9, total_steps=9)
    entries = one_by_one(Connections(made.inputs, made.outputs, made.axes, made.groups, made.kernel, None, made.gain))
    effective = sum(values.ravel()[i] for i, w in zip(entries.inputs, entries.weights, strict=True) if w)
    assert operations(network(made), run)["odd"].acs == effective  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(connections())
def test_the_event_engine_is_the_reference_spike_for_spike(made: Connections) -> None:
    graph = network(made)
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (2, *made.inputs)).astype(np.float32) / 8)
    records = ("spikes", "nonzero")
    same(graph, Simulation(graph).run(x, 6, Constant(), records), EventSimulation(graph).run(x, 6, Constant(), records))


@settings(max_examples=40, deadline=None)
@given(connections())
def test_synapses_are_those_connections(made: Connections) -> None:
    weights, counts = matrices(made)
    graph = network(made)
    stream = synapses(graph, pool_weight="mean")
    (one,) = (
        p for p in stream.projections if p.path.source.name == "a" and "odd" in (*p.path.through, p.path.dest.name)
    )
    assert one.synapses == counts.sum()
    np.testing.assert_array_equal(one.fan_in(), counts.sum(axis=1))
    np.testing.assert_array_equal(one.fan_out(), counts.sum(axis=0))
    assert [str(p) for p in projections(graph)] == [str(p) for p in stream.projections]
    found = columns(stream, [one])
    source, dest = flat(found, "source", made.inputs), flat(found, "dest", made.outputs)
    listed = np.zeros_like(weights)
    np.add.at(listed, (dest, source), found["weight"])
    assert len(dest) == counts.sum()
    np.testing.assert_array_equal(listed, weights)
