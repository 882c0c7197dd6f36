"""Every corrector on every kind of network: it runs, changes neurons as it should, and what is saved is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import networks
import spikewright as sw
from spikewright.corrections import Walk
from spikewright.errors import SettingsError
from spikewright.nodes import IF, Output

TEXTS = ("v_init:3..6", "v_init:4,neurons", "bias:4", "bias:4,steps,rounds=3", "bias:4,steps,form=linear,rounds=3")
OPTIONS: dict[str, dict[str, Any]] = {
    "usual": {},
    "thresholds": {"view": "thresholds"},
    "bursts": {"neurons": "spikes=3"},
    "signed": {"neurons": "signed"},
    "no debt": {"neurons": "no_debt"},
    "counted": {"readout": "count", "answer": "drop"},
    "to zero": {"neurons": "reset=zero"},
    "leaky": {"neurons": "leak=0.9"},
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("draw", networks.ALL, ids=lambda draw: draw.__name__)
def test_every_network(draw: Any, text: str, tmp_path: Path) -> None:
    check(draw, text, {}, tmp_path)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_every_kind_of_neuron_and_readout(kind: str, text: str, tmp_path: Path) -> None:
    check(networks.residual, text, OPTIONS[kind], tmp_path)


def check(draw: Any, text: str, options: dict[str, Any], folder: Path) -> None:
    """Correct a network, and look at what came of it."""
    builder = draw(2)
    graph, x = builder.graph(), builder.samples(8)
    before = sw.convert(graph, x, "percentile:99,channels", leaky="split", **options)
    after = sw.correct(before, x, text)
    assert [node.name for node in after.spiking.populations] == [node.name for node in before.spiking.populations]
    populations = {node.name for node in before.spiking.of_type(IF)}
    if text.startswith("v_init") or "steps" in text:
        assert set(after.changed) == populations
    else:
        assert not set(after.changed) & populations
        assert len(after.changed) <= len(populations) + len(before.spiking.of_type(Output))
    sw.save(after, folder / "spiking.safetensors")
    again = sw.load(folder / "spiking.safetensors")
    assert again == after
    run, same = (sw.simulate(one, x, 6, engine="reference", quiet=True) for one in (after, again))
    for name, answers in run.outputs.items():
        assert np.isfinite(answers).all()
        np.testing.assert_array_equal(answers, same.outputs[name])


@pytest.mark.parametrize("text", ["v_init:4", "bias:4", "bias:4,steps"])
def test_corrected_counts_are_nearer_to_what_they_should_be(text: str) -> None:
    """On the samples that it was corrected on: the mean error of each channel's count at T."""
    builder = networks.residual(2)
    x = builder.samples(16)
    before = sw.convert(builder.graph(), x, "percentile:95,channels")
    after = sw.correct(before, x, text)
    (first, *_) = before.spiking.of_type(IF)
    errors = []
    for one in (before, after):
        walk = Walk(one, sw.ArrayDataset(x), 4)
        layer = next(layer for layer in walk if layer.name == first.name)
        (chunk,) = layer.chunks()
        sent = sum(layer.fire(chunk.currents))
        assert layer.activations is not None
        lacking = (4 * layer.activations - sent).numpy()
        errors.append(np.abs(lacking.reshape(*lacking.shape[:2], -1).mean(axis=(0, 2))).mean())
    assert errors[1] < errors[0] / 2


def test_a_correction_draws_the_same_samples_from_the_same_seed() -> None:
    builder = networks.residual(2)
    x = builder.samples(30)
    conversion = sw.convert(builder.graph(), x, "max")
    one, two, other = (sw.correct(conversion, x, "v_init:4", samples=5, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.spiking.fingerprint != other.spiking.fingerprint


@pytest.mark.parametrize("schedule", ["layered", "few_spike"])
@pytest.mark.parametrize("text", ["v_init:4", "v_init:4,neurons", "bias:4"])
def test_networks_that_speak_in_windows(schedule: str, text: str, tmp_path: Path) -> None:
    """One step of the network that does the same: counts are those of a window, and errors of them grow small."""
    builder = networks.residual(2)
    graph, x = builder.graph(), builder.samples(16)
    before = sw.convert(graph, x, "percentile:95,channels", neurons=f"schedule={schedule}")
    after = sw.correct(before, x, text)
    sw.save(after, tmp_path / "spiking.safetensors")
    assert sw.load(tmp_path / "spiking.safetensors") == after
    assert all(node.schedule == schedule for node in after.spiking.of_type(IF))
    units = {"layered": 4, "few_spike": 16}[schedule]
    errors = []
    for one in (before, after):
        run = sw.simulate(one, x, 4, engine="reference", record="spikes", quiet=True)
        walk = Walk(one, sw.ArrayDataset(x), 4)
        first: list[float] = []
        for layer in walk:
            (chunk,) = layer.chunks()
            if isinstance(layer.node, Output):
                continue
            (sent,) = layer.fire(chunk.currents)
            weights = 2.0 ** -np.arange(1, 5) * units if schedule == "few_spike" else np.ones(4)
            told = np.tensordot(weights, np.moveaxis(run.spikes[layer.name], 1, 0), 1)
            assert (np.abs(sent.numpy() - told) > 0).mean() < 0.002, layer.name
            assert layer.activations is not None
            lacking = (layer.activations - sent).numpy()
            first.append(np.abs(lacking.reshape(*lacking.shape[:2], -1).mean(axis=(0, 2))).mean())
        errors.append(first[0])
    assert errors[1] < errors[0] * 0.7


def test_windows_of_several_lengths_are_refused() -> None:
    builder = networks.residual(2)
    conversion = sw.convert(builder.graph(), builder.samples(8), "max", neurons="schedule=layered")
    with pytest.raises(SettingsError, match=r"another network for each T, not one for 4\.\.16; correct for one T"):
        sw.correct(conversion, builder.samples(8), "v_init:4..16")
    with pytest.raises(SettingsError, match="layered neurons add up all steps of a window"):
        sw.correct(conversion, builder.samples(8), "bias:4,steps")
