"""The event engine against the reference engine: the same spikes, the same answers, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
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
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, ChannelAffine, Input, Linear, Output, Softmax, SpikeMaxPool
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

WAYS = (  # instruction set, chunk of timesteps, gathering
    ("", 64, True),
    ("wide", 4, True),
    ("portable", 5, True),
    ("", 3, False),
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    encoder=st.sampled_from([named_encoder("constant"), *(Poisson(scale=scale) for scale in (0.5, 1.0, 2.0, 4.0))]),
    record=st.sampled_from([(), ("events",), ("spikes", "nonzero"), RECORDS]),
    way=st.sampled_from(WAYS),
    inputs=st.sampled_from([1, 1, 2, 3]),
)
@example(
    seed=6, encoder=named_encoder("constant"), record=RECORDS, way=WAYS[0], inputs=1
)  # a pool over the input itself
@example(
    seed=340806, encoder=Poisson(scale=1.0), record=RECORDS, way=WAYS[0], inputs=1
)  # a spike that a bias keeps company
@example(
    seed=20136, encoder=named_encoder("constant"), record=RECORDS, way=WAYS[0], inputs=1
)  # a pool over channels that became positions
@example(
    seed=1537, encoder=named_encoder("constant"), record=RECORDS, way=WAYS[0], inputs=1
)  # graded values that a crop takes away
def test_spike_for_spike(
    seed: int, encoder: Encoder, record: tuple[str, ...], way: tuple[str, int, bool], inputs: int
) -> None:
    graph, x = spiking_network(seed, inputs=inputs)
    batch, (isa, chunk, gather) = torch.from_numpy(x), way
    expected = Simulation(graph).run(batch, 11, encoder, record)
    simulation = EventSimulation(graph, threads=2, chunk=chunk, gather=gather, isa=isa)
    same(graph, expected, simulation.run(batch, 11, encoder, record))


def test_max_pooling_of_spikes_with_a_bias() -> None:
    """One neuron a value, as it is, but for what is added at every step: the pool must see both."""
    graph = Graph(
        [
            Input(name="x", shape=(2, 4)),
            IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0),
            ChannelAffine(name="shifted", inputs=("n",), scale=np.ones(2), bias=np.array([0.25, -0.5])),
            SpikeMaxPool(name="p", inputs=("shifted",), kernel=(2,), stride=(2,), padding=((0, 0),), dilation=(1,)),
            Output(name="y", inputs=("p",)),
        ]
    )
    x = torch.from_numpy(np.arange(16, dtype=np.float32).reshape(2, 2, 4) / 8 - 0.5)
    expected = Simulation(graph).run(x, 9, named_encoder("constant"), RECORDS)
    same(graph, expected, EventSimulation(graph).run(x, 9, named_encoder("constant"), RECORDS))


def test_the_networks_drawn_cover_both_ways_of_summing() -> None:
    kinds, gathering = set(), 0
    for seed in range(60):
        graph, _ = spiking_network(seed)
        kinds |= {node.type for node in graph}
        prepared = EventSimulation(graph).prepare(named_encoder("constant"))
        gathering += sum(prepared.compiled.plan.gathering())
    assert gathering > 30
    assert kinds >= {"Conv", "Linear", "AvgPool", "SumPool", "SpikeMaxPool", "ChannelAffine", "Add", "Concat", "Pad"}
    assert kinds >= {"Upsample", "Permute", "Reshape", "Flatten", "BatchNorm", "IF", "LIF"}


def test_the_networks_drawn_bring_inputs_together() -> None:
    met = 0
    for seed in range(40):
        graph, _ = spiking_network(seed, inputs=2)
        reads: dict[str, set[str]] = {}
        for node in graph:
            reads[node.name] = set().union(*(reads[name] for name in node.inputs)) if node.inputs else {node.name}
        met += any(len(reads[output.name]) == 2 for output in graph.of_type(Output))
    assert met > 12


@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_every_instruction_set(isa: str) -> None:
    for seed in range(12):
        graph, x = spiking_network(seed, blocks=6)
        expected = Simulation(graph).run(torch.from_numpy(x), 9, named_encoder("constant"))
        same(graph, expected, EventSimulation(graph, isa=isa).run(torch.from_numpy(x), 9, named_encoder("constant")))


def test_recorded_events_and_what_comes_after_them() -> None:
    for seed in range(15):
        graph, x = spiking_network(seed, inputs=1 + seed % 3)
        frames = torch.from_numpy(np.stack([x, x * 0, -x, x > 0], axis=1).astype(np.float32))
        for first in (0, 3):
            expected = Simulation(graph).run(frames, 7, EventFrames(), RECORDS, first)
            same(graph, expected, EventSimulation(graph).run(frames, 7, EventFrames(), RECORDS, first))


def converted(make: object, pool: str = "count_max", **neurons: object) -> tuple[Graph, np.ndarray]:
    b = make(5)  # type: ignore[operator]
    x = b.samples(9)
    folded, _ = sw.prepare(b.graph())
    method = sw.threshold_method("percentile:99")
    scales = sw.calibrate(folded, x, [method]).scales(method)
    return sw.convert(b.graph(), scales, neurons=sw.Neurons(max_pool=pool, **neurons)).spiking, x


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("cap", [1, None])
def test_converted_networks(make: object, cap: int | None) -> None:
    """Weights that are on no grid round differently where sums are taken in another order: hardly ever seen."""
    graph, x = converted(make, max_spikes=cap)
    runs = [sw.simulate(graph, x, 32, engine=engine) for engine in ("reference", "event")]
    assert [run.engine for run in runs] == ["reference", "event"]
    for name, counts in runs[0].counts.items():
        assert abs(counts.sum() - runs[1].counts[name].sum()) <= max(2, 1e-3 * counts.sum())
    np.testing.assert_allclose(runs[0].output, runs[1].output, atol=0.2)


def test_threads_and_batches_change_nothing() -> None:
    graph, x = converted(ALL[1])
    whole = EventSimulation(graph, threads=3).run(torch.from_numpy(x), 20, Poisson(), ("spikes", "events"))
    alone = EventSimulation(graph, threads=1).run(torch.from_numpy(x), 20, Poisson(), ("spikes", "events"))
    same(graph, alone, whole)
    parts = sw.simulate(graph, x, 20, encoder=Poisson(), batch_size=2, engine="event")
    np.testing.assert_array_equal(parts.output, whole.outputs["output"].numpy())


def test_measuring_gives_the_same_numbers() -> None:
    graph, x = converted(ALL[5])

    both = [sw.measure(graph, x, 16, engine=engine).summary() for engine in ("reference", "event")]
    for name, synops in both[0]["synops"].items():
        assert both[1]["synops"][name] == pytest.approx(synops, rel=1e-3)


def unfit() -> Graph:
    nodes = [Input(name="x", shape=(3,)), IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0)]
    return Graph([*nodes, Softmax(name="s", inputs=("n",)), Output(name="y", inputs=("s",))])


def test_what_it_cannot_run_is_named_or_left_to_the_reference_engine() -> None:
    x = np.ones((2, 3), np.float32)
    assert sw.simulate(unfit(), x, 3).engine == "reference"
    with pytest.raises(SettingsError, match=r"the event engine cannot run Softmax 's'.*engine='reference'"):
        sw.simulate(unfit(), x, 3, engine="event")
    graph, x = converted(ALL[0])
    assert sw.simulate(graph, x, 3, dtype="float64").engine == "reference"
    with pytest.raises(SettingsError, match="runs on the cpu in float32, int16 or int8, not on cpu in float64"):
        sw.simulate(graph, x, 3, dtype="float64", engine="event")
    with pytest.raises(SettingsError, match="engine must be 'auto' or 'event' or 'cuda' or 'reference', not 'warp'"):
        sw.simulate(graph, x, 3, engine="warp")  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["count_max", "avg_max", "exp_max", "fir_max"])
def test_windows_of_padding_alone_are_refused_before_anything_runs(policy: Any) -> None:
    pool = {"kernel": (1,), "stride": (1,), "padding": ((1, 0),), "dilation": (1,)}
    nodes = [Input(name="x", shape=(1, 4)), IF(name="n", inputs=("x",), threshold=1.0, v_init=0.0)]
    with pytest.raises(GraphError, match=r"SpikeMaxPool 'p': a window of \(1,\) lies wholly in the padding"):
        Graph([*nodes, SpikeMaxPool(name="p", inputs=("n",), policy=policy, **pool), Output(name="y", inputs=("p",))])


def test_large_linear_layers() -> None:
    random = np.random.default_rng(0)
    weights = [np.round(random.normal(size=s) * 4) / 8 for s in ((300, 50), (10, 300))]
    graph = Graph(
        [
            Input(name="x", shape=(50,)),
            Linear(name="a", inputs=("x",), weight=weights[0], bias=np.zeros(300)),
            IF(name="n", inputs=("a",), threshold=4.0, v_init=2.0),
            Linear(name="b", inputs=("n",), weight=weights[1], bias=np.ones(10)),
            IF(name="m", inputs=("b",), threshold=4.0, v_init=2.0),
            Output(name="y", inputs=("m",)),
        ]
    )
    x = torch.from_numpy((random.integers(-8, 9, (5, 50)) / 8).astype(np.float32))
    expected = Simulation(graph).run(x, 200, named_encoder("constant"), ("spikes",))
    same(graph, expected, EventSimulation(graph).run(x, 200, named_encoder("constant"), ("spikes",)))
