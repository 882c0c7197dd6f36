"""Layers of random networks add up just what populations do, each with every source that can be lowered."""

from __future__ import annotations

import numpy as np
import pytest
from lowering_cases import SPECK
from stepped import arriving, current, inputs_of

from spikewright.chips.lowering import lower
from spikewright.graph import Graph
from spikewright.nodes import IF
from spikewright.rates import Rates, mean_values
from spiking_networks import spiking_network


def plain_neurons(graph: Graph) -> Graph:
    """The same network with thresholds that a chip can have."""
    return graph.replaced(
        *(
            IF(
                name=node.name,
                inputs=node.inputs,
                threshold=node.threshold
                if node.threshold.ndim < 2
                else node.threshold.reshape(len(node.threshold), -1)[:, 0],
                v_init=0.0,
            )
            for node in graph.of_type(IF)
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_layers_of_random_networks_add_up_just_what_populations_do(seed: int) -> None:
    """Whatever the network is otherwise: each layer that can be lowered, with every source that can."""
    graph = plain_neurons(spiking_network(seed, inputs=1 + seed % 3)[0])
    lowered = lower(graph, SPECK)
    network = lowered.network
    if any(problem.operator == "max pooling" for problem in lowered.problems):
        return
    random = np.random.default_rng(seed)
    there = {sender.name for sender in network.senders}
    sent = {
        node.name: random.integers(0, 4, graph.shapes[node.name]) * float(node.name in there)
        for node in graph
        if node.population or not node.inputs
    }
    means = mean_values(graph, Rates(sent, graph.fingerprint))
    values = {**{name: value.astype(float) for name, value in sent.items()}, **inputs_of(network, sent)}
    for layer in network.layers:
        node = graph[layer.name]
        wanted = means[node.inputs[0]]
        thresholds = node.spread(node.threshold, wanted.shape) if isinstance(node, IF) else np.ones(wanted.shape)
        found = current(layer, arriving(network, layer, values)).reshape(wanted.shape)
        np.testing.assert_allclose(found, wanted / thresholds, rtol=1e-9, atol=1e-9 * max(np.abs(wanted).max(), 1))
