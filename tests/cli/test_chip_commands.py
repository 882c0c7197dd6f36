"""``quantise``, and ``simulate`` of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A conversion, data, and the conversion quantised."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("chip")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), nn.ReLU())
    x = np.random.default_rng(0).random((24, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.from_numpy(x)).argmax(1).numpy()
    conversion = sw.convert(sw.load(module.eval(), shape=(1, 8, 8)), x, "percentile:99.9", readout="count")
    names = {name: str(folder / name) for name in ("spiking.safetensors", "data.npz", "chip.safetensors")}
    sw.save(conversion, names["spiking.safetensors"])
    np.savez(names["data.npz"], x=x, y=y)
    made = ["quantise", names["spiking.safetensors"], "--chip", "speck2f", "--data", names["data.npz"], "--rate", "2"]
    assert run([*made, "-o", names["chip.safetensors"]]) == 0
    return names


def test_quantise_says_what_each_layer_loses(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "eight.safetensors")
    assert run(["quantise", files["spiking.safetensors"], "--chip", "speck2f", "--bias-bits", "8", "-o", output]) == 0
    printed = capsys.readouterr().out
    assert "factor" in printed
    assert f"written: {output}" in printed
    more = [files["spiking.safetensors"], "--chip", "speck2f", "-o", output, "--force", "--json"]
    assert run(["quantise", *more]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["chip"] == "speck2f"
    assert all(layer["weights_off"] < 0.05 for layer in told["layers"].values())


def test_simulate_runs_it_as_the_chip_would(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["data.npz"], "-T", "32", "--dt", "0.002"]
    assert run(command) == 0
    printed = capsys.readouterr().out
    for words in ("on the chip", "accuracy", "synops/s", "waiting", "order and open rules: as stated", "500 Hz"):
        assert words in printed, words
    assert (
        run([*command, "--chip-rules", "fires=above,permute=3", "--encoder", "poisson", "--seed", "1", "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["rules"], told["trains"], told["samples"]) == ("fires=above,permute=3", "poisson", 24)
    assert len(told["scores"]["output"]["accuracy"]) == 32
    assert told["quantised"]["rate"] == 2


def test_the_stepped_network_stands_beside_it(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", files["chip.safetensors"], "--data", files["data.npz"], "-T", "16"]
    steps = [*command, "--beside", files["spiking.safetensors"], "--allow-overlap"]
    assert run(steps) == 0
    printed = capsys.readouterr().out
    assert "accuracy, %, in steps" in printed
    assert run([*steps, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["stepped"]["accuracy"]) == 16
    other = str(tmp_path / "other.safetensors")
    conversion = sw.load(files["spiking.safetensors"])
    assert isinstance(conversion, sw.Conversion)
    x = np.random.default_rng(0).random((24, 1, 8, 8)).astype(np.float32)
    sw.save(sw.convert(conversion.folded, x), other)
    assert run([*command, "--beside", other]) == 2
    assert "give --beside what was quantised" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "event"], "--engine would change nothing"),
        (["--encoder", "events"], "a chip is sent regular trains, or --encoder poisson; not --encoder events"),
        (["--chip-rules", "order=x"], "chip rules: unknown 'order=x'"),
        (["--dt", "0.0000001"], "dt must be a whole number of microseconds"),
    ],
)
def test_what_a_chip_has_not_is_refused(
    files: dict[str, str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", files["chip.safetensors"], "--data", files["data.npz"], *more]) == 2
    assert said in capsys.readouterr().err


def test_what_is_no_conversion_or_no_chip_is_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["-o", str(tmp_path / "out.safetensors")]
    for arguments, said in (
        (["quantise", files["chip.safetensors"], "--chip", "speck2f", *output], "holds chip"),
        (["quantise", files["spiking.safetensors"], "--chip", "speck9", *output], "unknown chip 'speck9'"),
        (["quantise", files["spiking.safetensors"], "--chip", "speck2f", "-o", "chip.npz"], ".safetensors"),
        (
            ["simulate", files["spiking.safetensors"], "--data", files["data.npz"], "--chip-rules", "fires=above"],
            "--chip-rules is for what 'spikewright quantise' wrote",
        ),
    ):
        assert run(arguments) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
