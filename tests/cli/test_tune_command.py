"""``spikewright tune`` as a user types it, and the command that it recommends."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run
from spikewright.cli.calibration import CalibrationOptions
from spikewright.cli.commands import loaded
from spikewright.experiment.tuning.point import SETTINGS, Point
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
    said = "smallest T within 0 points: nothing that was tried meets it; the nearest is method=scale:0.01 at T=1"
    assert said in capsys.readouterr().out


def test_both_commands_calibrate_by_the_same_options() -> None:
    """What tune takes of calibration, convert takes too, so that the command that it prints can leave nothing out."""
    takes = {name: {p.name: p.opts for p in loaded(name).params} for name in ("convert", "tune")}
    for option in fields(CalibrationOptions):
        assert takes["tune"][option.name] == takes["convert"][option.name]
    own = {
        "model",
        "data_set",
        "data",
        "grid",
        "rule",
        "timesteps",
        "trials",
        "test",
        "hold_out",
        "seed",
        "store",
        "output",
    }
    others = set(takes["tune"]) - {option.name for option in fields(CalibrationOptions)}
    assert others - {"help"} == own | {"report", "allow_overlap", "force", "as_json", "dt", "cluster"}


@pytest.mark.parametrize(
    "typed",
    [
        "--encoder events --data frames.npz --test more.npz --correct-samples 20",
        "--encoder poisson --input-scale 99%",
        "--preprocess scale=2 --batch-size 7",
        "--answer drop --leaky split --no-verify --device cpu",
        "--first-samples 90 --correct-samples 33",
        "--samples 90 --sample-seed 3 --task classification",
        "--test train.npz --allow-overlap",
    ],
)
def test_the_command_leaves_no_option_out(folder: Path, typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Option by option: running what is printed gives the same network, to the bit."""
    held = np.load("train.npz")
    frames = np.random.default_rng(0).poisson(np.abs(held["x"])[:, None], (120, 6, *held["x"].shape[1:]))
    np.savez("frames.npz", x=frames[:100].astype(np.float32), y=held["y"][:100])
    np.savez("more.npz", x=frames[100:].astype(np.float32), y=held["y"][100:])
    words = f"tune net.safetensors --data train.npz --hold-out 40 -T 4..8 {typed}".split()
    if "frames.npz" in words:
        words.remove("--data")
        words.remove("train.npz")
    found = told(
        [*words, "--grid", "method=mmse:4,channels", "--grid", "correct=v_init", "-o", "one.safetensors"], capsys
    )
    (chosen,) = found["chosen"]
    made = shlex.split(chosen["command"])
    made[made.index("-o") + 1] = "two.safetensors"
    again = told(made[1:], capsys)
    one, two = sw.load(folder / "one.safetensors"), sw.load(folder / "two.safetensors")
    assert isinstance(one, sw.Conversion)
    assert one == two
    if "--correct-samples" in words:
        wanted = int(words[words.index("--correct-samples") + 1])
        assert dict(one.corrections[0].settings)["samples"] == wanted
        assert f"samples={wanted}" in str(one.corrections[0])
    if "--test" in words:
        assert next(iter(again["measures"].values())) == chosen["test"]


def test_every_setting_of_a_point_is_an_option() -> None:
    texts = {
        "method": "max",
        "correct": "v_init:4",
        "gain": "2",
        "neurons": "signed",
        "spikes": "3",
        "reset": "zero",
        "v_init": "0.25",
        "v_min": "-1",
        "leak": "0.9",
        "max_pool": "avg_max",
        "view": "thresholds",
        "readout": "count",
    }
    assert set(texts) == set(SETTINGS)
    for name, text in texts.items():
        words = Point(((name, text),)).words
        option = {"gain": "--correct"}.get(name, f"--{name.replace('_', '-')}")
        assert words[words.index(option) + 1] == {"gain": "gain:2"}.get(name, text)


def test_samples_of_corrections_without_a_correction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TUNE.split(), "--correct-samples", "9"]) == 2
    assert "--correct-samples would change nothing: no correction looks at samples" in capsys.readouterr().err
    assert run(["convert", "net.safetensors", "--data", "train.npz", "--correct-samples", "9"]) == 2
    assert "--correct-samples would change nothing: no correction looks at samples" in capsys.readouterr().err
    assert run([*TUNE.split(), "--allow-overlap"]) == 2
    assert "--allow-overlap would change nothing: it is a setting of the measurement" in capsys.readouterr().err
    typed = [*TUNE.split(), "--grid", "correct=none", "--grid", "correct=v_init", "--correct-samples", "9"]
    found = told([*typed, "--rule", "best", "--rule", "fewest synops within 100 points"], capsys)
    for one in found["chosen"]:  # a command that corrects nothing does not say on how many samples
        assert ("--correct-samples" in one["command"]) == ("--correct " in one["command"])
