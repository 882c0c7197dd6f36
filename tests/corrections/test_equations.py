"""Correctors against their equations, worked out with whole simulations in place of the walk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.corrections import Walk
from spikewright.corrections.bias import with_bias
from spikewright.data import ArrayDataset
from spikewright.forward import run as run_analog
from spikewright.nodes import IF, Add, ChannelAffine, Input, Linear, Output

X = np.random.default_rng(5).uniform(0, 1, (12, 2, 5, 5)).astype(np.float32)
ROUNDS = 3
VIEWS = ("weights", "thresholds")


def network() -> sw.Graph:
    """Two convolutions with a shortcut between, and a linear layer at the end."""
    builder = Builder(3, (2, 5, 5))
    builder.conv(3)
    first = builder.relu()
    builder.conv(3)
    builder.add(Add(name=builder.name("add"), inputs=(builder.at, first)))
    builder.relu()
    builder.flatten()
    builder.linear(4)
    return builder.graph()


def made(**options: Any) -> sw.Conversion:
    return sw.convert(network(), X, "percentile:98,channels", **options)


def activations(conversion: sw.Conversion) -> dict[str, np.ndarray]:
    """``(N, *shape)`` in units of λ, and what outputs read."""
    graph = conversion.normalised
    reads = {node.name: node.inputs[0] for node in graph.of_type(Output)}
    names = [node.name for node in graph if node.type == "ReLU"]
    found = run_analog(graph, X, keep=[*names, *reads.values()])
    return {**{name: found[name] for name in names}, **{name: found[source] for name, source in reads.items()}}


def spikes(graph: sw.Graph, name: str, steps: int) -> np.ndarray:
    """``(N, T, *shape)``."""
    return sw.simulate(graph, X, steps, engine="reference", record="spikes", quiet=True).spikes[name]


def by_channel(values: np.ndarray) -> np.ndarray:
    """``(channels,)``: the mean over samples and positions."""
    return np.asarray(values.reshape(*values.shape[:2], -1).mean(axis=(0, 2), dtype=np.float64))


def counts_missing(graph: sw.Graph, name: str, analog: np.ndarray, steps: int) -> np.ndarray:
    """``(N, *shape)``: how many spikes are missing after T steps."""
    return np.asarray(steps * analog.astype(np.float64) - spikes(graph, name, steps).sum(axis=1))


@pytest.mark.parametrize("neurons", [False, True])
@pytest.mark.parametrize("times", [(4,), (2, 4, 8)])
def test_initial_potentials(times: tuple[int, ...], neurons: bool) -> None:
    """``v_init += Σ_t mean(a − s_t)``; of a range the least squares of the error of the rate."""
    conversion = made()
    analog, graph = activations(conversion), conversion.spiking
    for node in conversion.spiking.of_type(IF):
        v_init = node.spread(node.v_init, graph.shapes[node.name]).astype(np.float64)
        for _ in range(ROUNDS):
            missing = [counts_missing(graph, node.name, analog[node.name], T) for T in times]
            error = np.average(missing, axis=0, weights=[1 / T**2 for T in times])
            channel = by_channel(error).reshape(-1, *(1 for _ in v_init.shape[1:]))
            v_init = v_init + ((error.mean(axis=0) + channel) / 2 if neurons else channel)
            v_init = np.clip(v_init, -1.5, 2.5)
            graph = graph.replaced(node.replace(v_init=v_init))
    text = f"v_init:{times[0]}..{times[-1]},rounds={ROUNDS}" + (",neurons" if neurons else "")
    found = sw.correct(conversion, X, text)
    for node in found.spiking.of_type(IF):
        wide = node.spread(node.v_init, graph.shapes[node.name])
        np.testing.assert_allclose(wide, graph[node.name].v_init, atol=1e-5)
        assert node.v_init.shape == (wide.shape if neurons else wide.shape[:1])


@pytest.mark.parametrize("times", [(4,), (2, 4, 8)])
def test_static_biases(times: tuple[int, ...]) -> None:
    """``b += Σ_T T·e(T) / Σ_T T²``: least squares of the error of the cumulative count."""
    conversion = made()
    analog, graph = activations(conversion), conversion.spiking
    before = {"relu2": "conv1", "relu5": "conv3", "output": "linear7"}
    for name, operator in before.items():
        rounds = ROUNDS if name != "output" else 1
        for _ in range(rounds):
            if name == "output":
                answers = sw.simulate(graph, X, times[-1], engine="reference", quiet=True).outputs[name]
                missing = [T * (analog[name] - answers[:, T - 1]) for T in times]
            else:
                missing = [counts_missing(graph, name, analog[name], T) for T in times]
            errors = np.stack([by_channel(one) for one in missing])
            bias = np.linalg.lstsq(np.array(times)[:, None], errors, rcond=None)[0][0]
            node: Any = graph[operator]
            graph = graph.replaced(node.replace(bias=node.bias + bias))
    found = sw.correct(conversion, X, f"bias:{times[0]}..{times[-1]},rounds={ROUNDS}").spiking
    assert [node.name for node in found] == [node.name for node in graph]
    for operator in before.values():
        np.testing.assert_allclose(found[operator].bias, graph[operator].bias, atol=1e-5)
        np.testing.assert_array_equal(found[operator].weight, conversion.spiking[operator].weight)


def test_biases_by_step() -> None:
    """``b[t] += α·mean(a − s_t)``, step after step, each taken again with the new bias before the next one."""
    conversion, steps = made(), 5
    analog, graph = activations(conversion), conversion.spiking
    for node in conversion.spiking.of_type(IF):
        table = np.zeros((steps, graph.shapes[node.name][0]))
        for _ in range(ROUNDS):
            for t in range(steps):
                sent = spikes(graph.replaced(node.replace(step_bias=table)), node.name, t + 1)[:, t]
                table[t] += 0.5 * (by_channel(analog[node.name]) - by_channel(sent))
        graph = graph.replaced(node.replace(step_bias=table))
    found = sw.correct(conversion, X, f"bias:{steps},steps,rounds={ROUNDS}").spiking
    for node in found.of_type(IF):
        np.testing.assert_allclose(node.step_bias, graph[node.name].step_bias, atol=1e-5)
        assert node.fired_bias is None


def test_biases_by_step_in_three_numbers() -> None:
    """``b0 + b1·t/(T−1) + b2·[has fired]``: least squares of ``a − s_t`` with a ridge of 1e-4."""
    conversion, steps = made(), 5
    analog, graph = activations(conversion), conversion.spiking
    for node in conversion.spiking.of_type(IF):
        channels = graph.shapes[node.name][0]
        numbers = np.zeros((channels, 3))
        made_of = node
        for _ in range(ROUNDS):
            sent = spikes(graph.replaced(made_of), node.name, steps)
            fired = np.concatenate([np.zeros_like(sent[:, :1]), np.cumsum(sent, axis=1)[:, :-1] > 0], axis=1)
            ramp = np.broadcast_to((np.arange(steps) / (steps - 1)).reshape(1, -1, *[1] * (sent.ndim - 2)), sent.shape)
            lacking = analog[node.name][:, None] - sent
            for c in range(channels):
                design = np.stack([np.ones(ramp[:, :, c].size), ramp[:, :, c].ravel(), fired[:, :, c].ravel()], axis=1)
                design = np.concatenate([design, np.sqrt(1e-4 * len(design)) * np.eye(3)])
                wanted = np.concatenate([lacking[:, :, c].ravel(), np.zeros(3)])
                numbers[c] += 0.5 * np.linalg.lstsq(design, wanted, rcond=None)[0]
            table = numbers[:, 0] + numbers[:, 1] * (np.arange(steps) / (steps - 1))[:, None]
            made_of = node.replace(step_bias=table, fired_bias=numbers[:, 2])
        graph = graph.replaced(made_of)
    found = sw.correct(conversion, X, f"bias:{steps},steps,form=linear,rounds={ROUNDS}").spiking
    for node in found.of_type(IF):
        np.testing.assert_allclose(node.step_bias, graph[node.name].step_bias, atol=1e-4)
        np.testing.assert_allclose(node.fired_bias, graph[node.name].fired_bias, atol=1e-4)


@pytest.mark.parametrize("text", ["v_init:4", "bias:4", "bias:4,steps", "bias:4,steps,form=linear"])
def test_thresholds_that_take_the_scale_change_nothing(text: str) -> None:
    weights, thresholds = (
        sw.simulate(sw.correct(made(view=view), X, text), X, 6, engine="reference", quiet=True) for view in VIEWS
    )
    for name, counts in weights.counts.items():
        np.testing.assert_allclose(counts, thresholds.counts[name], atol=1)
    np.testing.assert_allclose(weights.output, thresholds.output, atol=0.2)


def test_a_bias_that_no_operator_can_take_in_comes_between() -> None:
    """A hand-built population that reads an input."""
    nodes = [
        Input(name="input", shape=(2,)),
        Linear(name="weights", inputs=("input",), weight=np.eye(2), bias=np.zeros(2)),
        IF(name="first", inputs=("weights",), threshold=np.ones(()), v_init=np.zeros(())),
        IF(name="second", inputs=("first",), threshold=np.ones(()), v_init=np.zeros(())),
        Output(name="output", inputs=("second",)),
    ]
    walk = Walk(sw.Graph(nodes), ArrayDataset(np.full((1, 2), 0.5, np.float32)), 4)
    for layer in walk:
        if layer.name == "second":
            before = [chunk.currents.tolist() for chunk in layer.chunks()]
            layer.replace(*with_bias(layer, np.array([0.5, 0.0])))
            (after,) = layer.chunks()
            assert (after.currents.numpy() - np.array(before[0])).reshape(4, 2).tolist() == [[0.5, 0.0]] * 4
    assert isinstance(walk.graph["second_bias"], ChannelAffine)
    assert walk.graph["second"].inputs == ("second_bias",)
