"""Help, completion and ``import spikewright`` are quick because they import next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spikewright
from spikewright.cli.commands import COMMANDS, loaded

HEAVY = {"numpy", "torch", "spikewright.graph", "spikewright.data", "spikewright.engines", "spikewright.chips"}
NAMES = [name for commands in COMMANDS.values() for name in commands]


def modules_of(code: str, **environment: str) -> set[str]:
    """What a fresh process has imported at its end."""
    told = f"import atexit, sys\natexit.register(lambda: print('', *sys.modules, file=sys.stderr))\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code", ["import spikewright", "from spikewright.cli.app import run; run(['--help'])", "import spikewright.cli"]
)
def test_import_and_help_need_none_of_the_heavy_modules(code: str) -> None:
    assert not modules_of(code) & HEAVY


def test_completion_of_a_command_imports_no_command() -> None:
    code = "from spikewright.cli.app import app; app(prog_name='spikewright')"
    asked = {"_SPIKEWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "spikewright con", "COMP_CWORD": "1"}
    assert not modules_of(code, **asked) & HEAVY


def test_names_come_when_they_are_asked_for() -> None:
    assert "torch" not in modules_of("import spikewright; spikewright.SpikewrightError")
    assert "numpy" in modules_of("import spikewright; spikewright.load_data")
    with pytest.raises(AttributeError, match="frobnicate"):
        getattr(spikewright, "frobnicate")  # noqa: B009


@pytest.mark.parametrize("name", NAMES)
def test_every_listed_command_is_there(name: str) -> None:
    command = loaded(name)
    assert command.name == name
    assert command.help
    assert command.params


def test_every_command_is_listed() -> None:
    files = Path(spikewright.__file__).parent.joinpath("cli").glob("[!_]*.py")
    having = {
        file.stem
        for file in files
        if "_" not in file.stem and f"\ndef {file.stem}(" in file.read_text(encoding="utf-8")
    }
    assert having == set(NAMES)
