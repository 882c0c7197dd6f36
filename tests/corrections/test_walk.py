"""Layer by layer through time is what the reference engine does step by step, spike for spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import networks
import spikewright as sw
from spikewright.corrections import Walk
from spikewright.data import ArrayDataset
from spikewright.encoders import Encoder
from spikewright.encoders.poisson import Poisson
from spikewright.forward import run as run_analog
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output, ReLU
from spiking_networks import spiking_network

STEPS = 7
POISSON = Poisson(scale=1.0, seed=3)


def spikes_of(walk: Walk) -> dict[str, np.ndarray]:
    """``(N, T, *shape)`` of each population, and the answers ``(N, T, *shape)`` of each output."""
    found = {}
    for layer in walk:
        if isinstance(layer.node, Output):
            currents = torch.cat([chunk.currents.expand(-1, walk.timesteps, *layer.shape) for chunk in layer.chunks()])
            sums = currents.cumsum(dim=1)
            means = torch.stack([sums[:, t] / (t + 1) for t in range(walk.timesteps)], dim=1)
            found[layer.name] = layer.node.answer(means, lead=2).numpy()
        else:
            sent = [torch.stack(list(layer.fire(chunk.currents)), dim=1) for chunk in layer.chunks()]
            found[layer.name] = torch.cat(sent).numpy()
    return found


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("seed", range(20))
def test_every_population_sends_what_the_reference_engine_records(
    seed: int, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On networks whose sums are exact: spikes to the bit, through pools, sums, joins and what many read."""
    monkeypatch.setattr("spikewright.corrections.lanes.CHUNK", 1)  # a sample at a time
    graph, x = spiking_network(seed, inputs=inputs)
    encoder: Encoder = Poisson(scale=8.0, seed=3) if seed % 4 == 3 else sw.Constant()
    run = sw.simulate(graph, x, STEPS, engine="reference", record="spikes", encoder=encoder, quiet=True)
    found = spikes_of(Walk(graph, ArrayDataset(x), STEPS, encoder=encoder))
    assert list(found) == [node.name for node in graph if node.population or isinstance(node, Output)]
    for name, recorded in run.spikes.items():
        np.testing.assert_array_equal(found[name], recorded, err_msg=name)
    for name, answers in run.outputs.items():
        np.testing.assert_allclose(found[name], answers, rtol=1e-6, err_msg=name)  # a softmax rounds as it likes


@pytest.mark.parametrize("draw", networks.ALL, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("encoder", [sw.Constant(), POISSON], ids=["constant", "poisson"])
def test_activations_are_those_of_the_trained_network_in_units_of_its_scales(draw: Any, encoder: Encoder) -> None:
    graph = draw(0).graph()
    x = np.random.default_rng(1).uniform(0, 1, (6, *graph.sample_shape)).astype(np.float32)
    conversion = sw.convert(graph, x, "percentile:99,channels", leaky="split")
    relus = [node.name for node in conversion.folded.of_type(ReLU)]
    known = run_analog(conversion.folded, x, keep=relus)
    for layer in Walk(conversion, ArrayDataset(x), STEPS, encoder=encoder):
        assert layer.activations is not None
        if layer.name in relus:
            unit = conversion.units[layer.name]
            wide = unit if unit.ndim in (0, len(layer.shape)) else unit.reshape(-1, *(1 for _ in layer.shape[1:]))
            np.testing.assert_allclose(layer.activations.numpy() * wide, known[layer.name], rtol=1e-4, atol=1e-4)
        if isinstance(layer.node, Output):
            answers = layer.node.answer(layer.activations).numpy()
            np.testing.assert_allclose(answers, known[layer.name], rtol=1e-3, atol=1e-3)


def chain(*layers: IF) -> Graph:
    """Populations of one neuron one behind the other, with weights of 1."""
    nodes: list[Any] = [Input(name="input", shape=(1,))]
    for one in layers:
        before = nodes[-1].name
        nodes.append(Linear(name=f"to_{one.name}", inputs=(before,), weight=np.ones((1, 1)), bias=np.zeros(1)))
        nodes.append(one.replace(inputs=(nodes[-1].name,)))
    nodes.append(Output(name="output", inputs=(nodes[-1].name,)))
    return Graph(nodes)


def neuron(name: str, **settings: Any) -> IF:
    return IF(name=name, inputs=("",), threshold=np.ones(()), **{"v_init": np.zeros(()), **settings})


def test_later_layers_meet_the_spikes_of_changed_ones() -> None:
    graph = chain(neuron("first"), neuron("second"))
    x = np.full((1, 1), 0.5, np.float32)
    walk = Walk(graph, ArrayDataset(x), 4)
    currents = {}
    for layer in walk:
        (chunk,) = layer.chunks()
        currents[layer.name] = chunk.currents.flatten().tolist()
        if layer.name == "first":
            layer.replace(layer.node.replace(v_init=np.full((), 0.5)))
    assert currents["first"] == [0.5]  # the same at all steps: worked out once
    assert currents["second"] == [1, 0, 1, 0]  # and not 0, 1, 0, 1
    assert float(walk.graph["first"].v_init) == 0.5


def test_an_operator_that_is_changed_changes_the_currents() -> None:
    graph = chain(neuron("first"), neuron("second"))
    for layer in Walk(graph, ArrayDataset(np.full((1, 1), 0.5, np.float32)), 2):
        if layer.name == "second":
            (before,) = layer.chunks()
            (operator,) = layer.operators
            layer.replace(operator.replace(bias=np.full(1, 0.25)))
            (after,) = layer.chunks()
            assert (after.currents - before.currents).flatten().tolist() == [0.25, 0.25]
            with pytest.raises(ValueError, match="is not read by 'second' alone"):
                layer.replace(layer.graph["to_first"])


def test_what_nobody_reads_any_more_is_forgotten() -> None:
    graph = chain(*(neuron(f"n{k}") for k in range(5)))
    walk = Walk(graph, ArrayDataset(np.full((3, 1), 0.5, np.float32)), 4)
    for layer in walk:
        assert len(walk.spiking.kept) == 1, layer.name
        assert all(values.element_size() == 1 for name, values in walk.spiking.kept.items() if name != "input")
    assert not walk.spiking.kept
