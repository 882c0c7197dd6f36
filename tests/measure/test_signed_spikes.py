"""What costs counts spikes of either sign, what stands for an activation is their sum: at every place that counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.encoders.constant import Constant
from spikewright.encoders.events import EventFrames
from spikewright.engines.signs import signed_populations
from spikewright.errors import DataError
from spikewright.graph import Graph
from spikewright.measures import Energy
from spikewright.measures.synops import synops
from spikewright.nodes import IF, AvgPool, Input, Linear, Output, SpikeMaxPool
from spikewright.rates import Rates, simulated_rates

torch = pytest.importorskip("torch")

POOLS = ("count_max", "avg_max", "exp_max", "fir_max")


def two_layers() -> Graph:
    """Two neurons and what they reach: three synapses each."""
    weight = np.array([[1, 0.5], [1, -0.5], [0, 1]], np.float32)
    return Graph(
        [
            Input(name="x", shape=(2,)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0, signed=True),
            Linear(name="w", inputs=("n",), weight=weight, bias=np.zeros(3, np.float32)),
            IF(name="m", inputs=("w",), threshold=1.0, v_init=0.0),
            Output(name="y", inputs=("m",)),
        ]
    )


CURRENTS = np.array([[1.5, 1], [0.5, -2], [-1.25, 0], [0.25, 0]], np.float32)[None]
"""The first neuron sends 1, 1, −1, −1, the second 1, −1, 0, 0."""


def measured() -> sw.Measures:
    return sw.measure(two_layers(), CURRENTS, 4, encoder=EventFrames(), quiet=True, engine="reference")


def test_operations_firing_rates_and_energy_count_either_sign() -> None:
    found = measured()
    run = found.run
    np.testing.assert_array_equal(run.counts["n"], [0, 0])
    np.testing.assert_array_equal(run.negative["n"], [2, 1])
    np.testing.assert_array_equal(run.sent["n"], [4, 2])
    assert set(run.negative) == {"n"}
    firing = found.layers["n"].firing
    assert (firing.mean, firing.silent, firing.negative) == (0.75, 0.0, 0.5)
    assert found.negative == pytest.approx(3 / (6 + run.counts["m"].sum()))
    assert found.summary()["layers"]["n"]["negative"] == 0.5
    said = [note for note in found.notes if "of all spikes are −1: they cost what others cost" in note]
    assert len(said) == 1
    assert f"note: {said[0]}" in repr(found)
    assert found.synops["w"].total == 6 * 3
    assert found.operations["w"].acs == 4 * 2 + 2 * 3  # one weight of the first neuron is zero
    assert found.energy_spiking == pytest.approx(18 * Energy().ac / 1000)
    assert found.firing_rate == pytest.approx((6 + run.counts["m"].sum()) / 20)
    assert not any("n" in line and "never fired" in line for line in found.warnings)


def test_rates_are_net_and_say_what_travels(tmp_path: Path) -> None:
    graph = two_layers()
    rates = measured().rates
    np.testing.assert_array_equal(rates.values["n"], [0, 0])
    np.testing.assert_array_equal(rates.sizes("n"), [1, 0.5])
    np.testing.assert_array_equal(rates.sizes("x"), np.abs(CURRENTS[0]).mean(0))
    np.savez(tmp_path / "rates.npz", **rates.arrays())
    again = sw.load_rates(tmp_path / "rates.npz", graph)
    np.testing.assert_array_equal(again.sizes("n"), rates.sizes("n"))
    parts = [simulated_rates(graph, CURRENTS * sign, 4, encoder=EventFrames()) for sign in (1, -1)]
    whole = simulated_rates(graph, np.concatenate([CURRENTS, -CURRENTS]), 4, encoder=EventFrames())
    merged = Rates.merged(parts)
    for name in whole.values:
        np.testing.assert_allclose(merged.values[name], whole.values[name])
        np.testing.assert_allclose(merged.sizes(name), whole.sizes(name))


def test_edges_are_mean_currents_and_traffic_is_what_travels() -> None:
    rates = simulated_rates(two_layers(), CURRENTS + np.float32([0.5, 0]), 4, encoder=EventFrames())
    net, sizes = rates.values["n"], rates.sizes("n")
    assert (net != sizes).any()
    synapses = sw.synapses(two_layers(), rates)
    (carried,) = [one for one in synapses.summary().projections.values() if one.synapses == 6]
    weight = two_layers()["w"].arrays["weight"]
    assert carried.events == pytest.approx(3 * sizes.sum())
    assert carried.edge == pytest.approx(float((weight @ net).sum()))
    assert synapses.rates_key != sw.synapses(two_layers(), Rates(rates.values, rates.network, 1, 4)).rates_key


def test_damaged_rates_of_signed_neurons(tmp_path: Path) -> None:
    graph = two_layers()
    good = measured().rates.arrays()
    for changes, message in (
        ({"sent/n": np.array([0.5, np.nan])}, "'n' cannot send less than its rates say; simulate again"),
        ({"rate/n": np.array([2.0, 0])}, "'n' cannot send less than its rates say"),
        ({"sent/n": np.zeros(3)}, r"rates of 'n' have the shape \(3,\), its neurons \(2,\)"),
        ({"rate/n": np.array([np.inf, 0])}, r"the rate of 'n'\[0\] is inf; rates are numbers: simulate again"),
        ({"rate/m": np.array([-1.0, 0, 0])}, r"the rate of 'm'\[0\] is -1.0; rates are numbers, 0 or more"),
    ):
        np.savez(tmp_path / "bad.npz", **{**good, **changes})
        with pytest.raises(DataError, match=message):
            sw.load_rates(tmp_path / "bad.npz", graph)
    np.savez(tmp_path / "net.npz", **{**good, "rate/n": np.array([-0.25, 0])})  # as nothing here makes it, but a number
    assert sw.load_rates(tmp_path / "net.npz", graph).values["n"][0] == -0.25


def pooled(policy: str, **settings: object) -> Graph:
    return Graph(
        [
            Input(name="x", shape=(1, 2, 2)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0, **{"signed": True, **settings}),
            SpikeMaxPool(
                name="p",
                inputs=("n",),
                kernel=(2, 2),
                stride=(2, 2),
                padding=((0, 0), (0, 0)),
                dilation=(1, 1),
                policy=policy,
                horizon=4,
            ),
            Output(name="y", inputs=("p",)),
        ]
    )


def test_a_pool_by_count_sends_minus_one_when_the_largest_count_falls() -> None:
    currents = np.zeros((1, 6, 1, 2, 2), np.float32)
    currents[0, :, 0, 0, 0] = [1.25, 1, -1.5, -1, 0, 0]
    currents[0, :, 0, 1, 1] = [0, 1.25, 0, 0, 1, -3]
    run = sw.simulate(pooled("count_max"), currents, 6, encoder=EventFrames(), record="spikes", engine="reference")
    np.testing.assert_array_equal(run.spikes["n"][0, :, 0, 0, 0], [1, 1, -1, -1, 0, 0])
    np.testing.assert_array_equal(run.spikes["n"][0, :, 0, 1, 1], [0, 1, 0, 0, 1, -1])
    np.testing.assert_array_equal(run.spikes["p"].ravel(), [1, 1, -1, 0, 1, -1])
    np.testing.assert_array_equal(run.sent["p"].ravel(), [5])


@pytest.mark.parametrize("max_spikes", [1, 3, None])
def test_the_largest_count_of_signed_spikes_is_the_pool_s_at_every_step(max_spikes: int | None) -> None:
    x = np.random.default_rng(0).normal(0.2, 1.5, (20, 12, 1, 2, 2)).astype(np.float32)
    graph = pooled("count_max", max_spikes=max_spikes)
    run = sw.simulate(graph, x, 12, encoder=EventFrames(), record="spikes", engine="reference")
    sums = run.spikes["n"].cumsum(1)
    np.testing.assert_array_equal(run.spikes["p"].cumsum(1)[:, :, 0, 0, 0], sums.max((2, 3, 4)))
    assert (run.spikes["p"] < 0).any()
    assert (sums >= 0).all()


@pytest.mark.parametrize("policy", POOLS)
def test_every_pool_tends_to_the_largest_net_rate(policy: str) -> None:
    """What the estimates go by is net; the spikes of the neuron that leads pass whatever their sign."""
    x = np.array([0.2, 0.75, 0.4, -0.5], np.float32).reshape(1, 1, 2, 2)
    run = sw.simulate(pooled(policy), x, 400, encoder=Constant(), engine="reference")
    assert run.counts["p"].ravel()[0] / 400 == pytest.approx(0.75, abs=0.02)


def test_which_populations_may_send_less_than_zero() -> None:
    assert signed_populations(two_layers()) == {"n"}
    assert signed_populations(pooled("count_max")) == {"n", "p"}
    assert signed_populations(pooled("count_max", signed=False)) == set()
    direct = Graph([node.replace(inputs=("x",)) if node.name == "p" else node for node in pooled("count_max")])
    assert signed_populations(direct.needed()) == {"p"}


@pytest.mark.parametrize("engine", ["reference", "event"])
def test_events_of_inputs_that_are_pooled_cost_what_they_are(engine: str) -> None:
    """ON and OFF events of a camera: −1 costs what +1 does."""
    direct = Graph([node.replace(inputs=("x",)) if node.name == "p" else node for node in pooled("count_max")]).needed()
    frames = np.random.default_rng(1).integers(-1, 2, (3, 8, 1, 2, 2)).astype(np.float32)
    run = sw.simulate(direct, frames, 8, encoder=EventFrames(), engine=engine, record=("spikes", "events"))
    np.testing.assert_array_equal(run.sent["p"], np.abs(run.spikes["p"]).sum((0, 1)))
    np.testing.assert_array_equal(run.negative["p"], np.maximum(-run.spikes["p"], 0).sum((0, 1)))


def test_synaptic_operations_of_what_is_pooled_of_signed_spikes() -> None:
    """The pool gathers every spike of its windows, and sends on what the largest count moves by."""
    x = np.random.default_rng(2).normal(0.2, 1.5, (4, 12, 1, 2, 2)).astype(np.float32)
    found = sw.measure(pooled("count_max"), x, 12, encoder=EventFrames(), quiet=True, engine="reference")
    spikes = sw.simulate(pooled("count_max"), x, 12, encoder=EventFrames(), record="spikes", engine="reference").spikes
    assert found.synops["p"].spikes == np.abs(spikes["n"]).sum() / 4
    assert synops(pooled("count_max"), {"n": np.ones((1, 2, 2))})["p"].spikes == 4


def test_average_pools_pass_on_the_net_rate() -> None:
    nodes = [node for node in pooled("count_max") if node.name != "p"]
    pool = AvgPool(name="p", inputs=("n",), kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
    graph = Graph([*(node.replace(inputs=("p",)) if node.name == "y" else node for node in nodes), pool])
    x = np.random.default_rng(2).normal(0.2, 1.5, (4, 12, 1, 2, 2)).astype(np.float32)
    run = sw.simulate(graph, x, 12, encoder=EventFrames(), engine="reference")
    np.testing.assert_allclose(run.output[:, -1].mean() * 12 * 4, run.counts["n"].mean())
