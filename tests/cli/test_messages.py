"""What is said: one line, what and what to do, whatever went into it; wrong usage too; our own faults with status 1."""

from __future__ import annotations

import subprocess
import sys

import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.terminal import Terminal, compact_table
from spikewright.errors import DataError, Problem, SpikewrightError, UnsupportedModelError
from spikewright.text import first_line


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["convrt"], "no such command 'convrt'"),
        (["--frob"], "no such option: --frob"),
        (["convert"], "missing argument 'MODEL'; see 'spikewright convert --help'"),
        (["convert", "g.onnx", "--data", "d", "--view", "x"], "invalid value for '--view'"),
        (["simulate", "g", "--data", "d", "-T", "x"], "invalid value for '--timesteps' / '-T'"),
        (["demo", "--samples", "0"], "invalid value for '--samples'"),
        (["inspect", "a", "b"], "got unexpected extra argument"),
        (["inspect", "[/]\x1b[2J.onnx"], r"[/]\x1b[2J.onnx: no such file"),
        (["inspect", "x" * 3000 + ".onnx"], "File name too long"),
    ],
)
def test_wrong_usage_is_one_line(typed: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert len(found.err) < 620
    assert said in found.err


def test_no_words_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    found = capsys.readouterr()
    assert "Usage: spikewright" in found.out + found.err


def test_a_fault_of_ours_asks_for_a_report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("spikewright.cli.inspect.load", broken)
    assert run(["inspect", "x.onnx"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a fault of spikewright" in said
    assert "ZeroDivisionError" in said
    assert "'spikewright --debug inspect x.onnx'" in said
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "inspect", "x.onnx"])


def test_many_problems_are_grouped() -> None:
    many = [Problem("Sigmoid", f"'layer{k}'", "it has no spikes") for k in range(1000)]
    error = UnsupportedModelError([*many, Problem("Tanh", "'t'")])
    assert len(error.problems) == 1001
    assert str(error) == (
        "1001 operators cannot be converted to spikes: Sigmoid at 'layer0', 'layer1', 'layer2' and 997 more places: "
        "it has no spikes; Tanh at 't'"
    )


def test_every_message_is_bounded() -> None:
    said = str(DataError("what\n" + "x" * 17_000 + "\x1b[31m; save it again"))
    assert len(said) <= 600
    assert said.isprintable()
    assert said.startswith("what x")
    assert said.endswith("save it again")
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("y" * 5000))) == 200
    assert issubclass(UnsupportedModelError, SpikewrightError)


def test_a_terminal_without_letters_for_a_name() -> None:
    """Only a process of its own has the streams that ``main`` looks after."""
    code = (
        "import sys; sys.argv = ['spikewright', 'inspect', 'é\\udcff.onnx']; from spikewright.cli import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONIOENCODING": "ascii"}, check=False
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: \\xe9\\udcff.onnx: no such file")
    assert found.stderr.count("\n") == 1
    assert sw.__version__


def test_lines_and_titles_are_not_torn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A number stays beside its unit: texts are one line each, and titles may be wider than their tables."""
    monkeypatch.setenv("COLUMNS", "80")
    console, line = Terminal(), "0.000645 mW " * 20
    console.print(line.strip(), highlight=False)
    assert capsys.readouterr().out == line.strip() + "\n"
    table = compact_table("accuracy on samples held out; the trained network 68.42 %", ("", "T=1"), 1)
    table.add_row("a", "1")
    console.print(table)
    assert capsys.readouterr().out.startswith("accuracy on samples held out; the trained network 68.42 %\n")
