"""Neurons that remember what they sent: signed, without debt, with biases of some steps."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.conversion import Neurons, NeuronsByPopulation
from spikewright.encoders.events import EventFrames
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, LIF, Input, Output

torch = pytest.importorskip("torch")


def neuron(kind: type[IF] = IF, channels: int = 1, **settings: Any) -> Graph:
    chosen = {"threshold": 1.0, "v_init": 0.0, **settings}
    nodes = [Input(name="x", shape=(channels,)), kind(name="n", inputs=("x",), **chosen)]
    return Graph([*nodes, Output(name="y", inputs=("n",))])


def run(graph: Graph, currents: Any) -> tuple[list[Any], list[Any]]:
    """Spikes and potentials, for currents ``(T,)`` or ``(T, channels)``."""
    x = np.asarray(currents, np.float32).reshape(1, len(currents), -1)
    found = sw.simulate(
        graph, x, len(currents), encoder=EventFrames(), engine="reference", record=("spikes", "potentials")
    )
    return found.spikes["n"][0].squeeze(-1).tolist(), found.potentials["n"][0].squeeze(-1).tolist()


def test_signed_as_the_equations_say() -> None:
    """+1 at the threshold, −1 at or below zero while more was sent; reset by subtraction either way."""
    assert run(neuron(signed=True), [1.5, 0.5, -1.25, 0.25, 0.0]) == ([1, 1, -1, -1, 1], [0.5, 0, -0.25, 1, 0])
    assert run(neuron(signed=True), [-2, 1, 1, 1]) == ([0, 0, 0, 1], [-2, -1, 0, 0])


def test_signed_with_several_spikes_a_step() -> None:
    """As many are taken back as bring the potential above zero: never more than the cap, nor than were sent."""
    currents = [4.5, -3.25, -9, 0.0]
    assert run(neuron(signed=True, max_spikes=None), currents) == ([4, -3, -1, 0], [0.5, 0.25, -7.75, -7.75])
    assert run(neuron(signed=True, max_spikes=3), currents) == ([3, -2, -1, 0], [1.5, 0.25, -7.75, -7.75])
    assert run(neuron(signed=True, max_spikes=2), [4.5, 0, -9, 0, 0]) == (
        [2, 2, -2, -2, 0],
        [2.5, 0.5, -6.5, -4.5, -4.5],
    )


def test_no_debt_until_the_first_spike() -> None:
    """Potentials end at zero from below, and no longer from the step of the first spike on."""
    assert run(neuron(no_debt=True), [-2, 1, -2, 0.5, 0]) == ([0, 1, 0, 0, 0], [0, 0, -2, -1.5, -1.5])
    assert run(neuron(no_debt=True, v_min=-1.0), [-2, 1, -2, 0.5, 0]) == ([0, 1, 0, 0, 0], [0, 0, -1, -0.5, -0.5])
    assert run(neuron(no_debt=True, signed=True), [-2, 1.5, -2, 0]) == ([0, 1, -1, 0], [0, 0.5, -0.5, -0.5])
    taken = [-2, 1.5, -2, 1.0, -1.0]  # once is for ever: a spike that was taken back was sent
    assert run(neuron(no_debt=True, signed=True), taken) == ([0, 1, -1, 0, 0], [0, 0.5, -0.5, 0.5, -0.5])


def test_biases_of_the_first_steps() -> None:
    assert run(neuron(step_bias=[[0.5], [1.0]]), [0.0] * 4) == ([0, 1, 0, 0], [0.5, 0.5, 0.5, 0.5])
    fired = {"step_bias": np.zeros((3, 1)), "fired_bias": np.array([-0.5])}
    assert run(neuron(**fired), [1.0, 0.25, 0, 0.0]) == ([1, 0, 0, 0], [0, -0.25, -0.75, -0.75])
    x = np.zeros((1, 2, 2, 3), np.float32)  # one row a step, one number a channel, the same at all positions
    graph = Graph(
        [
            Input(name="x", shape=(2, 3)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0, step_bias=[[1, 2], [3, 4]], max_spikes=None),
            Output(name="y", inputs=("n",)),
        ]
    )
    spikes = sw.simulate(graph, x, 2, encoder=EventFrames(), record="spikes").spikes["n"][0]
    np.testing.assert_array_equal(spikes, [[[1] * 3, [2] * 3], [[3] * 3, [4] * 3]])


def by_hand(settings: dict[str, Any], currents: list[Fraction]) -> tuple[list[int], list[Fraction]]:
    """One neuron by the equations of ``nodes/integrate_and_fire.py``, in fractions."""
    theta, v = Fraction(settings["threshold"]), Fraction(settings["v_init"])
    table, extra = settings.get("step_bias"), settings.get("fired_bias")
    cap = settings["max_spikes"] or 10**9
    sent, fired, spikes, potentials = 0, False, [], []
    for t, current in enumerate(currents):
        if table is not None and t < len(table):
            current += Fraction(float(table[t][0]))
            if fired and extra is not None:
                current += Fraction(float(extra[0]))
        v = Fraction(settings.get("leak", 1.0)) * v + current
        n = min(max(0, floor(v / theta)), cap)
        if settings["signed"] and v <= 0 < sent:
            n = -min(cap, sent, floor(-v / theta) + 1)
        if settings["reset"] == "subtract":
            v -= n * theta
        elif n:
            v = Fraction(0)
        if settings["v_min"] is not None:
            v = max(v, Fraction(settings["v_min"]))
        fired, sent = fired or n != 0, sent + n
        if settings["no_debt"] and not fired:
            v = max(v, Fraction(0))
        spikes.append(n)
        potentials.append(v)
    return spikes, potentials


@pytest.mark.parametrize("seed", range(40))
def test_every_combination_against_the_equations_by_hand(seed: int) -> None:
    random = np.random.default_rng(seed)
    signed = bool(random.integers(2))
    settings = {
        "threshold": float(random.choice([0.5, 1.0, 2.0])),
        "v_init": float(random.choice([0.0, 0.25, 0.5])),
        "max_spikes": [1, 3, None][random.integers(3)],
        "v_min": [None, -1.0][random.integers(2)],
        "reset": "subtract" if signed else str(random.choice(["subtract", "zero"])),
        "signed": signed,
        "no_debt": bool(random.integers(2)),
    }
    if random.integers(2):
        settings["step_bias"] = random.integers(-4, 5, (int(random.integers(1, 20)), 1)) / 8
        if random.integers(2):
            settings["fired_bias"] = random.integers(-4, 5, 1) / 8
    kind = IF
    if not signed and random.integers(2):
        kind, settings["leak"] = LIF, 0.5
    currents = [Fraction(int(k), 8) for k in random.integers(-20, 21, 16)]
    spikes, potentials = by_hand(settings, currents)
    assert run(neuron(kind, **settings), [float(current) for current in currents]) == (spikes, potentials)


def test_signed_counts_round_what_arrived_once_it_settles() -> None:
    """After any start the count of a signed neuron is the rounded sum, and no smaller than nothing."""
    random = np.random.default_rng(0)
    sums = random.uniform(-3, 6, 200).astype(np.float32)
    currents = random.normal(0, 1, (12, 200)).astype(np.float32)
    currents = np.concatenate([currents, sums - currents.sum(0, keepdims=True), np.zeros((30, 200), np.float32)])
    graph = neuron(channels=200, signed=True, v_init=0.5)
    counts = sw.simulate(graph, currents[None], len(currents), encoder=EventFrames()).counts["n"]
    np.testing.assert_array_equal(counts, np.maximum(np.floor(currents.sum(0, dtype=np.float64) + 0.5), 0))
    plain = sw.simulate(neuron(channels=200, v_init=0.5), currents[None], len(currents), encoder=EventFrames())
    assert (plain.counts["n"] > counts).sum() > 20  # what was sent too early cannot be taken back


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"signed": True, "reset": "zero"}, SettingsError, "IF 'n': signed neurons send −1 for what they sent"),
        ({"signed": True, "leak": 0.9}, SettingsError, "they need reset='subtract' and no leak"),
        ({"signed": 2}, SettingsError, "IF 'n': signed must be True or False, not 2"),
        ({"no_debt": "yes"}, SettingsError, "IF 'n': no_debt must be True or False, not 'yes'"),
        ({"fired_bias": [0.5]}, SettingsError, "fired_bias acts in the steps of step_bias, and there is none"),
        (
            {"step_bias": [0.5, 0.5]},
            GraphError,
            r"step_bias \(2,\) does not fit \(1,\): it is \(steps, channels\), of 1",
        ),
        ({"step_bias": [[0.5, 0.5]]}, GraphError, r"step_bias \(1, 2\) does not fit \(1,\)"),
        ({"step_bias": np.zeros((0, 1))}, GraphError, r"step_bias \(0, 1\) does not fit \(1,\)"),
        (
            {"step_bias": [[0.5]], "fired_bias": 0.5},
            GraphError,
            r"fired_bias \(\) does not fit \(1,\): it is \(channels\)",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        neuron(LIF if "leak" in settings else IF, **settings)


def test_a_file_holds_them(tmp_path: Path) -> None:
    graph = neuron(channels=2, signed=True, no_debt=True, step_bias=[[1, 2], [3, 4]], fired_bias=[1, 2])
    sw.save(graph, tmp_path / "graph.safetensors")
    again = sw.load(tmp_path / "graph.safetensors")
    assert isinstance(again, Graph)
    assert again["n"].alike(graph["n"])
    assert again.fingerprint == graph.fingerprint != neuron(channels=2).fingerprint


def test_neurons_as_text() -> None:
    assert Neurons.parse("signed") == Neurons(signed=True) == Neurons.parse("signed=true")
    assert str(Neurons(signed=True, no_debt=True, max_spikes=4)) == "spikes=4,signed,no_debt"
    assert Neurons.parse("spikes=4,signed,no_debt") == Neurons(signed=True, no_debt=True, max_spikes=4)
    by = NeuronsByPopulation.parse("signed; fc*: signed=false,no_debt")
    assert by.of("conv") == Neurons(signed=True)
    assert by.of("fc1") == Neurons(no_debt=True)
    assert str(by) == "signed; fc*: signed=false,no_debt"
    assert NeuronsByPopulation.parse(str(by)) == by


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signed=yes", "neurons: signed is a word of its own, or takes true or false, not 'yes'"),
        ("signed,signed", "neurons: signed is given twice"),
        ("sign", "unknown setting 'sign'; there are reset=, .* horizon=, signed, no_debt"),
        ("reset", "unknown setting 'reset'; there are reset="),
        ("signed,reset=zero", "Neurons: signed neurons send −1 for what they sent .* they need reset='subtract'"),
        ("signed,leak=0.9", "Neurons: signed neurons send −1"),
    ],
)
def test_texts_of_neurons_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Neurons.parse(text)
