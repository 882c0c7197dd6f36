"""The commands as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.console import parse_shape
from spikewright.conversion import spikes_of
from spikewright.errors import SettingsError
from spikewright.events import load_events
from spikewright.text import short

COMMANDS = ("inspect", "convert", "tune", "finetune", "simulate", "check", "quantise", "synapses", "export", "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Example: spikewright {command}" in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("spikewright ")


def test_starting_up_imports_nothing_heavy() -> None:
    heavy = {"torch", "onnx", "nir", "h5py", "pyarrow"}
    code = f"import sys, spikewright, spikewright.cli.app; print({heavy} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_demo_compares_three_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.html").write_text("of the demo before, which is replaced")
    assert run(["demo", "--samples", "40", "--timesteps", "16", "--folder", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["measures"]) == {"percentile:99.9", "max", "scale:0.5"}
    best = said["measures"]["percentile:99.9"]
    assert len(best["accuracy"]) == 16
    assert best["accuracy"][-1] >= 0.8
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_report_says_how_to_reproduce_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    torch.save(model.state_dict(), "weights.pt")
    lines = ("from torch import nn", "", "def make():", "    return nn.Sequential(")
    factory = "\n".join([*lines, "        nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))", ""])
    Path("net.py").write_text(factory, encoding="utf-8")
    x, y = np.random.default_rng(0).random((20, 4), np.float32), np.arange(20) % 3
    np.savez("data set.npz", x=x, y=y)
    typed = ["convert", "net.py:make", "--weights", "weights.pt", "--shape", "4", "--data", "data set.npz"]
    typed += ["--test", "data set.npz", "--report", "report.html", "-T", "8", "--allow-overlap"]
    assert run(typed) == 0, capsys.readouterr().err
    page = Path("report.html").read_text(encoding="utf-8")
    assert "spikewright convert net.py:make" in page
    assert "20 samples of data set.npz" in page
    assert "<td>timesteps</td>" in page.replace(' class="text"', "")


def test_convert_measures_without_a_report_too(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("x.npz", x=np.random.default_rng(0).random((20, 4), np.float32), y=np.arange(20) % 3)
    typed = ["convert", *factory, "--data", "x.npz", "--test", "x.npz", "--allow-overlap", "-T", "4", "--method", "max"]
    assert run([*typed, "--method", "scale:0.5"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert re.search(r"accuracy, % *\n[ \n]* T=4 +analog *\n", said)
    assert len(re.findall(r"^ *(?:max|scale:0.5) +[\d.]+ +[\d.]+ *$", said, re.M)) == 4  # accuracy, work
    assert "report" not in said
    assert run([*typed, "--force", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["measures"]) == ["max"]
    assert len(found["measures"]["max"]["accuracy"]) == 4
    assert "report" not in found


@pytest.mark.parametrize("command", ["simulate {} --data x.npz", "export {} -o net.nir", "synapses {}"])
def test_commands_of_converted_networks_run_no_code(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    assert run(command.format("net.py:make").split()) == 2
    assert (
        "net.py:make: is code that makes a trained network; run 'spikewright convert' first" in capsys.readouterr().err
    )
    assert not Path("ran").exists()


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small network with a batch norm, as a user names it."""
    monkeypatch.chdir(tmp_path)
    layers = "nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3)"
    Path("net.py").write_text(f"from torch import nn\n\ndef make():\n    return nn.Sequential({layers})\n", "utf-8")
    return ["net.py:make", "--shape", "4"]


def test_inspect_draws_a_picture(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", *factory, "--picture", "out/net.svg"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "written: out/net.svg" in said
    assert "conversion" in said  # the table is still there
    picture = Path("out/net.svg").read_text(encoding="utf-8")
    assert ">net.py:make<" in picture
    assert ">batch norm 1 folded</text>" in picture
    assert ">dropout 3 absorbed</text>" in picture
    assert run(["inspect", *factory, "--picture", "net.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["picture"] == "net.html"
    assert Path("net.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_inspect_draws_a_spiking_network(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    np.save("x.npy", np.random.default_rng(0).random((20, 4), np.float32))
    assert run(["convert", *factory, "--data", "x.npy", "-o", "spiking.safetensors"]) == 0, capsys.readouterr().err
    assert run(["inspect", "spiking.safetensors", "--picture", "net.svg"]) == 0, capsys.readouterr().err
    picture = Path("net.svg").read_text(encoding="utf-8")
    assert ">IF</text>" in picture
    assert ">batch norm 1 folded</text>" in picture  # the file remembers
    assert re.search(r">λ [\d.]+</text>", picture)


def test_inspect_shows_what_it_was_calibrated_on(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).random((20, 4), np.float32)
    np.savez("x.npz", x=x, y=np.arange(20) % 3)
    typed = [*factory, "--data", "x.npz", "--task", "classification", "--preprocess", "scale=2"]
    assert run(["convert", *typed, "--neurons", "*: spikes=3; 2: reset=zero"]) == 0, capsys.readouterr().err
    conversion = sw.load("spiking.safetensors")
    capsys.readouterr()
    assert run(["inspect", "spiking.safetensors"]) == 0
    said = capsys.readouterr().out
    ends = " to ".join(f"{2 * end:.6g}" for end in (float(x.min()), float(x.max())))
    for line in (
        f"calibration: percentile:99.9 of 20 samples, values from {ends}",
        "neurons: *: spikes=3; 2: reset=zero",
        "contract: A: 0 or 1 spike a step; the potential is set back after a spike; latency: T timesteps, whatever "
        "the depth; T + 1 levels in T steps",
        "tasks: output classification",
        "preprocessing: scale=2.0",
    ):
        assert line in said.splitlines()
    assert run(["inspect", "spiking.safetensors", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["conversion"]["samples"], found["conversion"]["method"]) == (20, "percentile:99.9")
    assert found["conversion"]["contract"]["names"] == ["A"]
    assert found["conversion"]["became"]["1"] == "folded"
    assert [node["conversion"] for node in found["nodes"]] == ["spiking already"] * len(conversion.spiking)
    assert run(["convert", "spiking.safetensors", "--data", "x.npz", "-o", "again.safetensors"]) == 2
    assert "is a conversion already; give the trained network" in capsys.readouterr().err
    assert run(["convert", *factory, "--data", "x.npz", "--neurons", "fc*: spikes=3", "--force"]) == 2
    assert "neurons: no population is called 'fc*'; there are 2" in capsys.readouterr().err


def test_a_network_from_nir_is_measured_without_the_comparison(
    factory: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nir")
    np.savez("x.npz", x=np.random.default_rng(0).random((20, 4), np.float32), y=np.arange(20) % 3)
    np.save("bare.npy", np.load("x.npz")["x"])
    assert run(["convert", *factory, "--data", "x.npz"]) == 0
    assert run(["export", "spiking.safetensors", "-o", "net.nir"]) == 0
    capsys.readouterr()
    for data in ("x.npz", "bare.npy"):
        assert run(["simulate", "net.nir", "--data", data, "-T", "4", "-o", "r.npz", "--force"]) == 0
        said = capsys.readouterr().out
        assert (
            "note: this spiking network comes without the trained one, so there is nothing to compare it with" in said
        )
        assert "for the analog network" not in said
        assert ("accuracy" in said) == (data == "x.npz")
    assert run(["simulate", "net.nir", "--data", "x.npz", "-T", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"] is found["analog_accuracy"] is None
    assert found["notes"][0].startswith("this spiking network comes without")
    assert run(["inspect", "net.nir"]) == 0
    assert "calibration" not in capsys.readouterr().out


def test_simulate_writes_events(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    np.save("x.npy", np.random.default_rng(0).random((20, 4), np.float32))
    assert run(["convert", *factory, "--data", "x.npy", "-o", "spiking.safetensors"]) == 0, capsys.readouterr().err
    simulate = ["simulate", "spiking.safetensors", "--data", "x.npy", "-T", "8", "--batch-size", "6", "--allow-overlap"]
    assert run([*simulate, "--events", "out/events"]) == 0, capsys.readouterr().err
    stored = load_events("out/events")
    assert (stored.samples, stored.timesteps) == (20, 8)
    assert stored.network == sw.load("spiking.safetensors").spiking.fingerprint
    (name,) = stored
    assert f"written: out/events, {stored.counts[name]:,} events of 1 population\n" in capsys.readouterr().out
    assert run([*simulate, "--events", "out/events"]) == 2
    said = capsys.readouterr()
    assert said.err == "error: out/events exists; choose another path, or give --force (force=True) to replace it\n"
    assert said.out == ""
    assert run([*simulate, "--samples", "5", "--events", "out/events", "--force", "--json"]) == 0
    again = load_events("out/events")
    assert again.samples == 5
    written = {"folder": "out/events", "populations": dict(again.counts)}
    assert json.loads(capsys.readouterr().out)["events"] == written


def test_a_picture_that_cannot_be_is_refused_first(factory: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "missing.onnx", "--picture", "net.pdf"]) == 2
    assert capsys.readouterr().err == "error: net.pdf: a picture is a .svg, .html or .png file\n"


def test_shapes_as_people_type_them() -> None:
    assert parse_shape("1,28,28") == parse_shape("1x28x28") == (1, 28, 28)
    assert parse_shape(None) is None
    with pytest.raises(SettingsError, match="--shape takes positive numbers"):
        parse_shape("1,0")


def test_spikes_as_people_type_them() -> None:
    assert [spikes_of(text) for text in ("single", "multi", "3")] == [1, None, 3]
    with pytest.raises(SettingsError, match="--spikes takes single, multi"):
        spikes_of("some", "--spikes")


def test_short_numbers() -> None:
    assert [short(n) for n in (12, 1234567, 0.5)] == ["12", "1.23 M", "0.5"]
