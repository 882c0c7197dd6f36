"""What makes answers at few timesteps better, as a user types it: thresholds, corrections, neurons, readout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run
from spikewright.forward import run as forward
from spikewright.nodes import IF

T = 8
CONVERT = "convert net.safetensors --data train.npz --method max -o snn.safetensors"
SIMULATE = f"simulate snn.safetensors --data test.npz -T {T}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    builder = plain(7)
    graph, x = builder.graph(), builder.samples(100)
    sw.save(graph, "net.safetensors")
    y = forward(sw.prepare(graph)[0], x)["output"].argmax(1)
    np.savez("train.npz", x=x[:60], y=y[:60])
    np.savez("test.npz", x=x[60:], y=y[60:])
    return tmp_path


def told(typed: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*typed.split(), "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def loaded(path: str = "snn.safetensors") -> sw.Conversion:
    found = sw.load(path)
    assert isinstance(found, sw.Conversion)
    return found


def test_one_correction(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{CONVERT} --correct v_init:{T} --test test.npz -T {T}".split()) == 0
    said = capsys.readouterr()
    assert "corrected: v_init:" in said.err
    assert "written: snn.safetensors" in said.out
    made = loaded()
    assert [one.name for one in made.corrections] == ["v_init"]
    data = sw.load_data("train.npz", split="train", inputs=sw.load("net.safetensors").inputs)
    alone = sw.convert(sw.load("net.safetensors"), data, "max", correct=f"v_init:{T}")
    assert made.spiking.fingerprint == alone.spiking.fingerprint
    assert made.changed == tuple(node.name for node in made.spiking.of_type(IF))


def test_two_corrections_in_their_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(f"{CONVERT} --correct gain:2 --correct v_init:4..{T}", capsys)
    assert [text.partition(":")[0] for text in found["corrections"]] == ["gain", "v_init"]
    made = loaded()
    assert [str(one) for one in made.corrections] == found["corrections"]
    assert f"timesteps=4..{T}" in found["corrections"][1]


def test_thresholds_for_some_timesteps(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"{CONVERT} --test test.npz -T {T}".replace("--method max", "--method mmse:4,channels --method max")
    found = told(typed, capsys)
    assert found["method"] == loaded().calibration.method == "mmse:4,channels"
    assert list(found["measures"]) == ["mmse:4,channels", "max"]
    assert any(np.ndim(scale) == 1 and len(scale) > 1 for scale in found["scales"].values())


@pytest.mark.parametrize("neurons", ["signed", "layered"])
def test_other_neurons(neurons: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(f"{CONVERT} --neurons {neurons} --test test.npz -T {T} --report page.html", capsys)
    made = loaded()
    assert str(made.neurons) == neurons
    populations = made.spiking.of_type(IF)
    assert all(node.signed if neurons == "signed" else node.schedule == "layered" for node in populations)
    (measures,) = found["measures"].values()
    assert len(measures["accuracy"]) == T
    again = told(SIMULATE, capsys)
    assert again["accuracy"] == measures["accuracy"]
    assert "Contract" in Path("page.html").read_text(encoding="utf-8")


def test_an_answer_read_later(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(f"{CONVERT} --test test.npz -T {T} --readout-from 3", capsys)["measures"]["max"]
    x, y = (np.load("test.npz")[label] for label in "xy")
    late = sw.measure(loaded(), (x, y), T, readout_from=3)
    assert made["accuracy"] == pytest.approx(late.accuracy)
    assert told(f"{SIMULATE} --readout-from 3", capsys)["accuracy"] == made["accuracy"]


def test_from_when_on_is_estimated_on_samples_of_calibration(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(f"{CONVERT} --test test.npz -T {T} --readout-from auto", capsys)["measures"]["max"]
    start = min(sw.readout_start(loaded(), np.load("train.npz")["x"]), T - 1)
    assert start > 0
    late = told(f"{SIMULATE} --readout-from auto --calibration train.npz", capsys)
    assert late["accuracy"] == made["accuracy"]
    assert told(f"{SIMULATE} --readout-from {start}", capsys)["accuracy"] == made["accuracy"]


def test_where_samples_would_be_stopped(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(f"{CONVERT} --test test.npz -T {T} --early-exit 5", capsys)["measures"]["max"]
    early = made["early_exit"]
    assert 1 <= early["mean_timesteps"] <= T
    assert "the margin of the early exit" in made["protocol"]["selected"]
    assert told(f"{SIMULATE} --early-exit 5 --calibration train.npz", capsys)["early_exit"] == early
    assert told(SIMULATE, capsys)["early_exit"] is None
    assert run(f"{SIMULATE} --early-exit 5 --calibration train.npz".split()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "early exit at a margin of" in said
    assert f"chosen on 60 samples of calibration): {early['mean_timesteps']:.1f} timesteps on average" in said


def test_what_is_lost_is_said_unless_nobody_asks(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{CONVERT} --test test.npz -T {T}".split()) == 0
    assert f"at T = {T}, " in capsys.readouterr().out
    assert run(f"{SIMULATE} --no-explain".split()) == 0
    said = capsys.readouterr().out
    assert f"at T = {T}, " not in said
    assert "quantised" not in said


def test_seeds_of_all_that_is_drawn(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"{CONVERT} --test test.npz -T 4 --samples 40 --sample-seed 3".replace("max", "auto:4")
    found = told(typed, capsys)
    (measures,) = found["measures"].values()
    protocol = measures["protocol"]
    seeds = protocol["seeds"]
    assert (seeds["calibration samples"], seeds["samples held out"], seeds["intervals"]) == (3, 0, 0)
    assert seeds["samples and neurons that reasons come from"] == 0
    assert protocol["chosen"] == loaded().calibration.chosen
    assert "20 of 40 samples held out, seed 0" in protocol["chosen"]
    assert protocol["chosen"] not in protocol["calibration"]
    assert told(f"{SIMULATE} --allow-overlap", capsys)["protocol"]["seeds"]["calibration samples"] == 3
    assert run([*CONVERT.split(), "--force", "--samples", "40", "--sample-seed", "5", "--correct", "v_init:4"]) == 0
    seeds = told(SIMULATE, capsys)["protocol"]["seeds"]
    assert (seeds["calibration samples"], seeds["samples of v_init"]) == (5, 5)
