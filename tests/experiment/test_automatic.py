"""``auto``: what is chosen, on which samples, and that it is what somebody would get who typed it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration import threshold_method
from spikewright.calibration.thresholds.auto import Auto
from spikewright.cli.app import run
from spikewright.conversion import Neurons, NeuronsByPopulation
from spikewright.data import as_dataset
from spikewright.errors import SettingsError
from spikewright.experiment import automatic
from spikewright.experiment.automatic import chains, choose
from spikewright.forward import run as forward
from spikewright.graph import Array, Graph
from spikewright.timesteps import Timesteps

pytestmark = pytest.mark.filterwarnings("ignore::spikewright.SpikewrightWarning")  # few samples, a random network


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few methods, so that the tests are quick; the rounds are those there are."""
    monkeypatch.setattr(automatic, "THRESHOLDS", ("percentile:99,channels", "max", "scale:0.05"))
    monkeypatch.setattr(automatic, "FOR_T", ("mmse:{T},channels",))


def network() -> tuple[Graph, Array, Array]:
    b = plain(7)
    graph, x = b.graph(), b.samples(100)
    return graph, x, forward(sw.prepare(graph)[0], x)["output"].argmax(1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("auto:16", Auto(Timesteps(16, 16))),
        ("auto:4..32", Auto()),
        ("auto:8,allow=signed+bursts", Auto(Timesteps(8, 8), "signed+bursts")),
    ],
)
def test_its_text(text: str, value: Auto) -> None:
    assert threshold_method(text) == value
    assert threshold_method(str(value)) == value


def test_what_it_takes() -> None:
    assert threshold_method("auto") == Auto()
    with pytest.raises(
        SettingsError, match="auto: nothing that neurons may be allowed is called 'magic'; there are st"
    ):
        threshold_method("auto:16,allow=magic")
    with pytest.raises(SettingsError, match="timesteps must be 1 or more"):
        threshold_method("auto:0")
    with pytest.raises(SettingsError, match="unknown option 'frob=1'"):
        threshold_method("auto:16,frob=1")


def test_it_is_what_somebody_would_get_who_typed_it(tmp_path: Path) -> None:
    graph, x, y = network()
    made = sw.convert(graph, (x, y), "auto:2..4")
    data = as_dataset((x, y), graph.inputs)
    chosen = choose(sw.prepare(graph)[0], data, Auto(Timesteps(2, 4)))
    recipe = chosen.recipe
    by_hand = sw.convert(graph, (x, y), recipe.method, correct=recipe.corrections, neurons=recipe.neurons)
    assert made.spiking.fingerprint == by_hand.spiking.fingerprint
    assert made.calibration.method == str(recipe.method)
    assert made.calibration.samples == 100  # settled on all of them
    assert made.calibration.chosen == chosen.fact
    assert chosen.fact.startswith("auto:2..4, ")
    assert "50 of 100 samples held out, seed 0" in chosen.fact
    assert min(chosen.lost.values()) <= chosen.lost[str(recipe)] == next(iter(chosen.lost.values()))
    assert len(chosen.lost) > 4
    assert "scale:0.05" not in str(recipe.method)
    assert f"{recipe}: " in str(chosen)
    assert "not chosen" in str(chosen)
    sw.save(made, tmp_path / "made.safetensors")
    assert sw.load(tmp_path / "made.safetensors") == made
    assert "chosen by auto:2..4" in repr(made)


def test_it_never_sees_test_data() -> None:
    """Poisoned test data change nothing of what is made; so does nothing beside the calibration samples."""
    graph, x, y = network()
    made = sw.convert(graph, (x, y), "auto:4")
    for test in ((x[:40] + 9, y[:40]), (-1e3 * x[::-1], (y + 1) % 3)):
        found = sw.compare(graph, (x, y), test, ["auto:4"], 4)
        assert found.candidates[0].conversion == made


def test_neurons_only_where_they_are_allowed() -> None:
    assert {neurons for neurons, _ in chains(Auto())} == {""}
    assert {neurons for neurons, _ in chains(Auto(allow="signed+bursts"))} == {"", "signed", "spikes=4"}
    graph, x, y = network()
    assert not sw.convert(graph, (x, y), "auto:4").neurons.default.signed
    kept = sw.convert(graph, (x, y), "auto:4,allow=signed", neurons="v_min=-3").neurons.default
    assert kept.v_min == -3  # what somebody said stays


def test_a_contract_is_tried_with_the_exceptions_that_somebody_said() -> None:
    said = NeuronsByPopulation.parse("v_min=-3; fc*: spikes=2")
    tried = said.changed("signed")
    assert tried.default == Neurons(v_min=-3, signed=True)
    assert tried.of("fc1") == Neurons(v_min=-3, max_spikes=2, signed=True)
    with pytest.raises(SettingsError, match="signed"):
        NeuronsByPopulation.parse("fc*: reset=zero").changed("signed")


def test_every_contract_is_tried_where_it_is_allowed() -> None:
    graph, x, y = network()
    every = Auto(Timesteps(4, 4), "step_bias+signed+bursts+layered+few_spike")
    found = choose(sw.prepare(graph)[0], as_dataset((x, y), graph.inputs), every)
    told = " ".join(found.lost)
    for words in ("bias:4,steps", "neurons signed", "neurons spikes=4", "neurons layered", "neurons few_spike"):
        assert words in told


def test_without_labels_the_trained_network_judges() -> None:
    graph, x, _ = network()
    found = choose(sw.prepare(graph)[0], as_dataset(x, graph.inputs), Auto(Timesteps(4, 4)))
    assert not found.labelled
    assert "by the trained network's answers" in str(found)


def test_what_it_cannot_choose() -> None:
    graph, x, y = network()
    statistics = sw.calibrate(sw.prepare(graph)[0], x, "max")
    with pytest.raises(SettingsError, match="auto:4 chooses corrections itself; leave v_init out"):
        sw.convert(graph, (x, y), "auto:4", correct="v_init")
    for source in (statistics, statistics.scales("max")):
        with pytest.raises(SettingsError, match="auto:4 chooses on samples: give data in place of statistics or λ"):
            sw.convert(graph, source, "auto:4")
    with pytest.raises(SettingsError, match="auto:4 chooses on samples: give it to convert or compare, with data"):
        statistics.scales("auto:4")


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph, x, y = network()
    monkeypatch.chdir(tmp_path)
    sw.save(graph, "net.safetensors")
    np.savez("train.npz", x=x[:80], y=y[:80])
    np.savez("test.npz", x=x[80:], y=y[80:])
    typed = "convert net.safetensors --data train.npz --test test.npz -T 4 --method auto:4 --report page.html"
    assert run(typed.split(" ")) == 0
    said = capsys.readouterr().err
    assert "auto:4 chose " in said
    assert "at T=4 by labels, 40 of 80 samples held out" in " ".join(said.split())
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not chosen, points lost and distance (on so many of them)" in page
    assert run([*typed.split(" "), "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "at T=4 by labels" in told["chosen"][0]
    assert (
        run(
            [
                "convert",
                "net.safetensors",
                "--data",
                "train.npz",
                "--method",
                "auto:4",
                "--correct",
                "v_init",
                "-o",
                "b.safetensors",
            ]
        )
        == 2
    )
    assert "auto:4 chooses corrections itself; leave v_init out" in capsys.readouterr().err
