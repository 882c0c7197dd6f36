"""``convert --plots``: figures of what was calibrated, and of the measurement where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run

pytest.importorskip("matplotlib")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(12)
    sw.save(graph, "net.safetensors")
    np.save("x.npy", x[:6])
    labels = np.arange(6) % 3
    np.savez("test.npz", x=x[6:], y=labels)
    return tmp_path


def convert(*more: str) -> int:
    return run(["convert", "net.safetensors", "--data", "x.npy", "-o", "snn.safetensors", *more])


def test_figures_of_calibration_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("--plots", "figures") == 0
    assert "figures: figures" in capsys.readouterr().out
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"activations.svg", "weights.svg", "layers"}
    assert convert("--plots", "figures", "-o", "b.safetensors") == 2
    assert "figures exists" in capsys.readouterr().err
    assert not (folder / "b.safetensors").exists()


def test_figures_of_a_measurement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert("--test", "test.npz", "-T", "8", "--plots", "figures", "--plots-as", "pdf", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plots"] == "figures"
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"accuracy.pdf", "operations.pdf", "correlation.pdf", "firing_rates.pdf"} <= names


def test_what_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert convert("--plots-as", "png") == 2
    assert "--plots-as would change nothing: no figures are drawn: give --plots too" in capsys.readouterr().err
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("x")
    assert convert("--plots", "mine", "--force") == 2
    assert "mine holds thesis.tex, which is no figure: choose another folder" in capsys.readouterr().err
    assert convert("--plots", "x.npy") == 2
    assert "is what --data reads" in capsys.readouterr().err
    monkeypatch.setattr("spikewright.plot.figures.find_spec", lambda _: None)
    assert convert("--plots", "figures") == 2
    assert "drawing figures needs matplotlib: pip install 'spikewright[plots]'" in capsys.readouterr().err
    assert not (folder / "snn.safetensors").exists()
