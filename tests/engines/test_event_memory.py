"""Neurons that remember what they sent, in the event engine: signed spikes, no debt, biases of the first steps.

The same spikes as in the reference engine, to the last one, whichever way currents are summed.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from networks import ALL
from runs import same
from spikewright.encoders import Encoder
from spikewright.encoders import encoder as named_encoder
from spikewright.encoders.events import EventFrames
from spikewright.encoders.poisson import Poisson
from spikewright.engines.event import is_built
from spikewright.engines.reference import RECORDS, Simulation
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, Add, AvgPool, Conv, Flatten, Input, Linear, Output, SpikeMaxPool
from spiking_networks import spiking_network

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native
from spikewright.engines.event.simulation import EventSimulation

CONSTANT = named_encoder("constant")
WAYS = (  # instruction set, chunk of timesteps, gathering, threads
    ("", 64, True, 2),
    ("wide", 4, True, 1),
    ("portable", 5, True, 2),
    ("", 3, False, 1),
)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=120, deadline=None)
@given(
    seed=SEEDS,
    encoder=st.sampled_from([CONSTANT, CONSTANT, Poisson(scale=0.5), Poisson(scale=2.0)]),
    record=st.sampled_from([(), ("events",), ("spikes", "nonzero"), RECORDS]),
    way=st.sampled_from(WAYS),
    timesteps=st.sampled_from([1, 2, 11, 11, 30]),
)
def test_spike_for_spike(
    seed: int, encoder: Encoder, record: tuple[str, ...], way: tuple[str, int, bool, int], timesteps: int
) -> None:
    graph, x = spiking_network(seed, memory=True)
    batch, (isa, chunk, gather, threads) = torch.from_numpy(x), way
    expected = Simulation(graph).run(batch, timesteps, encoder, record)
    engine = EventSimulation(graph, threads=threads, chunk=chunk, gather=gather, isa=isa)
    same(graph, expected, engine.run(batch, timesteps, encoder, record))


def test_the_networks_drawn_cover_what_neurons_remember() -> None:
    found = set()
    for seed in range(40):
        graph, _ = spiking_network(seed, memory=True)
        gathers = EventSimulation(graph).prepare(CONSTANT)
        gathering, layers = gathers.compiled.plan.gathering(), gathers.compiled.layers
        for node in graph.of_type(IF):
            memory = (node.signed, node.no_debt, node.step_bias is not None, node.fired_bias is not None)
            found.add((*memory, node.max_spikes == 1, gathering[layers[node.name]]))
    for signed, indebted in product((False, True), repeat=2):
        assert (signed, indebted, True, True, True, True) in found
        assert (signed, indebted, False, False, True, True) in found
    assert any(signed and not single for signed, _, _, _, single, _ in found)


def dyadic(random: np.random.Generator, *shape: int, steps: int = 16) -> Array:
    return (random.integers(-steps // 2, steps // 2 + 1, shape) / 16).astype(np.float32)


def kinds(random: np.random.Generator, channels: int) -> dict[str, dict[str, Any]]:
    """Settings that gather."""
    table = dyadic(random, 13, channels)
    return {
        "bursts": {"max_spikes": 3},
        "bursts to zero": {"max_spikes": 5, "reset": "zero"},
        "signed bursts": {"max_spikes": 4, "signed": True},
        "long bursts, all": {"max_spikes": 15, "signed": True, "step_bias": table, "no_debt": True},
        "signed": {"signed": True},
        "no_debt": {"no_debt": True},
        "step_bias": {"step_bias": table},
        "signed and clamped": {"signed": True, "v_min": dyadic(random, channels) - 0.5},
        "all": {"signed": True, "no_debt": True, "step_bias": table, "fired_bias": dyadic(random, channels)},
        "fired_bias": {"step_bias": np.tile(table, (6, 1)), "fired_bias": dyadic(random, channels)},
        "plain": {},
    }


def neurons(random: np.random.Generator, name: str, source: str, shape: tuple[int, ...], kind: str) -> IF:
    """A threshold for each channel, an initial potential for each channel or each neuron."""
    threshold = random.choice([0.5, 1.0, 2.0], shape[0]).astype(np.float32)
    v_init = dyadic(random, *shape[: int(random.choice([1, len(shape)]))])
    return IF(name=name, inputs=(source,), threshold=threshold, v_init=v_init, **kinds(random, shape[0])[kind])


def residual(random: np.random.Generator, first: str, second: str, channels: int) -> Graph:
    """A residual block, an average pool and a linear layer, between neurons of these two kinds."""

    def conv(name: str, source: str, inputs: int, kernel: int = 3, groups: int = 1) -> Conv:
        pad = kernel // 2
        return Conv(
            name=name,
            inputs=(source,),
            weight=dyadic(random, channels, inputs // groups, kernel, kernel, steps=12),
            bias=dyadic(random, channels),
            stride=(1, 1),
            padding=((pad, pad), (pad, pad)),
            dilation=(1, 1),
            groups=groups,
        )

    fine, coarse = (channels, 6, 8), (channels, 3, 4)
    nodes: list[Node] = [
        Input(name="x", shape=(2, 6, 8)),
        conv("c0", "x", 2),
        neurons(random, "n0", "c0", fine, first),
        conv("c1", "n0", channels),
        neurons(random, "n1", "c1", fine, second),
        conv("c2", "n1", channels, groups=channels),
        Add(name="sum", inputs=("c2", "n0")),
        neurons(random, "n2", "sum", fine, first),
        AvgPool(name="mean", inputs=("n2",), kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0))),
        conv("c3", "mean", channels, 1),
        neurons(random, "n3", "c3", coarse, second),
        Flatten(name="flat", inputs=("n3",)),
        Linear(name="read", inputs=("flat",), weight=dyadic(random, 5, channels * 12), bias=np.zeros(5)),
        Output(name="y", inputs=("read",)),
    ]
    return Graph(nodes)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    both=st.tuples(*[st.sampled_from(sorted(kinds(np.random.default_rng(0), 1)))] * 2),
    channels=st.sampled_from([3, 8, 17, 40, 70]),
    timesteps=st.sampled_from([1, 5, 33, 70]),
    chunk=st.sampled_from([64, 64, 20]),
    isa=st.sampled_from(_native.instruction_sets()),
    dtype=st.sampled_from(["float32", "int16"]),
)
def test_all_gather_in_every_combination(
    seed: int, both: tuple[str, str], channels: int, timesteps: int, chunk: int, isa: str, dtype: str
) -> None:
    """Nothing falls back to adding event by event; what 16 bits do not hold is counted in single precision."""
    random = np.random.default_rng(seed)
    graph = residual(random, *both, channels)
    x = torch.from_numpy(dyadic(random, 2, 2, 6, 8, steps=32))
    expected = Simulation(graph).run(x, timesteps, CONSTANT, ("spikes", "nonzero"))
    engine = EventSimulation(graph, isa=isa, chunk=chunk, dtype=dtype)
    assert all(engine.prepare(CONSTANT).compiled.plan.gathering())
    found = engine.run(x, timesteps, CONSTANT, ("spikes", "nonzero"))
    if dtype == "float32" or "plain" not in both:  # whose potentials may leave 16 bits
        same(graph, expected, found)


def test_sixteen_bits_behind_signed_spikes() -> None:
    """Layers of plain neurons count in 16 bits, with weights of both signs; exact where 16 bits hold all potentials."""
    compared = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        nodes = [
            Input(name="x", shape=(12,)),
            Linear(name="a", inputs=("x",), weight=dyadic(random, 20, 12), bias=dyadic(random, 20)),
            IF(name="n", inputs=("a",), threshold=1.0, v_init=0.5, signed=True, max_spikes=1 + seed % 3),
            Linear(name="b", inputs=("n",), weight=dyadic(random, 30, 20, steps=6), bias=dyadic(random, 30) + 0.25),
            IF(name="m", inputs=("b",), threshold=1.0, v_init=0.5),
            Output(name="y", inputs=("m",)),
        ]
        graph, x = Graph(nodes), torch.from_numpy(dyadic(random, 2, 12, steps=32))
        expected = Simulation(graph).run(x, 20, CONSTANT, ("spikes", "potentials"))
        held = (expected.potentials["m"] > -8).all(dim=1).all(dim=0)
        found = EventSimulation(graph, dtype="int16").run(x, 20, CONSTANT, ("spikes",))
        np.testing.assert_array_equal(found.spikes["n"], expected.spikes["n"])
        np.testing.assert_array_equal(found.spikes["m"][..., held], expected.spikes["m"][..., held])
        compared += int(held.sum())
    assert compared > 60


def signed_trains(random: np.random.Generator, shape: tuple[int, ...], timesteps: int) -> Array:
    """``(2, timesteps, *shape)`` of −1, 0 and 1, as signed neurons send them: no sum of the first steps is negative."""
    drawn = random.choice([-1, 0, 0, 1], (2, timesteps, *shape)).astype(np.float32)
    sent = np.zeros((2, *shape), np.float32)
    for t in range(timesteps):
        drawn[:, t][sent + drawn[:, t] < 0] = 0
        sent += drawn[:, t]
    return drawn


@pytest.mark.parametrize("policy", ["count_max", "avg_max", "exp_max", "fir_max"])
@pytest.mark.parametrize("gather", [True, False])
@pytest.mark.parametrize("cap", [1, 3])
def test_pools_of_signed_spikes(policy: Any, gather: bool, cap: int) -> None:
    """Counts fall; pools over −1, 0 and 1 send −1, 0 and 1, and never more than what their inputs send."""
    random, falls = np.random.default_rng(3), 0
    window: dict[str, Any] = {"kernel": (2, 3), "stride": (2, 2), "padding": ((0, 1), (1, 0)), "dilation": (1, 1)}
    graph = Graph(
        [
            Input(name="x", shape=(9, 6, 7)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.5, signed=True, max_spikes=cap),
            SpikeMaxPool(name="p", inputs=("n",), policy=policy, horizon=4, **window),
            SpikeMaxPool(name="q", inputs=("p",), policy=policy, horizon=3, **window),
            Flatten(name="flat", inputs=("q",)),
            Linear(name="read", inputs=("flat",), weight=dyadic(random, 40, 18), bias=np.zeros(40)),
            IF(name="m", inputs=("read",), threshold=1.0, v_init=0.5, signed=True),
            Output(name="y", inputs=("m",)),
        ]
    )
    frames = torch.from_numpy(signed_trains(random, (9, 6, 7), 70) * cap)
    for chunk in (64, 7):
        expected = Simulation(graph).run(frames, 70, EventFrames(), RECORDS[:2])
        engine = EventSimulation(graph, chunk=chunk, gather=gather)
        same(graph, expected, engine.run(frames, 70, EventFrames(), RECORDS[:2]))
        falls += int((expected.spikes["p"] == -cap).sum())
        assert int(expected.spikes["q"].abs().max()) == cap
    assert falls > 100


def test_a_count_that_falls_sends_what_it_fell_by() -> None:
    """The largest count rises with the first neuron, stays when the second takes over, and falls with both."""
    graph = Graph(
        [
            Input(name="x", shape=(1, 2)),
            SpikeMaxPool(name="p", inputs=("x",), kernel=(2,), stride=(2,), padding=((0, 0),), dilation=(1,)),
            Output(name="y", inputs=("p",)),
        ]
    )
    x = torch.tensor([[[[1, 0]], [[0, 1]], [[-1, 0]], [[0, -1]], [[1, 1]], [[-1, -1]]]], dtype=torch.float32)
    for engine in (Simulation(graph), EventSimulation(graph), EventSimulation(graph, gather=False)):
        run = engine.run(x, 6, EventFrames(), ("spikes",))
        assert run.spikes["p"].reshape(-1).tolist() == [1, 0, 0, -1, 1, -1]


def test_signed_input_gathers() -> None:
    random = np.random.default_rng(8)
    graph = Graph(
        [
            Input(name="x", shape=(20,)),
            Linear(name="c", inputs=("x",), weight=dyadic(random, 30, 20), bias=np.zeros(30)),
            IF(name="n", inputs=("c",), threshold=1.0, v_init=0.5),
            Output(name="y", inputs=("n",)),
        ]
    )
    engine = EventSimulation(graph)
    for low, planes in ((0, 1), (-1, 2), (-2, 0)):
        frames = torch.from_numpy(random.integers(low, 2, (2, 70, 20)).astype(np.float32))
        expected = Simulation(graph).run(frames, 70, EventFrames(), ("events", "nonzero"))
        same(graph, expected, engine.run(frames, 70, EventFrames(), ("events", "nonzero")))
        gathering = engine.prepare(EventFrames(), ("events", "nonzero"), planes).compiled.plan.gathering()
        assert gathering[1] is (planes > 0)


@pytest.mark.parametrize("make", [ALL[1], ALL[3]])
@pytest.mark.parametrize("cap", [1, 3])
def test_converted_networks(make: Any, cap: int) -> None:
    """Weights that are on no grid round differently where sums are taken in another order: hardly ever seen."""
    b = make(5)
    x = b.samples(9)
    neurons = sw.Neurons(signed=True, no_debt=True, max_spikes=cap)
    graph = sw.convert(b.graph(), x, "percentile:99", neurons=neurons).spiking
    runs = [sw.simulate(graph, x, 32, engine=engine) for engine in ("reference", "event")]
    assert [run.engine for run in runs] == ["reference", "event"]
    for name, counts in runs[0].counts.items():
        assert abs(counts.sum() - runs[1].counts[name].sum()) <= max(2, 1e-3 * counts.sum())
    np.testing.assert_allclose(runs[0].output, runs[1].output, atol=0.2)


NONE, ONE = np.zeros(0, np.float32), np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay": 0.5, "takes_back": True}, "lose nothing of what they sent"),
        ({"subtract": False, "takes_back": True}, "lose nothing of what they sent"),
        ({"step_bias": np.zeros(3, np.float32)}, "step_bias must have one value a channel for each step"),
        ({"step_bias": np.full((2, 2), np.nan, np.float32)}, "step_bias holds a value that is not finite"),
        ({"fired_bias": np.zeros(2, np.float32)}, "fired_bias must have one value a channel, beside a step_bias"),
        ({"fired_bias": np.zeros(3, np.float32), "step_bias": np.zeros((1, 2), np.float32)}, "one value a channel"),
    ],
)
def test_the_plan_refuses_what_neurons_cannot_remember(changes: dict[str, Any], message: str) -> None:
    plan: Any = _native.Plan()
    chosen = {"threshold": ONE, "v_init": ONE, "v_min": NONE, "decay": 1.0, "subtract": True, "v_reset": 0.0, "cap": 1}
    with pytest.raises(_native.PlanError, match=message):
        plan.neurons(1, 2, **{**chosen, **changes})
    with pytest.raises(_native.PlanError, match="no, one or two planes"):
        plan.input(1, 2, 3)
