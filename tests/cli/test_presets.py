"""Data behind a network are enough for every command that takes data, and what is chosen then is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.commands import COMMANDS, loaded
from spikewright.conversion import Conversion
from spikewright.npz import read_npz

TAKING = [
    name
    for commands in COMMANDS.values()
    for name in commands
    if any("--data" in one.opts for one in loaded(name).params)
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network, its conversion for T = 8, and samples."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("presets")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3), nn.ReLU())
    x = np.random.default_rng(0).random((48, 1, 8, 8)).astype(np.float32)
    y = np.arange(48) % 3
    graph = sw.load(module.eval(), shape=(1, 8, 8))
    sw.save(graph, folder / "net.safetensors")
    for name, which in (("train.npz", slice(0, 24)), ("test.npz", slice(24, 48))):
        np.savez(folder / name, x=x[which], y=y[which])
    conversion = sw.convert(graph, x[:24], "percentile:99.9", correct="v_init_and_bias:8", readout="count")
    sw.save(conversion, folder / "spiking.safetensors")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_that_takes_data_takes_them_behind_the_network() -> None:
    assert sorted(TAKING) == ["check", "convert", "finetune", "quantise", "simulate", "synapses", "tune"]
    for name in TAKING:
        arguments = [one for one in loaded(name).params if one.param_type_name == "argument"]
        assert [one.metavar for one in arguments][1:] == ["DATA"], name
        required = [one.opts for one in loaded(name).params if one.param_type_name == "option" and one.required]
        assert required == [], f"{name} needs more than a network and data"


CASES = {
    "simulate spiking.safetensors test.npz": ("-T was not named: -T 8, which v_init_and_bias was made for", {0}),
    "check spiking.safetensors test.npz": ("--dt was not named: --dt 1ms", {0, 1}),
    "quantise spiking.safetensors train.npz": ("--chip was not named: --chip speck2f", {0}),
    "synapses spiking.safetensors test.npz": ("-T was not named: -T 8", {0}),
    "tune net.safetensors train.npz -T 4": (
        "--grid was not named: --grid method=percentile:99,channels --grid method=percentile:99.9,channels "
        "--grid correct=none --grid correct=v_init_and_bias",
        {0},
    ),
    "finetune spiking.safetensors train.npz --epochs 1": (
        "--output was not named: --output finetuned.safetensors",
        {0},
    ),
}


@pytest.mark.parametrize("line", CASES)
def test_data_are_enough(folder: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    said, status = CASES[line]
    assert run(line.split()) in status
    assert said in capsys.readouterr().err
    model, data = line.split()[1:3]
    assert run([*line.split(), "--data", data]) == 2
    assert f"data stand behind the network, {data}, and behind --data, {data}: give one" in capsys.readouterr().err
    del model


def test_what_is_said_is_what_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "spiking.safetensors", "test.npz", "-o", "short.npz"]) == 0
    assert run(["simulate", "spiking.safetensors", "--data", "test.npz", "-T", "8", "-o", "long.npz"]) == 0
    short, long = read_npz(Path("short.npz")), read_npz(Path("long.npz"))
    for name in short.keys() - {"provenance"}:
        np.testing.assert_array_equal(short[name], long[name])
    assert run(["simulate", "spiking.safetensors", "test.npz", "-T", "4", "-o", "four.npz"]) == 0
    assert len(read_npz(Path("four.npz"))["timestep"]) == 4
    capsys.readouterr()
    assert run(["simulate", "spiking.safetensors", "--data", "test.npz", "--json"]) == 0
    read = capsys.readouterr()
    assert json.loads(read.out)["timesteps"] == 64
    assert "was not named" not in read.err
    assert run(["finetune", "spiking.safetensors", "train.npz", "--epochs", "1"]) == 0
    assert isinstance(sw.load("finetuned.safetensors"), Conversion)
    assert "-T was not named: -T 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("simulate spiking.safetensors", "nothing to simulate: give data behind the network, or with --data"),
        ("tune net.safetensors", "nothing to choose on: give data behind the network, or with --data"),
        ("finetune spiking.safetensors -o a.safetensors", "nothing to train with: give data behind the network"),
        ("finetune spiking.safetensors --data train.npz", "missing option '--output'; data behind the network"),
        ("tune net.safetensors --data train.npz", "missing option '--grid'; data behind the network"),
        ("quantise spiking.safetensors --data train.npz", "missing option '--chip'; data behind the network"),
        ("check spiking.safetensors --data test.npz", "operations per second need to know how long a step is"),
    ],
)
def test_what_is_missing(folder: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line.split()) == 2
    assert said in capsys.readouterr().err
