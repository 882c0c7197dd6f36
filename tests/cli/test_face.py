"""The face of the command line: groups of options, completion, how much is said, exit status, names kept whole."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spikewright as sw
from spikewright.cli import verbosity
from spikewright.cli.app import hoisted, run
from spikewright.cli.panels import CHOICES
from spikewright.cli.terminal import Terminal, compact_table
from spikewright.conversion import Conversion
from spikewright.encoders import encoders
from spikewright.errors import Problem, UnsupportedModelError


def completed(line: str) -> list[str]:
    """What a shell offers at the end of a line."""
    words = line.split(" ")
    asked = {"_SPIKEWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "from spikewright.cli.app import app; app(prog_name='spikewright')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked})
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("spikewright convert --method p", ["percentile"]),
        ("spikewright simulate --engine ", list(CHOICES["engine"])),
        ("spikewright convert --encoder po", ["poisson"]),
        ("spikewright convert --max-pool e", ["exp_max"]),
    ],
)
def test_values_are_completed(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_the_encoders_that_help_names_are_there() -> None:
    assert set(CHOICES["encoder"]) <= set(encoders.names())


def test_help_has_groups_and_names_every_kind_of_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", "--help"]) == 0
    said = capsys.readouterr().out
    for words in ("Thresholds and corrections", "Neurons", "The measurement", "What is written", ".keras", ".h5"):
        assert words in said
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    for words in ("--quiet", "--verbose", "130"):
        assert words in said


def test_quiet_and_verbose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["convert", "net.safetensors", "--data", "data.npz", "--force"]
    assert run([*command, "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == "written: spiking.safetensors\n"
    assert run(["--quiet", "convert", "none.onnx", "--data", "data.npz", "-o", "x.safetensors"]) == 2
    assert "none.onnx: no such file" in capsys.readouterr().err
    assert run([*command, "--verbose"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("python 3.")
    assert " s, " in said.err.splitlines()[-1]
    assert run(command) == 0
    assert "calibrated on" in capsys.readouterr().err


def test_words_of_every_command_may_stand_anywhere() -> None:
    assert hoisted(["convert", "--quiet", "a", "--", "--debug"]) == (
        ["--quiet", "convert", "a", "--", "--debug"],
        {"--quiet"},
    )


def test_data_alone_are_enough_and_it_is_said_what_was_taken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", "net.safetensors", "data.npz"]) == 0
    assert "--method percentile:99.9,channels --correct v_init_and_bias:32" in capsys.readouterr().err
    made = sw.load("spiking.safetensors")
    assert isinstance(made, Conversion)
    assert made.calibration.method == "percentile:99.9,channels"
    assert [one.name for one in made.corrections] == ["v_init_and_bias"]
    assert run(["convert", "net.safetensors", "data.npz", "--method", "max", "-o", "max.safetensors"]) == 0
    assert "no settings were named" not in capsys.readouterr().err
    for words, said in (
        ([], "nothing to calibrate with: give data behind the network, or with --data"),
        (["data.npz", "--data", "data.npz"], "give one of them"),
    ):
        assert run(["convert", "net.safetensors", *words, "-o", "x.safetensors"]) == 2
        assert said in capsys.readouterr().err


def test_a_missing_engine_is_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(verbosity, "__file__", str(tmp_path / "cli" / "verbosity.py"))
    verbosity.note_missing_engine()
    verbosity.note_missing_engine()
    assert capsys.readouterr().err.count("the native event engine is not installed") == 1


def test_long_refusals_have_a_line_for_each_operator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [Problem("LSTM", "'lstm'", "take it out"), Problem("Erf", "'gelu'"), Problem("Erf", "'gelu_2'")]

    def refuse(*given: object, **more: object) -> None:
        raise UnsupportedModelError(problems)

    monkeypatch.setattr("spikewright.cli.inspect.load", refuse)
    assert run(["inspect", "net.onnx"]) == 2
    assert capsys.readouterr().err == (
        "error: 3 operators cannot be converted to spikes:\n  LSTM at 'lstm': take it out\n  Erf at 'gelu', 'gelu_2'\n"
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_tables_keep_names_whole(terminal: bool) -> None:
    name = "features.stage_3.block_17.conv_branch_b.batch_norm_folded_into_convolution_with_a_long_name"
    shown = Terminal()
    shown.file, shown._width, shown._force_terminal = io.StringIO(), 60, terminal
    table = compact_table("layers", ("node", "rate", "says"), 1, last_is_text=True)
    table.add_row(name, "0.1234", "a sentence of many words that goes on and on, and may go on in another line")
    shown.print(table)
    said = shown.file.getvalue()
    assert name in said
    assert "0.1234" in said


def test_an_interrupt_is_130(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikewright.cli.inspect.load", interrupt)
    assert run(["inspect", "net.safetensors"]) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
