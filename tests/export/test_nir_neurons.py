"""Neurons that NIR does not have: refused by name, and why two of NIR's do not make one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.encoders.events import EventFrames
from spikewright.errors import UnsupportedModelError
from spikewright.exporters.nir import export_nir
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Output

pytest.importorskip("nir")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signed": True}, "no NIR neurons, two for each of them included, remember that; convert with signed=false"),
        ({"no_debt": True}, "its potentials end at zero until the first spike, which no NIR neuron does"),
        ({"step_bias": [[0.5]]}, "it has a bias for each step; those of NIR stay the same"),
        ({"step_bias": [[0.5], [0.25]], "fired_bias": [0.5]}, "it has a bias for each step"),
    ],
)
def test_neurons_that_remember_what_they_sent_are_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    neurons = IF(name="n", inputs=("x",), threshold=1.0, v_init=0.5, **settings)
    graph = Graph([Input(name="x", shape=(1,)), neurons, Output(name="y", inputs=("n",))])
    with pytest.raises(UnsupportedModelError, match=message):
        export_nir(graph, tmp_path / "network.nir")
    assert not list(tmp_path.iterdir())


def twins(theta: float, gated: float, currents: list[float]) -> list[int]:
    """Two neurons for one that is signed: the second one fires where ``−v + gated·sent`` reaches ``gated``."""
    v, sent, spikes = 0.0, 0, []
    for current in currents:
        v += current
        n = int(v >= theta) - int(v < theta and -v + gated * sent >= gated)
        v, sent = v - n * theta, sent + n
        spikes.append(n)
    return spikes


@pytest.mark.parametrize("gated", [0.0, 0.5, 1.0, 8.0])
def test_no_gain_of_a_memory_makes_two_neurons_one_that_is_signed(gated: float) -> None:
    """Whatever the second neuron makes of what was sent: it is no threshold on a sum. See docs/neurons.md."""
    wrong = []
    for currents in ([-2, 0, 0, 0], [1, 1, 0.25, 0, 0], [1, -0.75, 0, 0], [1.25, 1.25, -1, 0, 0]):
        neurons = IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0, signed=True)
        graph = Graph([Input(name="x", shape=(1,)), neurons, Output(name="y", inputs=("n",))])
        frames = np.array(currents, np.float32).reshape(1, -1, 1)
        run = sw.simulate(graph, frames, len(currents), encoder=EventFrames(), record="spikes", engine="reference")
        wrong.append(run.spikes["n"].ravel().astype(int).tolist() != twins(1.0, gated, currents))
    assert any(wrong)
