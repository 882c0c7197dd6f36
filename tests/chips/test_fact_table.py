"""Cases of the fact table that no other file has: synaptic operations of the small networks, traps of other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowering_cases import SPECK
from test_bandwidth import facts_network

import spikewright as sw
from networks import Builder
from spikewright.chips.bandwidth import from_rates, measured_bandwidth
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination
from spikewright.graph import Graph
from spikewright.nodes import IF, AvgPool, Conv, Flatten, Input, Linear, Output
from spikewright.rates import simulated_rates

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "event_by_event.json").read_text(encoding="utf-8"))
EVENTS = sw.encoders.encoder("events")
MAPS: dict[str, Any] = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
FOUR: dict[str, Any] = {"threshold": 4.0, "v_init": 0.0, "max_spikes": None}


def raster(channels: int = 1) -> np.ndarray[Any, Any]:
    """A spike where ``(7t + 5c + 3y + 2x) % 4`` is 0, ``(1, T, c, 4, 4)``: 16 of one channel."""
    t, c, y, x = np.meshgrid(range(4), range(channels), range(4), range(4), indexing="ij")
    return ((7 * t + 5 * c + 3 * y + 2 * x) % 4 == 0).astype(np.float32)[None]


def counted(graph: Graph, data: Any, dt: float = 0.01) -> dict[str, float]:
    """Synaptic operations of a sample, by layer."""
    timesteps = data.shape[1]
    found = measured_bandwidth(graph, lower(graph, SPECK).checked(SPECK), data, timesteps, dt, encoder=EVENTS)
    return {load.layer: load.mean * timesteps * dt for load in found.layers}


def conv(name: str, source: str, outputs: int, inputs: int, side: int, pad: int) -> Conv:
    settings = {**MAPS, "padding": ((pad, pad), (pad, pad))}
    weight = np.ones((outputs, inputs, side, side))
    return Conv(name=name, inputs=(source,), weight=weight, bias=np.zeros(outputs), **settings)


def branches() -> Graph:
    """Network 10: one layer that two read, one of them behind a mean pool."""
    even: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "overhang": (0, 0)}
    return Graph(
        [
            Input(name="input", shape=(1, 4, 4)),
            conv("conv", "input", 2, 1, 3, 1),
            IF(name="c1", inputs=("conv",), **FOUR),
            conv("straight", "c1", 1, 2, 1, 0),
            IF(name="direct", inputs=("straight",), **FOUR),
            AvgPool(name="pool", inputs=("c1",), **even),
            conv("behind", "pool", 1, 2, 1, 0),
            IF(name="pooled", inputs=("behind",), **FOUR),
            Output(name="one", inputs=("direct",)),
            Output(name="two", inputs=("pooled",)),
        ]
    )


def test_a_branch_counts_the_events_that_each_layer_gets() -> None:
    """200, 40 and 40; a pool's factor given to the wrong layer makes 160 and 10 of them."""
    assert counted(branches(), raster()) == pytest.approx({"c1": 200, "direct": 40, "pooled": 40})
    rates = simulated_rates(branches(), raster(), 4, encoder=EVENTS)
    means = from_rates(lower(branches(), SPECK).checked(SPECK), rates, 0.01)
    assert [load.mean * 0.04 for load in means.layers] == pytest.approx([200, 40, 40])


def test_seconds_are_seconds() -> None:
    """200 operations in 4 steps of a millisecond, of a second: 50,000 and 50 a second."""
    graph = facts_network(pool=False)
    network = lower(graph, SPECK).checked(SPECK)
    for dt, per_second in ((1e-3, 50_000), (1.0, 50)):
        found = measured_bandwidth(graph, network, raster(), 4, dt, encoder=EVENTS, window=dt)
        assert found["one"].mean == pytest.approx(per_second)
    found = measured_bandwidth(graph, network, raster(), 4, 0.01, encoder=EVENTS)
    assert (found["one"].mean, found["two"].mean) == pytest.approx((5000, 3000))  # 8,000 in all, 80 a step


def test_a_batch_is_a_mean_over_its_samples() -> None:
    """Network 5: the 200 operations are those of two samples, of which one is silent; network 7: of four."""
    graph = facts_network(pool=False)
    assert counted(graph, np.concatenate([raster(), 0 * raster()]))["one"] == pytest.approx(100)
    steps = raster()[0][:, None]  # four samples of one step
    assert counted(graph, steps)["one"] == pytest.approx(50)


def test_a_dense_layer_counts_every_output() -> None:
    """Network 6: 16 events that reach three neurons each."""
    nodes = [
        Input(name="input", shape=(1, 4, 4)),
        Flatten(name="flat", inputs=("input",)),
        Linear(name="fc", inputs=("flat",), weight=np.ones((3, 16)), bias=np.zeros(3)),
        IF(name="fire", inputs=("fc",), **FOUR),
        Output(name="output", inputs=("fire",)),
    ]
    assert counted(Graph(nodes), raster())["fire"] == pytest.approx(48)


def test_a_sum_pool_counts_as_a_mean_pool_does() -> None:
    """Network 9: 40 events behind a pool reach three neurons each, whatever is made of their weights."""
    to = Destination("fc", pool=2)
    one = ChipLayer("conv", ("input",), (1, 4, 4), np.ones((2, 1, 3, 3)), padding=(1, 1), destinations=(to,))
    fc = ChipLayer("fc", ("conv",), (2, 2, 2), np.ones((3, 2, 2, 2)))
    network = ChipNetwork((ChipInput("input", (1, 4, 4), (Destination("conv"),)),), (one, fc))
    sent = {"input": raster()[0].sum(axis=0), "conv": np.full((2, 4, 4), 40 / 32)}
    from spikewright.chips.bandwidth import synops

    assert float(synops(network, network["conv"], sent)) == 200
    assert float(synops(network, network["fc"], sent)) == pytest.approx(120)


@pytest.mark.parametrize("spikes", ["MultiSpike", "SingleSpike"])
@pytest.mark.parametrize("case", FACTS["cases"].values(), ids=FACTS["cases"])
def test_steps_give_what_the_fact_table_says_of_steps(case: dict[str, Any], spikes: str) -> None:
    """The other side of every case of event by event: the sum of a step, and the spikes of a step."""
    sums = np.array([sum(step) for step in case["events_per_step"]], np.float32)
    neurons: dict[str, Any] = {"threshold": case["theta"], "v_init": 0.0, "v_min": float(case["v_min"])}
    nodes = [
        Input(name="input", shape=(1,)),
        IF(name="fire", inputs=("input",), max_spikes=None if spikes == "MultiSpike" else 1, **neurons),
        Output(name="output", inputs=("fire",)),
    ]
    frames = sums.reshape(1, -1, 1)
    settings: dict[str, Any] = {"encoder": EVENTS, "engine": "reference", "quiet": True}
    run = sw.simulate(Graph(nodes), frames, len(sums), record=("spikes", "potentials"), **settings)
    sent, left = case[f"sinabs_{spikes}"]
    assert run.spikes["fire"].ravel().tolist() == [abs(value) for value in sent]
    assert run.potentials["fire"].ravel()[-1] == pytest.approx(left)


def layer(*, shape: tuple[int, int, int], outputs: int, kernel: int, **fields: Any) -> ChipLayer:
    return ChipLayer("layer", ("input",), shape, np.ones((outputs, shape[0], kernel, kernel)), **fields)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (layer(shape=(1, 20, 20), outputs=1, kernel=17), "its kernel of 17x17 is larger than 16x16"),
        (layer(shape=(1, 9, 9), outputs=1, kernel=3, stride=(3, 3)), "its stride of 3x3 is not of 1, 2, 4, 8"),
        (layer(shape=(1, 9, 9), outputs=1, kernel=3, stride=(3, 2)), "its stride of 3x2 is not of 1, 2, 4, 8"),
        (layer(shape=(1, 4, 4), outputs=1, kernel=3, padding=(8, 0)), "its padding of 8 is more than 7"),
        (layer(shape=(1, 1, 1), outputs=2048, kernel=1), "2,048"),
        (layer(shape=(1, 128, 8), outputs=1, kernel=1), "128x8"),
    ],
    ids=["kernel", "stride", "one stride", "padding", "features", "map"],
)
def test_what_other_tools_accept_is_refused(made: ChipLayer, said: str) -> None:
    from spikewright.chips.limits import broken
    from spikewright.chips.sizes import Sizes

    assert any(said in limit for limit in broken(Sizes.of(made), SPECK)), broken(Sizes.of(made), SPECK)


def test_a_size_is_rounded_down() -> None:
    """18x18, a kernel of 3 and a stride of 2 make 8x8: 512 words of 8 channels, not 2,048."""
    assert layer(shape=(1, 18, 18), outputs=8, kernel=3, stride=(2, 2)).neuron_words == 512


@pytest.mark.parametrize("pool", [3, 8])
def test_a_sum_pool_that_no_chip_has_is_refused(pool: int) -> None:
    from spikewright.chips.limits import broken_by_sending

    to = layer(shape=(1, 16 // pool, 16 // pool), outputs=1, kernel=1)
    sender = ChipInput("input", (1, 16, 16), (Destination("layer", pool=pool),))
    (said,) = broken_by_sending(ChipNetwork((sender,), (to,)), "input", SPECK)
    assert f"{pool}" in said


def test_a_pool_behind_the_last_layer_is_not_dropped() -> None:
    b = Builder(0, (1, 8, 8))
    b.conv(2)
    b.relu()
    b.avg_pool()
    fit = sw.check(Graph([*b.nodes, Output(name="output", inputs=(b.at,))]))
    assert fit.fits
    assert fit.network is not None
    assert fit.network["relu2"].destinations == (Destination("output_spikes", pool=2),)
    assert fit.network.readout[0].layer == "output_spikes"
