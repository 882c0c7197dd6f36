"""Corrections of networks that exchange window by window: what they are, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.corrections.v_init_and_bias import some_of, squared_error
from spikewright.corrections.walk import Walk
from spikewright.data import as_dataset
from spikewright.encoders import Encoder
from spikewright.encoders.poisson import Poisson
from spikewright.errors import SettingsError
from spikewright.forward import run as forward
from spikewright.nodes import IF

BUILDER = residual(2)
GRAPH = BUILDER.graph()
X = np.random.default_rng(5).random((80, *GRAPH.sample_shape), np.float32)


@pytest.mark.parametrize("encoder", [sw.Constant(), Poisson(scale=1.0, seed=3)], ids=["constant", "poisson"])
@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
def test_the_walk_sends_what_the_reference_sends(schedule: str, encoder: Encoder) -> None:
    """In its one step, the number that spikes of the window tell: by what each weighs."""
    made = sw.convert(GRAPH, X, "percentile:95", neurons=schedule)
    run = sw.simulate(made, X[:5], 4, record="spikes", engine="reference", encoder=encoder, quiet=True)
    weights = np.ones(4) if schedule == "layered" else np.array([8, 4, 2, 1])
    met = 0
    for layer in Walk(made, as_dataset(X[:5], made.spiking.inputs), 4, encoder=encoder):
        if isinstance(layer.node, IF):
            sent = np.concatenate([np.stack([s.numpy() for s in layer.fire(c.currents)], 1) for c in layer.chunks()])
            told = np.moveaxis(run.spikes[layer.name], 1, -1) @ weights
            assert sent.shape == (5, 1, *layer.shape)
            assert told.max() > 1
            assert (sent[:, 0] != told).mean() < 1e-3, layer.name  # sums in another order
            met += 1
    assert met == len(made.spiking.of_type(IF))


@pytest.mark.parametrize("text", ["v_init", "bias", "v_init:neurons", "weights"])
def test_layered_networks_are_nearer_to_the_trained_one_after_it(text: str) -> None:
    made = sw.convert(GRAPH, X[:40], "percentile:95", neurons="layered")
    expected = forward(GRAPH, X[40:])["output"]

    def error(one: sw.Conversion) -> float:
        """The mean error of the answers: corrections make means right, first of all."""
        run = sw.simulate(one, X[40:], 4, quiet=True)
        return float(np.abs((run.output[:, -1] - expected).mean(axis=0)).mean())

    assert error(sw.correct(made, X[:40], text, timesteps=4)) < error(made) / 2


@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
def test_pairs_of_potential_and_bias_find_that_windows_should_round_to_the_nearest(schedule: str) -> None:
    """From neurons that round down; half a threshold to begin with is what rounds to the nearest."""
    down, nearest = (
        sw.convert(GRAPH, X[:40], "percentile:95", neurons=f"schedule={schedule},v_init={v}") for v in (0, 0.5)
    )

    def error(one: sw.Conversion) -> float:
        """Of what the first population tells in its window."""
        layer = next(iter(Walk(one, as_dataset(X[:40], one.spiking.inputs), 3)))
        return float(squared_error(layer, some_of(layer), layer.node, np.zeros(layer.shape[0]), (1,)).sum())

    assert error(sw.correct(down, X[:40], "v_init_and_bias:3")) <= error(nearest) * 1.001 < error(down) * 0.8


@pytest.mark.parametrize("text", ["bias:steps", "bias:steps,form=linear", "bias:4..16,steps"])
def test_a_bias_for_each_step_is_refused_with_what_to_take(text: str) -> None:
    made = sw.convert(GRAPH, X, "max", neurons="layered")
    refusal = (
        "bias: layered neurons add up all steps of a window, so that a bias for each of them is one for all: "
        "take bias, v_init or weights"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(refusal)}$"):
        sw.correct(made, X, text, timesteps=4)
