"""The fact table's worked networks: memory, who sends to whom, and cores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import spikewright as sw
from networks import Builder
from spikewright.graph import Graph
from spikewright.nodes import Output

FACTS = json.loads((Path(__file__).parent / "speck.json").read_text())["worked"]
NONE = ((0, 0), (0, 0))


def one_layer(b: Builder) -> None:
    b.conv(2, 2, padding=NONE)


def with_a_pool(b: Builder) -> None:
    b.conv(2, 3, padding=NONE)
    b.relu()
    b.avg_pool()
    b.flatten()
    b.linear(3)


def shortcut(b: Builder) -> None:
    b.conv(2)
    start = b.relu()
    b.conv(2)
    b.sum(start, b.relu())
    b.conv(1, 4, stride=4, padding=NONE)


@pytest.mark.parametrize(("case", "build"), [("A", one_layer), ("B", with_a_pool), ("D", shortcut)])
def test_worked_networks(case: str, build: object) -> None:
    facts = FACTS[case]
    b = Builder(0, tuple(facts["input_shape"]))
    build(b)  # type: ignore[operator]
    b.relu()
    fit = sw.check(Graph([*b.nodes, Output(name="output", inputs=(b.at,))]))
    assert fit.fits
    assert fit.network is not None
    names = [layer.layer for layer in fit.layers]
    for k, layer in enumerate(fit.layers):
        words = facts["memory"]["kernel"][str(k)], facts["memory"]["neuron"][str(k)]
        assert (layer.kernel_words, layer.neuron_words) == words
        sent = [names.index(one.layer) for one in fit.network[layer.layer].destinations]
        assert sorted(sent) == sorted(core for core in facts["destinations"][str(k)] if core >= 0)
    if case == "D":  # every layer fits every core, and the busiest two stand on those that compute in parallel
        assert set(fit.cores.values()) == {0, 1, 2}
