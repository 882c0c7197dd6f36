"""What convert and simulate say before work, and of the Poisson encoder, as a user types and reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import spikewright as sw
from spikewright.cli.app import run

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
"""
WHOLE = (
    "warning: input: whole numbers from 0 to 255; networks are usually trained on scaled values: is it "
    "--preprocess scale=1/255 that is missing?"
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network that finds the brightest quarter of a picture of 0 to 1, and pictures of 0 to 255."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY, encoding="utf-8")
    quarters = np.zeros((4, 4, 4), np.float32)
    for k in range(4):
        quarters[k, 2 * (k // 2) : 2 * (k // 2) + 2, 2 * (k % 2) : 2 * (k % 2) + 2] = 1 / 4
    first = np.concatenate([quarters.reshape(4, 16) - 1 / 16] * 2)
    second = np.concatenate([np.eye(4, dtype=np.float32)] * 2, axis=1)
    biases = {"1.bias": np.zeros(8, np.float32), "3.bias": np.zeros(4, np.float32)}
    save_file({"1.weight": first.astype(np.float32), "3.weight": second, **biases}, "net.safetensors")
    random = np.random.default_rng(0)
    y = np.arange(400) % 4
    x = random.integers(0, 100, (400, 1, 4, 4))
    for picture, label in zip(x, y, strict=True):
        picture[0, 2 * (label // 2) : 2 * (label // 2) + 2, 2 * (label % 2) : 2 * (label % 2) + 2] += 100
    x[:, 0, 0, 0] = np.where(y == 0, 255, x[:, 0, 0, 0])
    x[1, 0, 3, 0] = 0
    np.savez("pixels.npz", x=x.astype(np.uint8), y=y)
    return ["net.py:make", "--weights", "net.safetensors", "--shape", "1,4,4", "--data", "pixels.npz"]


def test_convert_shows_ranges_and_score_first(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", *model, "--preprocess", "scale=1/255"]) == 0
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[0].startswith("input: 0 to 1, mean 0.")
    assert lines[1] == "analog network: accuracy 100.00 % on 400 samples (the best constant answer 25.00 %)"
    assert "warning" not in said.err
    assert sw.load("spiking.safetensors").spiking.nodes[0].event_value == 1  # type: ignore[attr-defined]


def test_json_holds_the_same(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", *model, "--preprocess", "scale=1/255", "--method", "max,channels", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    assert found["method"] == "max:channels"
    assert found["warnings"] == []
    (values,) = found["inputs"].values()
    assert (values["lowest"], values["highest"], values["event_value"]) == (0, 1, 1)
    assert found["analog_scores"]["output"]["value"] == 1.0


def test_poisson_runs_on_pixels_as_they_are(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As the README's two commands do: pixels of 0 to 255 for a network that takes them."""
    assert run(["convert", *model]) == 0
    assert WHOLE not in capsys.readouterr().err  # it is good on them
    simulate = ["simulate", "spiking.safetensors", "--data", "pixels.npz", "-T", "128", "--json", "--allow-overlap"]
    found = {}
    for encoder in ("constant", "poisson"):
        assert run([*simulate, "--encoder", encoder]) == 0
        said = capsys.readouterr()
        seen = "400 of these 400 samples were used for calibration too: scores on others may be lower"
        assert said.err == f"warning: {seen}\n"  # and of no other
        assert json.loads(said.out)["warnings"] == [seen]
        found[encoder] = json.loads(said.out)["accuracy"][-1]
    assert found["constant"] == 1.0
    assert found["poisson"] >= 0.97
    assert run([*simulate, "--encoder", "poisson", "--input-scale", "2"]) == 0
    said = capsys.readouterr()
    lines = json.loads(said.out)["warnings"]
    assert lines[0] == seen
    assert lines[1].startswith("inputs reach 255: poisson sends what is beyond 2 as that, 9")
    assert said.err.splitlines() == [f"warning: {line}" for line in lines]


def test_what_is_odd_is_said_once_on_every_way(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    unlabelled = [*model[:-1], "unlabelled.npz"]
    np.savez("unlabelled.npz", x=np.load("pixels.npz")["x"])
    kept = [*unlabelled, "--statistics", "s.safetensors"]
    for typed in (unlabelled, kept, kept):
        assert run(["convert", *typed, "-o", "n.safetensors"]) == 0
        assert capsys.readouterr().err.count(WHOLE) == 1
        Path("n.safetensors").unlink()
    typed = ["convert", *model, "--preprocess", "scale=1/255", "--input-scale", "50%", "--statistics", "t.safetensors"]
    assert run(typed) == 0
    Path("spiking.safetensors").unlink()
    capsys.readouterr()
    assert run([*typed[:-3], "10%", *typed[-2:]]) == 2
    said = capsys.readouterr().err
    assert "hold no percentile 10 of the input (they hold 50); choose another path for --statistics, or give" in said
    assert run([*typed[:-3], "0.5", *typed[-2:]]) == 0
    assert sw.load("spiking.safetensors").spiking.nodes[0].event_value == 0.5  # type: ignore[attr-defined]


def test_simulate_says_what_is_odd(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", *model, "--preprocess", "scale=1/255"]) == 0
    capsys.readouterr()
    simulate = ["simulate", "spiking.safetensors", "--data", "pixels.npz", "-T", "8", "--json", "--allow-overlap"]
    assert run([*simulate, "--preprocess", ""]) == 0
    said = capsys.readouterr()
    assert "warning: inputs reach 255, calibration saw up to 1: are they preprocessed as they were then?" in said.err
    assert json.loads(said.out)["warnings"] == [line.removeprefix("warning: ") for line in said.err.splitlines()]
    np.savez("zeros.npz", x=np.zeros((5, 1, 4, 4), np.float32))
    assert run(["synapses", "spiking.safetensors", "--data", "zeros.npz", "-T", "8"]) == 0
    said = capsys.readouterr()
    assert "warning: inputs are 0 everywhere: are these the data?" in said.err.splitlines()


def test_a_report_shows_it(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("random.npz", x=np.load("pixels.npz")["x"], y=np.random.default_rng(0).integers(0, 4, 400))
    typed = [
        "convert",
        *model[:-1],
        "random.npz",
        "--test",
        "random.npz",
        "--allow-overlap",
        "--report",
        "r.html",
        "-T",
        "4",
    ]
    assert run(typed) == 0, capsys.readouterr().err
    said, page = capsys.readouterr().err, Path("r.html").read_text(encoding="utf-8")
    assert said.count("warning: analog network near chance, accuracy") == 1  # of calibration, and not again of the test
    assert '<li class="warning">Warning: analog network near chance, accuracy' in page
    assert "<li>input: 0 to 255, mean" in page


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--input-scale", "loud"], "unknown threshold method 'loud'"),
        (["--input-scale", "max,channels"], "input scale: one event stands for the same in every channel"),
        (["--input-scale", "-3"], "input scale: give max, a percentile such as 99.9%, or a positive number, not -3"),
    ],
)
def test_input_scales_that_are_none(
    model: list[str], typed: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", *model, *typed]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_settings_of_the_poisson_encoder_are_its_own(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", *model]) == 0
    simulate = ["simulate", "spiking.safetensors", "--data", "pixels.npz", "-T", "4", "--allow-overlap"]
    capsys.readouterr()
    for option in (["--input-scale", "255"], ["--negative", "refuse"]):
        assert run([*simulate, *option]) == 2
        said = capsys.readouterr().err
        assert said == f"error: {option[0]} is a setting of the poisson encoder; add --encoder poisson\n"
    typed = [*simulate, "--encoder", "poisson", "--negative", "refuse", "--preprocess", "mean=100"]
    assert run(typed) == 2
    assert "has negative values, down to -100" in capsys.readouterr().err
    assert run([*simulate, "--encoder", "poisson", "--input-scale", "0"]) == 2
    assert capsys.readouterr().err == "error: poisson: scale must be positive and finite, not 0.0\n"
