"""Caps on the spikes of a step, chosen under a budget of spikes for the whole network."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.corrections.bursts import WAYS, Bursts, best
from spikewright.errors import SettingsError
from spikewright.forward import run
from spikewright.nodes import IF

BUILDER = Builder(0, (2, 6, 6))
BUILDER.conv(4)
BUILDER.relu()
BUILDER.conv(5)
BUILDER.relu()
BUILDER.flatten()
BUILDER.linear(3)
GRAPH = BUILDER.graph()
X = np.random.default_rng(2).uniform(0, 1, (60, 2, 6, 6)).astype(np.float32)


def converted(method: str = "percentile:60", **options: object) -> sw.Conversion:
    """With λ so low that single spikes clip much, which bursts do not."""
    return sw.convert(GRAPH, X, method, **options)  # type: ignore[arg-type]


def error(conversion: sw.Conversion, timesteps: int = 8) -> float:
    expected = run(conversion.reference, X)["output"]
    return float(np.square(sw.simulate(conversion, X, timesteps).output[:, -1] - expected).mean())


def spikes(conversion: sw.Conversion, timesteps: int = 8) -> float:
    return sum(float(sent.sum()) for sent in sw.simulate(conversion, X, timesteps).sent.values())


@pytest.mark.parametrize("seed", range(20))
def test_the_best_ways_are_those_of_trying_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = [[(0.0, 0.0), *map(tuple, rng.normal([0.5, -0.5], 1, (3, 2)).tolist())] for _ in range(4)]
    budget = float(rng.uniform(0, 3))
    every = list(product(range(4), repeat=4))
    sums = [np.sum([row[k] for row, k in zip(table, picks, strict=True)], axis=0) for picks in every]
    least = min(errors for cost, errors in sums if cost <= budget)
    found = best(table, budget)
    assert sum(row[k][0] for row, k in zip(table, found, strict=True)) <= budget + 1e-12
    assert sum(row[k][1] for row, k in zip(table, found, strict=True)) == pytest.approx(least)


def test_very_many_ways_stay_few() -> None:
    table = [[(0.0, 0.0), *((2.0**-k * (1 + j), -(2.0**-k) * (1 + j) ** 0.9) for j in range(3))] for k in range(18)]
    found = best(table, 2.0)
    assert WAYS < 4**18
    assert 1.0 < sum(row[k][0] for row, k in zip(table, found, strict=True)) <= 2.0
    assert best([[(0.0, 0.0), (1.0, -1.0)]] * 3, -1.0) == [0, 0, 0]


def test_bursts_come_nearer_within_the_budget(tmp_path: Path) -> None:
    before = converted()
    after = sw.correct(before, X, "bursts:4,8,budget=3", samples=60)
    caps = {node.name: node.max_spikes for node in after.spiking.of_type(IF)}
    assert set(caps.values()) <= {1, 2, 4}
    assert max(caps.values()) > 1
    assert error(after) < 0.5 * error(before)
    assert spikes(after) <= 3 * spikes(before)
    assert {name: after.neurons.of(name).max_spikes for name in caps} == caps
    assert after.changed == ()  # it is what conversion makes of such neurons
    assert str(after.corrections[-1]) == "bursts:timesteps=8,budget=3.0,encoder=constant,samples=60,seed=0"
    sw.save(after, tmp_path / "bursts.safetensors")
    assert sw.load(tmp_path / "bursts.safetensors") == after


def test_a_budget_of_one_adds_no_spikes() -> None:
    after = sw.correct(converted(), X, "bursts:4,8,budget=1", samples=60)
    assert spikes(after) <= spikes(converted()) * (1 + 1e-9)


def test_what_was_corrected_before_stays() -> None:
    corrected = sw.correct(converted(), X, "v_init:8", samples=60)
    after = sw.correct(corrected, X, "bursts:3,8,budget=4", samples=60)
    for node in after.spiking.of_type(IF):
        np.testing.assert_array_equal(node.v_init, corrected.spiking[node.name].v_init)
        assert node.max_spikes in (1, 2, 3)
    assert [one.name for one in after.corrections] == ["v_init", "bursts"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bursts:1", "bursts: the cap must be 2 or more, not 1"),
        ("bursts:2.5", "bursts: the cap must be a whole number, not 2.5"),
        ("bursts:4,budget=0.5", "bursts: the budget must be 1 or more, in spikes of the network, not 0.5"),
        ("bursts:4,budget=x", "bursts: budget takes a number, not 'x'"),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        sw.corrector(text)
    assert str(caught.value) == message
    assert sw.corrector("bursts:4,8..16,budget=2") == Bursts("8..16", 4, 2.0)  # type: ignore[arg-type]


def test_networks_whose_populations_have_their_caps() -> None:
    builder = Builder(0, (3,))
    builder.linear(4)
    builder.relu(ceiling=6.0)
    builder.linear(2)
    x = np.random.default_rng(0).uniform(0, 1, (20, 3)).astype(np.float32)
    with pytest.raises(SettingsError, match="bursts: every population has a ceiling"):
        sw.correct(sw.convert(builder.graph(), x, "max"), x, "bursts")
    with pytest.raises(SettingsError, match="bursts: neurons that exchange window by window send one spike a step"):
        sw.correct(converted(neurons="layered"), X, "bursts")
