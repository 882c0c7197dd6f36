"""Corrections of networks that exchange window by window: what they are, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.corrections.walk import Walk
from spikewright.data import as_dataset
from spikewright.errors import SettingsError
from spikewright.forward import run as forward
from spikewright.nodes import IF

BUILDER = residual(2)
GRAPH = BUILDER.graph()
X = np.random.default_rng(5).random((80, *GRAPH.sample_shape), np.float32)


@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
def test_the_walk_sends_what_the_reference_sends(schedule: str) -> None:
    made = sw.convert(GRAPH, X, "percentile:95", neurons=schedule)
    run = sw.simulate(made, X[:5], 4, record="spikes", engine="reference", quiet=True)
    weights = np.ones(4) if schedule == "layered" else 4 * 2.0 ** -np.arange(1, 5)
    for layer in Walk(made, as_dataset(X[:5], made.spiking.inputs), 4):
        if isinstance(layer.node, IF):
            sent = np.concatenate([np.stack([s.numpy() for s in layer.fire(c.currents)], 1) for c in layer.chunks()])
            expected = run.spikes[layer.name] * weights.reshape(-1, *(1,) * len(layer.shape))
            assert (sent != expected).mean() < 1e-3, layer.name  # sums in another order


@pytest.mark.parametrize("text", ["v_init", "bias", "v_init:neurons"])
def test_layered_networks_are_nearer_to_the_trained_one_after_it(text: str) -> None:
    made = sw.convert(GRAPH, X[:40], "percentile:95", neurons="layered")
    expected = forward(GRAPH, X[40:])["output"]

    def error(one: sw.Conversion) -> float:
        """The mean error of the answers: corrections make means right, first of all."""
        run = sw.simulate(one, X[40:], 4, quiet=True)
        return float(np.abs((run.output[:, -1] - expected).mean(axis=0)).mean())

    assert error(sw.correct(made, X[:40], text, timesteps=4)) < error(made) / 2


def test_a_bias_for_each_step_is_refused_with_what_to_take() -> None:
    made = sw.convert(GRAPH, X, "max", neurons="layered")
    with pytest.raises(SettingsError, match="a bias for each of them is one for all: take bias, v_init or weights"):
        sw.correct(made, X, "bias:steps", timesteps=4)
