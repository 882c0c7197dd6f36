"""Which samples commands use, and what they say of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spikewright as sw
from spikewright.cli.app import run
from spikewright.graph import Graph
from spikewright.nodes import Flatten, Input, Linear, Output, ReLU
from spikewright.storage import save


def write_network(path: str) -> None:
    """Sixteen pixels, eight neurons, three classes."""
    random = np.random.default_rng(0)

    def linear(name: str, before: str, shape: tuple[int, int]) -> Linear:
        weight = random.normal(size=shape).astype(np.float32)
        return Linear(name=name, inputs=(before,), weight=weight, bias=np.zeros(shape[0], np.float32))

    nodes = [Input(name="x", shape=(1, 4, 4)), Flatten(name="flat", inputs=("x",)), linear("fc1", "flat", (8, 16))]
    nodes += [ReLU(name="relu", inputs=("fc1",)), linear("fc2", "relu", (3, 8)), Output(name="output", inputs=("fc2",))]
    save(Graph(nodes), path)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Twenty pictures of each of three classes, and the words that name a network for them."""
    monkeypatch.chdir(tmp_path)
    write_network("net.safetensors")
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "[emu]"):
        for k in range(20):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (4, 4), np.uint8)).save(tmp_path / "data" / name / f"{k:02}.png")
    (tmp_path / "data" / ".ipynb_checkpoints").mkdir()
    return ["convert", "net.safetensors", "--data", "data", "--preprocess", "totensor"]


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    found = capsys.readouterr()
    return found.out, found.err


def test_a_name_with_a_line_break_is_one_line(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/cat").rename("data/a\nerror: b\x1b[2J")
    assert run(pictures) == 0
    _, err = said(capsys)
    assert "all 3 classes ([emu], a\\nerror: b\\x1b[2J, dog)\n" in err
    assert "\nerror" not in err


def test_convert_calibrates_on_every_class(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*pictures, "--samples", "9"]) == 0
    _, err = said(capsys)
    assert "note: data: hidden folders left out: .ipynb_checkpoints\n" in err
    assert "calibrated on 9 of 60, all 3 classes ([emu], cat, dog)\n" in err
    assert "are not among" not in err
    conversion = sw.load("spiking.safetensors")
    assert conversion.classes == ("[emu]", "cat", "dog")
    assert str(conversion.preprocessing) == "range=1.0"
    assert run([*pictures, "-o", "json.safetensors", "--samples", "9", "--json"]) == 0
    calibration = json.loads(said(capsys)[0])["calibration"]
    assert calibration == {
        "samples": 9,
        "of": 60,
        "classes": 3,
        "of_classes": 3,
        "missing_classes": [],
        "class_names": ["[emu]", "cat", "dog"],
    }


def test_the_first_samples_come_with_a_warning(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*pictures, "--first-samples", "30"]) == 0
    _, err = said(capsys)
    warning = (
        "warning: 1 of 3 classes are not among the 30 samples that are used (dog); --samples draws from all classes\n"
    )
    assert warning in err
    assert "calibrated on 30 of 60, 2 of 3 classes" in err
    assert run([*pictures, "--force", "--first-samples", "30", "--samples", "9"]) == 2
    assert said(capsys)[1] == "error: give --samples, a draw, or --first-samples, not both\n"


def test_simulate_and_synapses_draw_too(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pictures) == 0
    said(capsys)
    simulate = ["simulate", "spiking.safetensors", "--data", "data", "-T", "4", "--allow-overlap"]
    assert run([*simulate, "--samples", "12"]) == 0
    assert "samples: 12 of 60, all 3 classes ([emu], cat, dog)\n" in said(capsys)[1]
    assert run([*simulate, "--samples", "12", "--json"]) == 0
    first = json.loads(said(capsys)[0])
    assert (first["samples"], first["data"]["of"], first["data"]["classes"]) == (12, 60, 3)
    assert run([*simulate, "--samples", "12", "--json"]) == 0
    assert json.loads(said(capsys)[0]) == first
    assert run([*simulate, "--samples", "12", "--sample-seed", "1", "--json"]) == 0
    assert json.loads(said(capsys)[0])["firing_rate"] != first["firing_rate"]
    assert run([*simulate, "--first-samples", "12", "--json"]) == 0
    out, err = said(capsys)
    assert json.loads(out)["data"]["missing_classes"] == ["cat", "dog"]
    assert "warning: 2 of 3 classes" in err
    synapses = ["synapses", "spiking.safetensors", "--data", "data", "-T", "4"]
    assert run([*synapses, "--samples", "12"]) == 0
    assert "samples: 12 of 60, all 3 classes" in said(capsys)[1]
    assert run([*synapses, "--first-samples", "12"]) == 0
    assert "warning: 2 of 3 classes" in said(capsys)[1]


def test_labels_are_those_of_the_conversion(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(pictures) == 0
    for name in ("cat", "owl"):
        Path("part", name).mkdir(parents=True)
    Path("data", "cat", "00.png").rename(Path("part", "cat", "x.png"))
    said(capsys)
    simulate = ["simulate", "spiking.safetensors", "--data", "part", "-T", "4", "--allow-overlap"]
    assert run(simulate) == 0
    err = said(capsys)[1]
    assert "note: part: no class, since there are no pictures in them: owl\n" in err
    assert "note: part: no pictures of [emu], dog\n" in err
    assert "samples: 1 of 1, 1 of 3 classes" in err
    Path("data", "cat", "01.png").rename(Path("part", "owl", "x.png"))
    assert run(simulate) == 2
    assert "owl is no class that the network was converted with ([emu], cat, dog); labels would" in said(capsys)[1]


def test_the_report_says_which(pictures: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*pictures, "--samples", "9", "--test", "data", "--report", "r.html", "-T", "4", "--allow-overlap"]) == 0
    page = Path("r.html").read_text("utf-8")
    assert "9 samples of data: 9 of 60, all 3 classes ([emu], cat, dog)" in page
    assert "60 samples of data: 60 of 60, all 3 classes" in page


def test_five_thousand_are_drawn_where_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_network("net.safetensors")
    np.savez("d.npz", x=np.random.default_rng(0).random((6000, 1, 4, 4), np.float32), y=np.repeat([0, 1, 2], 2000))
    assert run(["convert", "net.safetensors", "--data", "d.npz"]) == 0
    assert "calibrated on 5,000 of 6,000, all 3 classes\n" in said(capsys)[1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("C:\\data\\x", "C:\\data\\x: no such file or folder"),
        ("C:data", "C:data: no such file or folder"),
        ("D:/data/x.npz", "no such file or folder"),
        ("~/nowhere/x", "no such file or folder"),
        ("~nobody-here/x.npz", "no such file or folder"),
        ("data/x:load", "no such file or folder"),
        ("", "no such file or folder"),
        ("a" * 3000, "no such file or folder"),
        ("nul\0", "no such file or folder"),
        ("/dev/null", "neither a file nor a folder"),
        ("nowhere.py:load", "nowhere.py: no such file"),
        ("no_such_module:load", "neither a file nor an importable module (No module named 'no_such_module')"),
        ("json:nothing", "json: has no function 'nothing'"),
        ("json:loads", "json:loads: fails with TypeError: loads() missing 1 required positional argument"),
        ("https://example.org/x.npz", "no such file or folder"),
        ("net.safetensors", "unknown kind of data"),
    ],
)
def test_places_that_are_none(pictures: list[str], capsys: pytest.CaptureFixture[str], spec: str, message: str) -> None:
    assert run([*pictures[:3], spec]) == 2
    out, err = said(capsys)
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_a_home_folder(
    pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert run([*pictures[:3], "~/data"]) == 0, said(capsys)[1]
