"""``spikewright check`` as a user types it: what fits, what does not, and what was mistyped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, plain
from spikewright.cli.app import run
from spikewright.graph import Graph
from spikewright.nodes import Output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    builder = plain(7)
    graph, x = builder.graph(), np.abs(builder.samples(40))
    sw.save(graph, "net.safetensors")
    sw.save(sw.convert(graph, x, "max", readout="count"), "snn.safetensors")
    sw.save(sw.convert(graph, x, "max"), "potentials.safetensors")
    b = Builder(0, (2, 8, 8))
    b.conv(64)
    b.relu()
    b.conv(65)
    b.relu()
    sw.save(Graph([*b.nodes, Output(name="output", inputs=(b.at,))]), "wide.safetensors")
    np.savez("test.npz", x=x[:12], y=np.arange(12) % 4)
    np.savez("events.npz", **{label: np.array([0, 1]) for label in "txyp"})
    return tmp_path


def said(typed: str, capsys: pytest.CaptureFixture[str], status: int) -> str:
    capsys.readouterr()
    assert run(typed.split()) == status
    found = capsys.readouterr()
    return found.out + found.err


def told(typed: str, capsys: pytest.CaptureFixture[str], status: int) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*typed.split(), "--json"]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_network_that_fits(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said("check snn.safetensors --dt 1ms", capsys, 0)
    assert "snn.safetensors fits speck2f" in text
    assert "the slow clock must tick at 1,000 Hz" in text
    assert "rewritten: average pool as a sum pool, weights divided" in text
    found = told("check snn.safetensors --chip speck2e --dt 0.01", capsys, 0)
    assert (found["chip"], found["fits"], found["clock_hz"]) == ("speck2e", True, 100)
    assert {layer["core"] for layer in found["layers"]} <= set(range(9))


def test_operations_per_second(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = "check snn.safetensors --data test.npz -T 8 --dt 1ms"
    text = said(typed, capsys, 0)
    assert "synaptic operations per second" in text
    assert "12 samples of 8 steps of 0.001 s, peaks over 0.001 s" in text
    assert "a decimator of 1/2" in text
    found = told(f"{typed} --synops-limit 1e9 --window 4ms", capsys, 0)
    assert found["bandwidth"]["window"] == 0.004
    first = found["bandwidth"]["layers"][0]
    assert first["peak"] >= first["mean"] > 0
    over = told(f"{typed} --synops-limit 0:10,1:10", capsys, 1)
    assert (over["fits"], over["runs"]) == (True, False)
    assert "times the limit of 10" in over["exceeded"][0]
    assert "fits speck2f, but exceeds the limit" in said(f"{typed} --synops-limit 10", capsys, 1)
    assert (
        run(
            [
                "simulate",
                "snn.safetensors",
                "--data",
                "test.npz",
                "-T",
                "8",
                "--allow-overlap",
                "--no-explain",
                "-o",
                "rates.npz",
            ]
        )
        == 0
    )
    means = told("check snn.safetensors --rates rates.npz --dt 1ms", capsys, 0)["bandwidth"]
    assert means["window"] is None
    assert means["layers"][0]["mean"] == pytest.approx(first["mean"], rel=1e-3)


def test_a_draw_is_simulated_where_nobody_says_which(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).random((120, *plain(7).graph().sample_shape)).astype(np.float32)
    np.savez("many.npz", x=x, y=np.arange(120) % 4)
    typed = "check snn.safetensors --data many.npz -T 2 --dt 1ms"
    assert "samples: 100 of 120, all 4 classes" in said(typed, capsys, 0)
    assert told(typed, capsys, 0)["bandwidth"]["samples"] == 100
    few = told(f"{typed} --first-samples 7", capsys, 0)
    assert (few["data"]["samples"], few["bandwidth"]["samples"]) == (7, 7)
    assert told(f"{typed} --samples 120", capsys, 0)["bandwidth"]["samples"] == 120


def test_a_recording(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = Builder(0, (2, 8, 8))
    b.conv(3)
    b.relu()
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,))])
    sw.save(sw.convert(graph, np.abs(b.samples(40)), "max", readout="count"), "sensor.safetensors")
    found = told("check sensor.safetensors --data events.npz --dt 1ms", capsys, 0)["bandwidth"]
    assert (found["samples"], found["timesteps"]) == (1, 1)
    assert found["layers"][0]["mean"] == pytest.approx((4 + 9) * 3 / 1e-3)
    longer = told("check sensor.safetensors --data events.npz --dt 1ms -T 4", capsys, 0)["bandwidth"]
    assert (longer["timesteps"], longer["layers"][0]["mean"]) == (4, pytest.approx((4 + 9) * 3 / 4e-3))
    idle = said("check sensor.safetensors --data events.npz --dt 1ms --samples 3", capsys, 2)
    assert "--samples would change nothing: a recording is one sample" in idle


def test_a_trained_network_is_checked_by_its_sizes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the network is not converted yet" in said("check net.safetensors", capsys, 0)


def test_a_network_that_does_not_fit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said("check wide.safetensors", capsys, 1)
    assert "output_spikes: its 131,072 kernel words are more than any core has (65,536)" in text
    assert "output_spikes would fit with 64 channels (core 5)" in text
    assert "wide.safetensors does not fit speck2f" in text
    assert told("check wide.safetensors", capsys, 1)["layers"][1]["changes"][0] == {"change": "64 channels", "core": 5}


def test_answers_read_by_potentials_are_no_spikes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said("check potentials.safetensors", capsys, 1)
    assert "it is read by potentials, and a chip only sends spikes" in text
    assert "--readout count" in text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("snn.safetensors --chip loihi", "unknown chip 'loihi'; choose one of akida_1_0, akida_2_0, dynapcnndevkit,"),
        ("snn.safetensors --dt soon", "--dt takes a time above 0 like 1ms, 500us or 0.02 (seconds), not 'soon'"),
        ("snn.safetensors --dt 0", "--dt takes a time above 0"),
        (
            "snn.safetensors --synops-limit 1e6",
            "--synops-limit would change nothing: operations are counted with --data",
        ),
        ("snn.safetensors --data test.npz", "operations per second need to know how long a step is: say --dt 1ms"),
        ("snn.safetensors --data test.npz --dt 1ms --synops-limit many", "--synops-limit takes a number above 0"),
        ("snn.safetensors --data test.npz --dt 1ms --synops-limit 1e6,2:3", "one number for all cores, or one by core"),
        ("snn.safetensors --data test.npz --dt 1ms --window 0", "--window takes a time above 0"),
        ("snn.safetensors --data test.npz --rates r.npz --dt 1ms", "give --data, which is simulated, or --rates"),
        ("snn.safetensors -T 9", "--timesteps would change nothing: nothing is simulated without --data"),
        ("snn.safetensors --window 2ms", "--window would change nothing: peaks are those of single events"),
        ("net.safetensors --data test.npz --dt 1ms", "has no spiking populations; run 'spikewright convert' first"),
        ("snn.safetensors --data events.npz --dt 1ms", "events of a sensor fit an input of 1 or 2 channels"),
        ("snn.safetensors --rates test.npz --dt 1ms", "test.npz"),
        ("snn.safetensors --dt 1h", "--dt takes a time above 0"),
        ("snn.safetensors --dt 1s", "the slow clock ticks 10 to 10000 times a second"),
        ("nothing.safetensors", "nothing.safetensors"),
        ("snn.safetensors --chip speck2b --chip-readout", "the readout of speck2b cannot be used"),
    ],
)
def test_what_was_mistyped(typed: str, message: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(f"check {typed}", capsys, 2)
    assert text.startswith("error: ")
    assert message in text
    assert len(text.strip().splitlines()) == 1
