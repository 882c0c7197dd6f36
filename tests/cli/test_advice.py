"""Whatever is advised against a loss can be typed as it stands, and does something."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.cli.app import run
from spikewright.measures.error_split import OWN
from spikewright.measures.loss import HELP

OPTION = re.compile(r"--[a-z][a-z-]* [^\s,)]+")
TIMESTEPS = (1, 4, 64)
ADVISED = sorted({(word, t) for text in HELP.values() for t in TIMESTEPS for word in OPTION.findall(text.format(t=t))})


def test_every_cause_has_its_advice() -> None:
    assert tuple(HELP) == tuple(sorted(HELP, key=OWN.index))
    assert set(HELP) == set(OWN)
    assert all(OPTION.findall(text.format(t=4)) for text in HELP.values())
    assert sum(text.count("--") for text in HELP.values()) == sum(len(OPTION.findall(text)) for text in HELP.values())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    builder = plain(1)
    x = builder.samples(40)
    sw.save(builder.graph(), folder / "net.safetensors")
    np.savez(folder / "train.npz", x=x[:24], y=np.arange(24) % 3)
    np.savez(folder / "test.npz", x=x[24:], y=np.arange(16) % 3)
    return folder


@pytest.mark.parametrize(("advised", "timesteps"), ADVISED)
def test_what_is_advised_is_understood(
    advised: str, timesteps: int, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    typed = f"convert net.safetensors --data train.npz --test test.npz -T {timesteps} --no-explain --force {advised}"
    assert run(typed.split()) == 0, capsys.readouterr().err
    option, text = advised.split()
    made = sw.load(home / "spiking.safetensors")
    assert isinstance(made, sw.Conversion)
    if option == "--method":
        assert made.calibration.method == str(sw.threshold_method(text))
    if option == "--correct":
        assert [f"timesteps={timesteps}" in str(one) for one in made.corrections] == [True]
    if option in ("--neurons", "--spikes"):
        assert str(made.neurons)
