"""Remedies that need no training, tried by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from lowering_cases import converted, dense_layer

import spikewright as sw
from networks import Builder
from spikewright.chips.trials import decimated


def two_layers(b: Builder) -> None:
    b.conv(4)
    b.relu()
    dense_layer(b)


def test_a_decimator_passes_every_nth_spike_of_a_neuron() -> None:
    conversion, x = converted(two_layers)
    graph, name = decimated(conversion.spiking, "relu2", 3)
    run = sw.simulate(graph, x, 16, record="spikes", engine="reference", quiet=True)
    sent, passed = (np.cumsum(run.spikes[which], axis=1) for which in ("relu2", name))
    assert np.array_equal(passed, sent // 3)
    assert sent.any()


def test_remedies_are_tried_with_their_cost() -> None:
    conversion, x = converted(two_layers)
    data = (x, np.arange(len(x)) % 3)
    fit = sw.check(conversion, dt=1e-3, data=data, timesteps=8, try_remedies=True)
    before, gain, decimator = fit.tried
    busiest = max(before.busiest, key=lambda name: before.busiest[name])
    assert fit.bandwidth is not None
    assert before.busiest[busiest] == pytest.approx(fit.bandwidth[busiest].busiest)
    assert gain.busiest["output_spikes"] < before.busiest["output_spikes"]
    assert decimator.busiest["relu4"] < before.busiest["relu4"]
    text = str(fit)
    assert "tried: half the gain, thresholds twice as high, saves" in text
    assert "tried: a decimator of 1/2 at relu2, weights behind it doubled, saves" in text
    assert fit.summary()["tried"][0]["remedy"] == ""
