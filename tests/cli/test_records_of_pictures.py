"""Figures and what tuning kept say what made them, as other results do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import spikewright as sw
from networks import residual, stored
from spikewright.cli.app import run
from spikewright.cli.remembered import read_history
from spikewright.provenance import versions

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network and data."""
    where = tmp_path_factory.mktemp("pictures")
    stored(residual(3), where)
    return where


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_a_figure_says_what_made_it(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    figures = f"--plots {kind}s_(a) --plots-as {kind} -o {kind}.safetensors"  # brackets: PDF writes them with a stroke
    words = f"convert net.safetensors --data train.npz --test test.npz -T 4 {figures}".split()
    assert run(words) == 0
    files = [f"{kind}s_(a)/{name}.{kind}" for name in ("accuracy", "weights", "raster")]
    for file in files:
        made = read_history(Path(file))
        assert list(made[-1].words) == words
        assert made[-1].versions == versions()
        capsys.readouterr()
        assert run(["inspect", file, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["provenance"][-1]["words"] == words
    assert re.search("[0-9a-f]{16}", str(read_history(Path(files[0]))[-1].settings)), "no fingerprint says of what"
    assert run(["run", files[0]]) == 0
    assert capsys.readouterr().out.startswith('command = "convert"')


def test_a_figure_made_in_python_has_versions(folder: Path) -> None:
    path = sw.plot.save(sw.plot.if_experiment(), folder / "if.svg")
    (made,) = read_history(path)
    assert (made.words, made.versions) == ((), versions())
    assert "provenance" in repr(path.read_bytes()) or b"dc:description" in path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("other.png", b"\x89PNG\r\n\x1a\n\0\0\0\x04tEXt"),
        ("other.png", b"no picture"),
        ("other.pdf", b"%PDF-1.4 /Subject (about \\(something)"),
        ("other.svg", b"<dc:description>[3]</dc:description>"),
        ("other.svg", b"<dc:description>[\xff</dc:description>"),
        ("other.parquet", b"PAR1"),
    ],
)
def test_pictures_of_others_are_no_results(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    for command in ("inspect", "run"):
        assert run([command, name]) == 2
        said = capsys.readouterr().err
        assert name in said
        assert "Traceback" not in said


def test_what_tuning_kept_says_what_made_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(folder)
    words = "tune net.safetensors --data train.npz --grid gain=1..2 -T 4 --store sweep.parquet"
    line = words.split()
    assert run([*line, "-o", "tuned.safetensors"]) == 0
    before = read_history(Path("sweep.parquet"))
    assert list(before[-1].words) == [*line, "-o", "tuned.safetensors"]
    assert re.search("[0-9a-f]{16}", str(before[-1].settings))
    capsys.readouterr()
    assert run(["inspect", "sweep.parquet"]) == 0
    said = capsys.readouterr().out
    assert "what tuning found" in said
    assert "made by: spikewright tune net.safetensors" in said
    assert run([*line, "-o", "again.safetensors"]) == 0  # all is known: nothing is added
    assert read_history(Path("sweep.parquet")) == before
