"""Networks of windows answer as networks that were trained in levels do, class for class."""

from __future__ import annotations

import numpy as np
import pytest

import networks
import spikewright as sw
from spikewright.forward import run as forward
from spikewright.graph import Graph
from spikewright.measures.quantised import quantised_graph
from spikewright.nodes import ReLU

pytest.importorskip("torch")


def _in_trained_levels(graph: Graph, levels: int) -> Graph:
    shifts = (0.5, 0.25, 0.0)
    relus = graph.of_type(ReLU)
    return graph.replaced(
        *(r.replace(ceiling=1.5 + k / 4, levels=levels, shift=shifts[k % 3]) for k, r in enumerate(relus))
    )


@pytest.mark.parametrize("name", ["plain", "residual"])
@pytest.mark.parametrize(
    ("schedule", "levels", "timesteps"),
    [
        ("few_spike", 1, 1),
        ("few_spike", 3, 2),
        ("few_spike", 7, 3),
        ("few_spike", 31, 5),
        ("layered", 5, 5),
        ("layered", 8, 8),
    ],
)
def test_trained_levels_are_answered_class_for_class(name: str, schedule: str, levels: int, timesteps: int) -> None:
    b = getattr(networks, name)(3)
    graph, x = _in_trained_levels(b.graph(), levels), b.samples(60)
    expected = forward(sw.prepare(graph)[0], x, dtype="float64")["output"]
    for view in ("weights", "thresholds"):
        made = sw.convert(graph, x, "percentile:50,channels", neurons=schedule, view=view)
        for relu in made.folded.of_type(ReLU):
            above = (levels + 1) / levels if schedule == "few_spike" else 1.0
            assert made.scales[relu.name] == pytest.approx(relu.ceiling * above)
        for engine in ("auto", "reference"):
            answers = sw.simulate(made, x, timesteps, engine=engine).output[:, -1]
            np.testing.assert_allclose(answers, expected, atol=1e-4)
            assert (answers.argmax(1) == expected.argmax(1)).all()
        rounded = forward(quantised_graph(made, timesteps), x)["output"]
        np.testing.assert_allclose(rounded, expected, atol=1e-4)


def test_other_numbers_of_trained_levels_keep_their_ceiling() -> None:
    b = networks.plain(3)
    graph = _in_trained_levels(b.graph(), 8)
    made = sw.convert(graph, b.samples(20), "max", neurons="few_spike")
    assert all(made.scales[relu.name] == relu.ceiling for relu in made.folded.of_type(ReLU))
