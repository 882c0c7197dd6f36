"""Remedies that need no training, tried by simulation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lowering_cases import SPECK, converted, dense_layer

import spikewright as sw
from networks import Builder
from spikewright.chips.trials import decimated, raised
from spikewright.errors import SettingsError


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


def test_higher_thresholds_let_fewer_spikes_through_that_are_worth_more() -> None:
    conversion, x = converted(two_layers)
    graph = raised(conversion.spiking, "relu2", 2)
    runs = [
        sw.simulate(one, x, 64, engine="reference", quiet=True, record="spikes") for one in (conversion.spiking, graph)
    ]
    sent, fewer = (run.spikes["relu2"].sum() for run in runs)
    assert fewer == pytest.approx(sent / 2, rel=0.05)
    usual, high = (run.outputs["output"][:, -1] for run in runs)
    assert np.abs(usual - high).mean() < 0.1 * np.abs(usual).mean()


def test_remedies_are_tried_as_the_chip_would_run_them() -> None:
    conversion, x = converted(two_layers)
    data = (np.concatenate([x] * 3), np.arange(9) % 3)
    moves: list[tuple[int, int]] = []
    fit = sw.check(
        conversion,
        dt=1e-3,
        data=data,
        timesteps=16,
        try_remedies=True,
        synops_limit=1e9,
        progress=lambda done, total: moves.append((done, total)),
    )
    before, *others = fit.tried
    busiest = max(before.busiest, key=lambda name: before.busiest[name])
    chip = sw.measure_chip(sw.quantise(conversion, "speck2f"), data, sw.PictureTrains(timesteps=16), allow_overlap=True)
    assert before.busiest == {name: layer.peak for name, layer in chip.layers.items()}
    assert chip.accuracy is not None
    assert before.score == chip.accuracy[-1]
    assert [trial.remedy for trial in others] == [
        "a gain of 0.5 everywhere, thresholds 2 times as high,",
        "a gain of 0.25 everywhere, thresholds 4 times as high,",
        "thresholds 2 times as high at relu2,",
        "thresholds 4 times as high at relu2,",
        "a decimator of 1/2 at relu2,",
        "a decimator of 1/4 at relu2,",
        "a decimator of 1/8 at relu2,",
    ]
    assert busiest == "relu4"
    for trial in others:
        assert trial.busiest[busiest] < before.busiest[busiest], trial.remedy
        assert trial.enough is True
    gain, _, _, _, half, quarter, _ = others
    assert quarter.busiest[busiest] < half.busiest[busiest] < before.busiest[busiest]
    assert gain.busiest["output_spikes"] < before.busiest["output_spikes"]
    assert moves[-1] == (8, 8)
    text = str(fit)
    assert "tried on 9 samples, event by event as speck2f would run them, in its integers by the common rule:" in text
    assert "tried: a gain of 0.5 everywhere, thresholds 2 times as high, saves" in text
    assert "points of accuracy" in text
    assert fit.summary()["tried"][0]["remedy"] == ""
    json.dumps(fit.summary(), allow_nan=False)


def test_what_no_chip_is_sent_is_tried_in_steps() -> None:
    """Frames of events, and networks that do not fit; why is said."""
    conversion, x = converted(two_layers)
    frames = np.random.default_rng(0).integers(0, 2, (4, 8, *x.shape[1:])).astype(np.float32)
    fit = sw.check(
        conversion, dt=1e-3, data=frames, timesteps=8, encoder=sw.encoders.encoder("events"), try_remedies=True
    )
    assert "in steps (samples are no pictures that are sent as trains):" in str(fit)
    before, *others = fit.tried
    assert fit.bandwidth is not None
    for load in fit.bandwidth.layers:
        assert before.busiest[load.layer] == pytest.approx(load.busiest)
    for trial in others:
        assert trial.busiest["relu4"] < before.busiest["relu4"], trial.remedy
    few = replace(SPECK, name="few", cores=SPECK.cores[:2])
    wide = sw.check(conversion, few, dt=1e-3, data=x, timesteps=8, try_remedies=True)
    assert not wide.fits
    assert "tried on 3 samples, in steps (it does not fit few):" in str(wide)
    signs = sw.check(conversion, dt=1e-3, data=-x, timesteps=8, try_remedies=True)
    assert "in steps (input 'input' has values down to" in str(signs)


def test_a_remedy_that_cannot_be_tried_says_why() -> None:
    conversion, x = converted(two_layers)
    gained = sw.correct(conversion, x, "gain:0.5")
    fit = sw.check(gained, dt=1e-3, data=x, timesteps=8, try_remedies=True)
    refused = [trial for trial in fit.tried if trial.refused]
    assert [trial.remedy[:6] for trial in refused] == ["a gain", "a gain"]
    assert "not tried: a gain of 0.5 everywhere" in str(fit)
    json.dumps(fit.summary(), allow_nan=False)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({9: 1e6}, "speck2f has no core 9; there are 0, 1, 2"),
        (-1.0, "a number above 0, not -1.0"),
        ({0: float("nan")}, "a number above 0, not nan"),
        (0, "a number above 0, not 0"),
    ],
)
def test_limits_that_cannot_be(limit: Any, message: str) -> None:
    conversion, x = converted(two_layers)
    with pytest.raises(SettingsError, match=message):
        sw.check(conversion, dt=1e-3, data=x, timesteps=2, synops_limit=limit)
