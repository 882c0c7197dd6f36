"""Whatever is advised against a loss can be typed as it stands, and does something."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain, stored
from spikewright.cli.app import run
from spikewright.experiment import readout_of
from spikewright.measures.advice import HELP, Had, advice
from spikewright.measures.error_split import OWN
from spikewright.measures.loss import WEIGHTS

OPTION = re.compile(r"--[a-z][a-z-]* [^\s,)]+")
TIMESTEPS = (1, 4, 64)
PIECES = [text for texts in HELP.values() for text in texts]
ADVISED = sorted({(word, t) for text in PIECES for t in TIMESTEPS for word in OPTION.findall(text.format(t=t))})


def test_every_cause_has_its_advice() -> None:
    assert tuple(HELP) == (*OWN, WEIGHTS)
    assert all(OPTION.findall(" ".join(texts).format(t=4)) for texts in HELP.values())
    assert [text.count("--") for text in PIECES] == [len(OPTION.findall(text)) for text in PIECES]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    stored(plain(1), folder)
    return folder


@pytest.mark.parametrize(("advised", "timesteps"), ADVISED)
def test_what_is_advised_is_understood(
    advised: str, timesteps: int, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    option, text = advised.split()
    measured = f"--no-explain -T {timesteps}"
    typed = [f"convert net.safetensors --data train.npz --test test.npz --force {measured} {advised}"]
    if option == "--dtype":  # of runs alone
        typed[0] = typed[0].removesuffix(advised)
        typed.append(f"simulate spiking.safetensors --data test.npz --allow-overlap {measured} {advised}")
    for line in typed:
        assert run(line.split()) == 0, capsys.readouterr().err
    made = sw.load(home / "spiking.safetensors")
    assert isinstance(made, sw.Conversion)
    if option == "--method":
        assert made.calibration.method == str(sw.threshold_method(text))
    if option == "--correct":
        assert [f"timesteps={timesteps}" in str(one) for one in made.corrections] == [True]
    if option in ("--neurons", "--spikes"):
        assert str(made.neurons)


def test_nothing_is_advised_that_was_done(home: Path) -> None:
    """Whatever is followed is not advised again, until more timesteps are all that is left."""
    graph = sw.load(home / "net.safetensors")
    x = np.load(home / "train.npz")["x"]
    assert isinstance(graph, sw.Graph)
    for option, keywords in {
        "--correct v_init:8": {"correct": "v_init:8"},
        "--correct bias:steps:8": {"correct": "bias:steps:8"},
        "--neurons signed": {"neurons": "signed"},
        "--neurons schedule=layered": {"neurons": "layered"},
        "--spikes 2": {"neurons": "spikes=2"},
        "--method mmse:8": {"method": "mmse:8"},
        "--method percentile:99.99": {"method": "max"},
    }.items():
        before, after = (Had.of(sw.convert(graph, x, **words)) for words in ({}, keywords))
        advised = [cause for cause in OWN if option in advice(cause, 8, before)]
        assert advised, option
        assert not [cause for cause in OWN if option in advice(cause, 8, after)], option
    both = Had.of(sw.convert(graph, x, correct="v_init_and_bias:4..16"))
    assert "v_init" not in advice("transient", 8, both)
    assert "v_init" in advice("transient", 32, both)  # made for other timesteps
    assert "--readout-from" not in advice("transient", 32, both)
    assert "--readout-from" not in advice("transient", 8, Had.of(sw.convert(graph, x), 5))
    automatic = Had.of(sw.convert(graph, x, "auto:8"))
    assert automatic.chosen
    assert "--method" not in advice("clipping", 8, automatic) + advice("rounding", 8, automatic)
    windows = Had.of(sw.convert(graph, x, neurons="few_spike"))
    assert {advice(cause, 8, windows) for cause in ("transient", "unevenness")} == {"more timesteps"}


def test_corrected_counts_are_read_from_the_first_step_on(home: Path) -> None:
    graph = sw.load(home / "net.safetensors")
    x = np.load(home / "train.npz")["x"]
    made = sw.convert(graph, x, correct="v_init:16")
    with pytest.warns(sw.SpikewrightWarning, match="the answer is read from the first timestep on: v_init made the"):
        assert readout_of(made, x, 16, "auto") == (0, None)
