"""``finetune``: what it prints and writes, and what it refuses before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A conversion that answers in counts, and data to train and to measure with."""
    import torch
    from torch import nn

    folder = tmp_path_factory.mktemp("finetune")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    x = np.random.default_rng(0).random((150, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.from_numpy(x)).argmax(1).numpy()
    graph = sw.load(module.eval(), shape=(1, 8, 8))
    names = {name: str(folder / name) for name in ("net.safetensors", "layered.safetensors", "train.npz", "test.npz")}
    sw.save(sw.convert(graph, x[:40], "max", readout="count"), names["net.safetensors"])
    sw.save(sw.convert(graph, x[:40], "max", neurons="layered"), names["layered.safetensors"])
    np.savez(names["train.npz"], x=x[40:100], y=y[40:100])
    np.savez(names["test.npz"], x=x[100:], y=y[100:])
    return names


def typed(files: dict[str, str], output: Path, *more: str) -> list[str]:
    given = ["finetune", files["net.safetensors"], "--data", files["train.npz"], "-T", "4", "--epochs", "1"]
    return [*given, "-o", str(output), *more]


def test_a_table_of_before_and_after(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "better.safetensors"
    state = str(tmp_path / "state.safetensors")
    chip = ("--chip", "speck2f", "--clip", "--test", files["test.npz"], "--checkpoint", state)
    assert run(typed(files, output, "--synops-limit", "total=1e5", "--dt", "1ms", *chip)) == 0
    printed = capsys.readouterr().out
    assert "before and after training" in printed
    for word in ("T=1", "T=4", "synops/s", "speck2f, before: fits", "speck2f, after: fits", f"written: {output}"):
        assert word in printed.replace("\n", " "), word
    assert sw.load(output).corrections[0].name == "finetune"
    assert run(typed(files, output, "--synops-limit", "total=1e5", "--dt", "1ms", *chip, "--force")) == 0
    assert "1 of 1 epochs were done" in capsys.readouterr().err


def test_limits_of_cores(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "better.safetensors"
    cores = sw.check(sw.load(files["net.safetensors"]), "speck2f").cores
    last = list(cores.values())[-1]
    state = str(tmp_path / "state.safetensors")
    limits = ("--chip", "speck2f", "--dt", "1ms", "--synops-limit", f"{last}:1e3,total=1e9", "--checkpoint", state)
    assert run(typed(files, output, *limits, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"]["synops_limit"] == {f"core {last}": 1000.0, "total": 1e9}
    assert run(typed(files, output, *limits, "--json", "--force")) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] == 1


def test_a_report_of_before_and_after(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "better.safetensors", tmp_path / "better.html"
    last = list(sw.check(sw.load(files["net.safetensors"]), "speck2f").cores.values())[-1]
    limits = ("--chip", "speck2f", "--dt", "1ms", "--synops-limit", f"{last}:1e3,total=1e9")
    assert run(typed(files, output, *limits, "--report", str(report), "--test", files["test.npz"])) == 0
    assert f"report: {report}" in capsys.readouterr().out.replace("\n", " ")
    page = report.read_text()
    for said in (
        "How good, how soon",
        "% at T=4",
        "How it learned",
        "Firing rates",
        "Where the work is",
        f"core {last}",
        "kept",
        "× it",
        "speck2f holds it (",
        "spikewright finetune",
    ):
        assert said in page, said
    assert run(typed(files, output, "--report", str(report))) == 2
    assert run(typed(files, output, "--force", "--report", str(tmp_path / "page.txt"))) == 2
    assert "a report is a .html file" in capsys.readouterr().err


def test_json(files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed(files, tmp_path / "better.safetensors", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"]["timesteps"] == 4
    assert told["samples"] == 54
    assert told["measured_on"] == {"samples": 6, "held_out": True}
    assert len(told["history"]) == 1
    assert len(told["after"]["accuracy"]) == 4


def test_test_data_that_are_trained_on_are_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "better.safetensors"
    assert run(typed(files, output, "--test", files["train.npz"])) == 2
    assert "60 of the 60 samples to measure with are those of calibration" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--surrogate", "arctan"), "unknown surrogate gradient 'arctan'"),
        (("--synops-limit", "a:3"), "--synops-limit takes a number, or such by layer like conv1=1e6,total=2e6"),
        (("--synops-limit", "0:3"), "no core 0 hears spikes of other layers; there are none: say which chip"),
        (("--chip", "speck2f", "--dt", "1ms"), "no limit of synaptic operations of a core of speck2f is public"),
        (("--synops-limit", "conv=3"), "no layer 'conv' hears spikes"),
        (("--synops-limit", "-3"), "must be a positive number"),
        (("--dt", "1ms"), "--dt would change nothing"),
        (("--dt", "1h", "--synops-limit", "3"), "--dt takes a time above 0"),
        (("--chip", "speck3"), "unknown chip 'speck3'"),
        (("--chip", "speck2f", "--thresholds"), "train weights to its integers, not thresholds"),
        (("--labels", "0", "--distillation", "0"), "nothing to learn from"),
        (("--rate", "0"), "rate must be a number, above 0"),
        (("--budget", "0"), "--budget takes GiB above 0"),
        (("-T", "0"), "--timesteps must be 1 or more"),
        (("--checkpoint", "state.pt"), "is kept as .safetensors"),
        (("--data", "none.npz"), "none.npz"),
    ],
)
def test_refusals(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "better.safetensors"
    assert run(typed(files, output, *more)) == 2
    told = capsys.readouterr().err
    assert message in told.replace("\n", " ")
    assert told.count("error:") == 1
    assert not list(tmp_path.iterdir())


def test_windows_and_other_files_are_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", files["train.npz"], "-o", str(tmp_path / "better.safetensors")]
    assert run(["finetune", files["layered.safetensors"], *given]) == 2
    assert "add up a window and send in the next" in capsys.readouterr().err
    graph = tmp_path / "graph.safetensors"
    sw.save(sw.load(files["net.safetensors"]).folded, graph)
    assert run(["finetune", str(graph), *given]) == 2
    assert "is no conversion; train what 'spikewright convert' wrote" in capsys.readouterr().err
