"""Layered and few-spike networks from the command line to the report, and what their spikes cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import residual
from spikewright.cli.app import run
from spikewright.events import load_events
from spikewright.nodes import IF
from spikewright.rates import load_rates, mean_values

SCHEDULES = ("layered", "few_spike")
T = 6


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    builder = residual(1)
    graph, x = builder.graph(), builder.samples(60)
    sw.save(graph, tmp_path / "net.safetensors")
    np.savez(tmp_path / "train.npz", x=x[:30], y=np.arange(30) % 3)
    np.savez(tmp_path / "test.npz", x=x[30:], y=np.arange(30) % 3)
    return tmp_path


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_from_training_to_report(schedule: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"convert net.safetensors --data train.npz --neurons {schedule} -o snn.safetensors --method max"
    assert run([*typed.split(), "--test", "test.npz", "-T", str(T), "--report", "page.html"]) == 0
    assert "latency" in capsys.readouterr().out
    conversion = sw.load(home / "snn.safetensors")
    assert isinstance(conversion, sw.Conversion)
    assert str(conversion.neurons) == schedule
    assert {node.schedule for node in conversion.spiking.of_type(IF)} == {schedule}
    windows = sw.simulate(conversion, np.load("test.npz")["x"], T, quiet=True).windows
    late = f"an answer over T timesteps is there after {windows}·T timesteps, {T * windows} at T={T}"
    page = (home / "page.html").read_text()
    for said in (late, f"{T} timesteps a window (an answer after {T * windows})", "latency, timesteps"):
        assert said in page
    assert any(said in page for said in (f"after {windows}·T steps", f"after {windows}\\u00b7T steps"))

    assert run(f"simulate snn.safetensors --data test.npz -T {T} --json -o run.npz --events spikes".split()) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["timesteps"], said["latency"], said["engine"]) == (T, T * windows, "dense")
    assert [f"populations exchange window by window: {late}"] == said["notes"]
    assert len(said["agreement"]) == T
    assert 0 < said["firing_rate"] < 1

    x = np.load("test.npz")["x"]
    measures = sw.measure(conversion, x, T, quiet=True)
    rates, stored = load_rates("run.npz", conversion), load_events("spikes")
    for name, sent in measures.run.sent.items():
        assert stored.counts[name] == sent.sum()
        np.testing.assert_array_equal(rates.values[name], measures.rates.values[name])
        np.testing.assert_allclose(rates.sizes(name), sent / (len(x) * T))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_spikes_cost_what_they_are_and_stand_for_what_they_weigh(schedule: str) -> None:
    builder = residual(1)
    graph, train, x = builder.graph(), builder.samples(30), builder.samples(30)
    made = sw.convert(graph, train, "max", neurons=schedule)
    measures = sw.measure(made, x, T, record=("spikes", "nonzero"), keep_outputs=True, quiet=True)
    run = measures.run
    for name, spikes in run.spikes.items():
        assert set(np.unique(spikes)) <= {0.0, 1.0}
        weights = np.ones(T) if schedule == "layered" else T * 2.0 ** -np.arange(1, T + 1)
        np.testing.assert_array_equal(run.sent[name], spikes.sum(axis=(0, 1)))
        np.testing.assert_allclose(run.counts[name], np.tensordot(weights, spikes.sum(axis=0), 1), rtol=1e-6)
    for name, layer in measures.layers.items():  # rates follow activations to within a level
        assert layer.correlation is not None
        assert layer.correlation.rms < 1 / T, name
    spiking = [name for name, synops in measures.synops.items() if synops.spikes]
    assert spiking
    for name in spiking:
        (source,) = made.spiking[name].inputs
        if source in run.sent:
            (fan_out,) = made.spiking[name].fan_out(made.spiking.shapes[source])
            assert measures.synops[name].spikes == pytest.approx((run.sent[source] * fan_out).sum() / len(x))
            assert name not in run.graded
    output = made.spiking["output"]
    means = mean_values(made.spiking, measures.rates, output.inputs)
    np.testing.assert_allclose(means[output.inputs[0]], run.output[:, -1].mean(axis=0), atol=1e-5)


def test_a_few_spikes_tell_more_than_as_many_even_ones() -> None:
    builder = residual(1)
    graph, train, x = builder.graph(), builder.samples(60), builder.samples(60)
    errors = {}
    for schedule in SCHEDULES:
        made = sw.convert(graph, train, "max", neurons=schedule)
        measures = sw.measure(made, x, T, quiet=True)
        errors[schedule] = max(layer.correlation.rms for layer in measures.layers.values() if layer.correlation)
    assert errors["few_spike"] < errors["layered"] / 2
