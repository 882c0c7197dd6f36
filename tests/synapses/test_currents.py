"""The edges into a neuron add up to the current that the reference engine gives it, less the bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from listing import arriving, columns, flat
from networks import dense, plain, residual, upwards
from spikewright.calibration import Max
from spikewright.graph import Array, Graph
from spikewright.nodes import IF
from spikewright.rates import simulated_rates
from spikewright.synapse_graph import Synapses, synapses

STEPS = 24


def converted(graph: Graph, x: Array) -> Graph:
    folded, _ = sw.prepare(graph)
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max())).spiking


def edges_into(made: Synapses, dest: str) -> Array:
    found = np.zeros(made.groups[dest].neurons)
    for one in made.projections:
        if one.path.dest.name == dest:
            c = columns(made, [one])
            np.add.at(found, flat(c, "dest", one.path.dest.shape), c["edge"].astype(np.float64))
    return found


def measured(graph: Graph, x: Array, name: str) -> Array:
    """The mean current: what the potential gained, and what spikes took from it."""
    run = sw.simulate(graph, x, STEPS, record=("potentials",), dtype="float64")
    node = graph[name]
    assert isinstance(node, IF)
    shape = graph.shapes[name]
    gained = run.potentials[name][:, -1].sum(axis=0) - len(x) * node.spread(node.v_init, shape)
    taken = run.counts[name] * node.spread(node.threshold, shape)
    return ((gained + taken) / (STEPS * len(x))).ravel()


def bias_of(made: Synapses, name: str) -> Array:
    """What arrives when no group sends anything."""
    nothing = {group.name: torch.zeros(1, *group.shape, dtype=torch.float64) for group in made.groups.values()}
    return arriving(made.graph, made.groups, name, nothing, biases=True)[0].numpy().ravel()


@pytest.mark.parametrize("pools", ["groups", "folded"])
@pytest.mark.parametrize("make", [plain, residual, dense, upwards], ids=lambda make: make.__name__)
def test_edges_add_up_to_currents(make: object, pools: str) -> None:
    builder = make(4)
    x = builder.samples(3)
    graph = converted(builder.graph(), x)
    made = synapses(graph, simulated_rates(graph, x, STEPS), pools=pools, pool_weight="mean")
    for node in graph.of_type(IF):
        current = measured(graph, x, node.name)
        np.testing.assert_allclose(edges_into(made, node.name), current - bias_of(made, node.name), atol=2e-5)


def test_rates_are_spikes_over_timesteps_over_samples() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 2))
    x = np.random.default_rng(0).random((5, 1, 6, 6)).astype(np.float32)
    graph = converted(sw.load(module, shape=(1, 6, 6)), x)
    found = simulated_rates(graph, x, STEPS, batch_size=2)
    run = sw.simulate(graph, x, STEPS)
    for name, counts in run.counts.items():
        assert np.array_equal(found.values[name], counts / (5 * STEPS))
    np.testing.assert_allclose(found.values[graph.nodes[0].name], x.mean(axis=0), rtol=1e-6)


def test_what_the_poisson_encoder_sent_is_counted() -> None:
    builder = plain(2)
    x = builder.samples(3)
    graph = converted(builder.graph(), x)
    encoder = sw.encoders.encoder("poisson", seed=3)
    found = simulated_rates(graph, x, 16, encoder=encoder, batch_size=2)
    run = sw.simulate(graph, x, 16, encoder=encoder, record=("nonzero",))
    value = graph["input"].event_value  # one event stands for it
    np.testing.assert_allclose(found.values["input"], value * run.nonzero["input"] / (3 * 16), rtol=1e-6)
