"""What tests of the command line begin with, unless they say so themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained network and labelled samples, in the working directory."""
    monkeypatch.chdir(tmp_path)
    builder = plain(1)
    sw.save(builder.graph(), "net.safetensors")
    np.savez("data.npz", x=builder.samples(12), y=np.arange(12) % 3)
    return tmp_path
