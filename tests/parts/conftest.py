"""What runs that go on are tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.parts import checkpoint


@pytest.fixture
def kept_after_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EVERY", 0.0), ("SHARE", 0), ("LOST", 0.0)):
        monkeypatch.setattr(checkpoint, name, value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one: a network, trained and spiking, and its data."""
    monkeypatch.chdir(tmp_path)
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(30)
    sw.save(graph, "trained.safetensors")
    sw.save(sw.convert(graph, x[:8]), "net.safetensors")
    np.savez("data.npz", x=x, y=np.arange(30) % 3)
    return tmp_path
