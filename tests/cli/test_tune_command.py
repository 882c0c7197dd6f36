"""``spikewright tune`` as a user types it, and the command that it recommends."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run
from spikewright.forward import run as forward

TUNE = "tune net.safetensors --data train.npz --hold-out 40 -T 8..32 --grid method=max --grid method=p99,channels"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    b = plain(7)  # whose answers are not all the same
    graph, x = b.graph(), b.samples(160)
    sw.save(graph, "net.safetensors")
    y = forward(sw.prepare(graph)[0], x)["output"].argmax(1)
    np.savez("train.npz", x=x[:120], y=y[:120])
    np.savez("test.npz", x=x[120:], y=y[120:])
    return tmp_path


def told(typed: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*typed, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_recommended_command_gives_the_same_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [
        *TUNE.split(),
        "--grid",
        "gain=2..3",
        "--grid",
        "spikes=multi",
        "--grid",
        "correct=v_init",
        "--samples",
        "110",
        "--test",
        "test.npz",
    ]
    found = told([*typed, "--rule", "fewest synops within 20 points", "-o", "tuned.safetensors"], capsys)
    (chosen,) = found["chosen"]
    assert chosen["rule"] == "fewest synops within 20 points"
    assert chosen["met"]
    words = shlex.split(chosen["command"])
    assert words[:4] == ["spikewright", "convert", "net.safetensors", "--data"]
    assert words[words.index("--samples") + 1] == "110"
    assert words[words.index("--correct") + 1].startswith("gain:")
    assert "v_init:8..32" in words
    words[words.index("-o") + 1] = "again.safetensors"
    again = told(words[1:], capsys)
    (measures,) = again["measures"].values()
    assert measures == chosen["test"]
    assert sw.load(folder / "tuned.safetensors") == sw.load(folder / "again.safetensors")


def test_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*TUNE.split(), "--grid", "gain=1..3", "--rule", "smallest T within 20 points", "--rule", "best"]
    assert run([*typed, "--report", "page.html", "--store", "sweep.parquet"]) == 0
    said = capsys.readouterr().out
    assert "accuracy, % on samples held out; the trained network" in said
    lines = said.splitlines()
    (first,) = [k for k, line in enumerate(lines) if line.startswith("smallest T within 20 points: method=")]
    assert lines[first + 1].startswith("held out: accuracy ")
    assert lines[first + 2].startswith("spikewright convert net.safetensors --data train.npz --method ")
    assert lines[first + 3].startswith("best: method=")
    page = (folder / "page.html").read_text(encoding="utf-8")
    for text in ("The gain of the first layer", "recommended", "To reproduce it", "seed 0", "spikewright tune net"):
        assert text in page
    before = (folder / "sweep.parquet").stat().st_mtime_ns
    assert run([*typed, "--store", "sweep.parquet"]) == 0
    assert (folder / "sweep.parquet").stat().st_mtime_ns == before  # all of it was known
    assert capsys.readouterr().out.splitlines()[first:][:4] == lines[first : first + 4]


def test_where_nothing_meets_the_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*TUNE.split()[:4], "--grid", "method=scale:0.01", "-T", "1"]
    assert run([*typed, "--rule", "smallest T within 0 points"]) == 0
    said = "smallest T within 0 points: nothing that was tried is; the nearest is method=scale:0.01 at T=1"
    assert said in capsys.readouterr().out
