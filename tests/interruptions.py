"""Runs that are stopped once so many samples are done and kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from spikewright.parts import checkpoint

KILLED = """
import os, signal, sys
from spikewright.cli.app import run
from spikewright.parts import checkpoint
checkpoint.EVERY, checkpoint.SHARE, checkpoint.LOST = 0.0, 0, 0.0
original, samples = checkpoint.Stage.keep, int(sys.argv[1])
def keep(stage, state, done, *more, **options):
    original(stage, state, done, *more, **options)
    if done >= samples:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Stage.keep = keep
sys.exit(run(sys.argv[2:]))
"""


def stopped_after(samples: int, monkeypatch: pytest.MonkeyPatch, name: str = "") -> Callable[[], None]:
    """Let runs be interrupted once so many samples are done; gives what takes that away."""
    original = checkpoint.Stage.keep

    def keep(stage: Any, state: Any, done: int, *more: Any, **options: Any) -> None:
        original(stage, state, done, *more, **options)
        if done >= samples and stage.name.startswith(name):
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Stage, "keep", keep)
    return lambda: monkeypatch.setattr(checkpoint.Stage, "keep", original)


def killed_after(samples: int, *typed: str) -> None:
    """Run a command that is ended by SIGKILL once so many samples are done and kept."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(samples), *typed], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
