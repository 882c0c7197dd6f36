"""A command line in a file does what it does in a shell, and every result tells the command that made it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run
from spikewright.cli.run import table_of, toml_of, words_of
from spikewright.conversion import Conversion
from spikewright.errors import SettingsError
from spikewright.npz import read_npz
from spikewright.provenance import Provenance, commanded, versions


@pytest.fixture
def folder(folder: Path) -> Path:
    """Samples to test with too."""
    np.savez("test.npz", x=plain(1).samples(9) * 0.9, y=np.arange(9) % 3)
    return folder


def conversion(path: str) -> Conversion:
    found = sw.load(path)
    assert isinstance(found, Conversion)
    return found


def test_a_file_does_what_a_command_line_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.toml").write_text(
        'command = "convert"\nmodel = "net.safetensors"\ndata = "data.npz"\nmethod = ["max", "percentile:99"]\n'
        'test = "test.npz"\ntimesteps = 4\nexplain = false\nv_init = 0.25\noutput = "a.safetensors"\n'
    )
    typed = (
        "convert net.safetensors --data data.npz --method max --method percentile:99 --test test.npz -T 4 "
        "--no-explain --v-init 0.25 -o b.safetensors"
    )
    assert run(["run", "run.toml"]) == 0
    first = capsys.readouterr()
    assert "spikewright convert --data data.npz --method max" in first.err
    assert run(typed.split()) == 0
    assert first.out.replace("a.safe", "b.safe") == capsys.readouterr().out
    assert conversion("a.safetensors") == conversion("b.safetensors")
    assert run(["run", "run.toml"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["run", "run.toml", "--force", "--quiet"]) == 0


def test_results_tell_the_command_that_made_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ["convert", "net.safetensors", "--data", "data.npz", "--method", "max", "-o", "a.safetensors"]
    simulated = ["simulate", "a.safetensors", "--data", "test.npz", "-T", "4", "-o", "run.npz"]
    simulated += ["--encoder", "poisson", "--seed", "3"]
    assert run(made) == 0
    assert run([*simulated, "--json"]) == 0
    said = json.loads(capsys.readouterr().out.partition("\n")[2])
    (found,) = conversion("a.safetensors").provenance
    assert found.words == tuple(made)
    assert found.versions == versions()
    assert found.settings["method"] == "max"
    assert found.settings["samples"] == 12
    stored = Provenance.parse(str(read_npz("run.npz")["provenance"]))
    assert stored.description == said["provenance"]
    assert stored.words == tuple(simulated)
    assert {k: stored.settings[k] for k in ("encoder", "seed", "timesteps", "method")} == {
        "encoder": "poisson",
        "seed": 3,
        "timesteps": 4,
        "method": "max",
    }
    assert stored.settings["data"] == sw.load_data("test.npz", inputs=sw.load("net.safetensors").inputs).fingerprint
    (folder / "said.json").write_text(json.dumps(said))
    for result, words in (("a.safetensors", made), ("run.npz", simulated), ("said.json", simulated)):
        assert run(["run", result]) == 0
        table = capsys.readouterr().out
        (folder / "again.toml").write_text(table)
        assert words_of(table_of(words), "") == words_of(table_of(list(words)), "")
        assert table == toml_of(table_of(words))
    before = read_npz("run.npz")
    assert run(["run", "again.toml", "--force"]) == 0
    again = read_npz("run.npz")
    assert again.keys() == before.keys()
    for name in again.keys() - {"provenance"}:
        np.testing.assert_array_equal(again[name], before[name])
    assert table_of(list(Provenance.parse(str(again["provenance"])).words)) == table_of(simulated)
    capsys.readouterr()
    assert run(["inspect", "a.safetensors"]) == 0
    said_of_it = capsys.readouterr().out
    assert "made by: spikewright convert net.safetensors --data data.npz" in said_of_it
    assert "θ" in said_of_it
    assert "λ" in said_of_it


def test_what_was_changed_since_has_both_commands(folder: Path) -> None:
    assert run(["convert", "net.safetensors", "--data", "data.npz", "-o", "a.safetensors"]) == 0
    with commanded(["finetune", "a.safetensors"]):
        sw.save(sw.load("a.safetensors"), "b.safetensors")
    assert [one.words[0] for one in conversion("b.safetensors").provenance] == ["convert", "finetune"]
    sw.save(sw.load("b.safetensors"), "c.safetensors")  # from Python: nothing new
    assert conversion("c.safetensors").provenance == conversion("b.safetensors").provenance
    assert conversion("c.safetensors") == conversion("a.safetensors")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('model = "net.safetensors"', "'command' must be one of inspect, convert"),
        ('command = "convrt"', "'command' must be one of"),
        ('command = "run"', "'command' must be one of"),
        ('command = "convert"\nmodle = "x"', "convert has no 'modle'; it has model"),
        ('command = "convert"\nforce = 1', "'force' is true or false, not '1'"),
        ('command = "convert"\ntimesteps = [1, 2]', "'timesteps' has one value, not 2"),
        ('command = "convert"\ntest = {}', "'test' must be a text or a number"),
        ('command = "convert', "cannot be read as TOML"),
        ('command = "convert"\nmodel = "missing.onnx"\ndata = "data.npz"', "missing.onnx: no such file"),
        ('command = "convert"\ndata = "data.npz"', "missing argument 'MODEL'"),
    ],
)
def test_what_a_file_cannot_say(folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.toml").write_text(text)
    assert run(["run", "run.toml"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.toml", "none.npz", "none.json", "none.safetensors", "net.txt", "data.npz"])
def test_files_that_hold_no_command(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", name]) == 2
    assert name in capsys.readouterr().err


def test_words_that_look_like_options_stay_where_they_belong() -> None:
    table = {"command": "convert", "model": "-odd-.onnx", "v_min": -1, "correct": ["v_init:8", "bias:8"]}
    words = words_of(table, "run.toml")
    assert words[-2:] == ["--", "-odd-.onnx"]
    again = table_of(words)
    assert again == {"command": "convert", "model": "-odd-.onnx", "v-min": "-1", "correct": ["v_init:8", "bias:8"]}
    assert table_of(["simulate", "-T32", "--data=x.npz", "s.safetensors", "--no-explain"]) == {
        "command": "simulate",
        "model": "s.safetensors",
        "timesteps": "32",
        "data": "x.npz",
        "explain": False,
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"words": 3, "versions": {}, "settings": {}}', "[" * 9999])
def test_no_provenance(text: str) -> None:
    with pytest.raises(SettingsError, match="how something was made cannot be"):
        Provenance.parse(text)
