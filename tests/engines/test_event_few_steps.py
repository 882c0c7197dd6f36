"""Runs of few timesteps: short chunks, plans that are kept, and sums over samples that nobody looks at one by one."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

import spikewright as sw
from runs import same, sender
from spikewright.engines.event import is_built
from spikewright.engines.recording import Record
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph
from spikewright.nodes import IF, Conv, Input, Output, SpikeMaxPool
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native, plans  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402


@pytest.mark.parametrize("timesteps", [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 72])
def test_chunks_of_every_length(timesteps: int) -> None:
    """Spans of 8, 16, 32 and 64 steps, full and not, and short chunks behind long ones."""
    for seed in range(100 * timesteps, 100 * timesteps + 4):
        graph, x = spiking_network(seed, blocks=6)
        batch = torch.from_numpy(x)
        for name in ("constant", "poisson"):
            expected = Simulation(graph).run(batch, timesteps, sender(name), ("spikes", "nonzero"))
            for isa in _native.instruction_sets():
                found = EventSimulation(graph, isa=isa).run(batch, timesteps, sender(name), ("spikes", "nonzero"))
                same(graph, expected, found)


@pytest.mark.parametrize("chunk", [1, 8, 16, 17, 32])
def test_short_chunks_one_after_the_other(chunk: int) -> None:
    for seed in range(40, 46):
        graph, x = spiking_network(seed, blocks=6)
        batch = torch.from_numpy(x)
        expected = Simulation(graph).run(batch, 37, sender("constant"), ("events",))
        same(graph, expected, EventSimulation(graph, chunk=chunk).run(batch, 37, sender("constant"), ("events",)))


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """The graphs that are compiled from now on."""
    found: list[Graph] = []
    compile_graph = plans.compile_graph

    def noted(graph: Graph, **settings: object) -> object:
        found.append(graph)
        return compile_graph(graph, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(plans, "compile_graph", noted)
    return found


def test_a_second_run_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(monkeypatch)
    graph, x = spiking_network(3)
    one, other = (sw.simulate(graph, x, steps, engine="event", quiet=True) for steps in (4, 9))
    assert len(made) == 1
    np.testing.assert_array_equal(one.output, other.output[:, :4])
    sw.simulate(graph, x, 4, engine="event", quiet=True, record="nonzero")
    assert len(made) == 2, "what is recorded makes another plan"
    sw.simulate(graph, x, 4, engine="event", quiet=True, record="nonzero")
    sw.simulate(graph, x, 4, engine="event", quiet=True)
    assert len(made) == 2


def test_plans_go_with_their_graph_and_are_no_part_of_it() -> None:
    graph, x = spiking_network(3)
    gc.collect()
    size, before = len(pickle.dumps(graph)), len(plans._KEPT)
    sw.simulate(graph, x, 4, engine="event", quiet=True)
    assert len(plans._KEPT) == before + 1
    assert len(pickle.dumps(graph)) == size
    del graph
    gc.collect()
    assert len(plans._KEPT) == before


def test_few_plans_of_a_graph_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(monkeypatch)
    graph, x = spiking_network(3)
    batch = torch.from_numpy(x)
    for isa in ("wide", "portable", ""):
        for record in ((), ("nonzero",), ("potentials",)):
            EventSimulation(graph, isa=isa).run(batch, 2, sender("constant"), record)
    assert len(plans._KEPT[graph]) == plans.MOST_KEPT
    assert len(made) == 6, "potentials are recorded by the plan that there is"
    EventSimulation(graph, isa="portable").run(batch, 2, sender("constant"), ("potentials",))
    assert len(made) == 6, "the last are kept"


@pytest.mark.parametrize("encoder", ["constant", "poisson"])
def test_sums_over_samples_are_what_single_samples_add_up_to(encoder: str) -> None:
    """What nobody looks at one by one is summed by the native core, on several threads."""
    pools = 0
    for seed in range(40):
        graph, x = spiking_network(seed)
        pools += len(graph.of_type(SpikeMaxPool))
        batch = torch.from_numpy(np.concatenate([x, -x, x / 2]))
        recording = Record(("nonzero",)).fitted(graph, 10)
        each = Simulation(graph).run(batch, 10, sender(encoder), recording)
        recording = type(recording)(recording.nodes, recording.steps, recording.timesteps, summed=True)
        total = EventSimulation(graph, threads=3).run(batch, 10, sender(encoder), recording)
        assert each.graded == total.graded
        for kind in ("counts", "negative", "nonzero"):
            expected, found = getattr(each, kind), getattr(total, kind)
            assert set(expected) == set(found)
            for name, values in expected.items():
                sums = (of.double().sum(dim=0).numpy() for of in (found[name], values))
                np.testing.assert_array_equal(*sums, err_msg=f"{kind} {name}")
    assert pools > 3


def test_observers_see_single_samples() -> None:
    graph, x = spiking_network(3)
    seen: list[int] = []
    watched = sw.simulate(
        graph,
        x,
        6,
        engine="event",
        quiet=True,
        record="nonzero",
        observers=[lambda _, done: seen.extend(len(counts) for counts in done.counts.values())],
    )
    alone = sw.simulate(graph, x, 6, engine="event", quiet=True, record="nonzero")
    assert set(seen) == {len(x)}
    for kind in ("counts", "nonzero", "negative"):
        one, other = getattr(watched, kind), getattr(alone, kind)
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def first_convolution(seed: int) -> tuple[Graph, np.ndarray]:
    """An input, a convolution of few taps with any padding, strides and gaps, neurons, and what reads them."""
    random = np.random.default_rng(seed)
    axes = 1 + seed % 3
    channels, filters = int(random.integers(1, 4)), int(random.choice([1, 2, 7, 8, 9, 16, 33, 40]))
    kernel, stride, dilation = (tuple(random.integers(1, 3, axes).tolist()) for _ in range(3))
    padding = tuple(map(tuple, random.integers(0, 3, (axes, 2)).tolist()))
    spatial = tuple(random.integers(4, 9, axes).tolist())
    nodes = [
        Input(name="x", shape=(channels, *spatial)),
        Conv(
            name="c",
            inputs=("x",),
            weight=(random.integers(-8, 9, (filters, channels, *kernel)) / 8).astype(np.float32),
            bias=(random.integers(-8, 9, filters) / 8).astype(np.float32),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=1,
        ),
        IF(name="n", inputs=("c",), threshold=1.0, v_init=0.5),
        Output(name="y", inputs=("n",)),
    ]
    x = random.integers(-8, 9, (5, channels, *spatial)) / 8
    return Graph(nodes), x.astype(np.float32)


@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_first_layers_where_they_are_used(isa: str) -> None:
    """Images are convolved in the native core, in single precision and in 16-bit integers."""
    for seed in range(24):
        graph, x = first_convolution(seed)
        batch = torch.from_numpy(x)
        for record in (("spikes",), ("spikes", "nonzero"), ("spikes", "potentials")):
            expected = Simulation(graph).run(batch, 9, sender("constant"), record)
            engine = EventSimulation(graph, isa=isa, threads=2)
            same(graph, expected, engine.run(batch, 9, sender("constant"), record))
            images = engine.prepare(sender("constant"), record).images
            assert set(images) == {"n"}
        narrow = EventSimulation(graph, isa=isa, dtype="int16").run(batch, 9, sender("constant"), ("spikes",))
        assert abs(float(narrow.counts["n"].sum()) - float(expected.counts["n"].sum())) <= 0.01 * x.size * 9


def test_images_are_checked() -> None:
    plan = _native.Plan()
    one, none = np.ones(1, np.float32), np.zeros(0, np.float32)
    layer = plan.neurons(9, 8, one, one, none, 1.0, True, 0.0, 1)
    ones, weight = [1, 1, 1], np.ones(8 * 4, np.float32)
    three, two, zero = [1, 3, 3], [1, 2, 2], [0, 0, 0]
    with pytest.raises(_native.PlanError, match="finish the plan"):
        plan.image(layer, 1, [1, 4, 4], two, ones, zero, ones, three, weight)
    plan.output(9, 8)
    plan.finish("", True)
    for fault, settings in {
        "three axes": (1, [4, 4], two, ones, zero, ones, three, weight),
        "out of range": (1, [1, 4, 4], two, [1, 0, 1], zero, ones, three, weight),
        "channels": (0, [1, 4, 4], two, ones, zero, ones, three, weight),
        "do not fit the layer": (1, [1, 4, 4], two, ones, zero, ones, two, weight),
        "weights do not fit": (1, [1, 4, 4], two, ones, zero, ones, three, weight[1:]),
        "too large": (1, [1, 4, 2**20], [1, 2, 2**20], [1, 1, 2**20], zero, [1, 1, 2**20], three, weight),
    }.items():
        with pytest.raises(_native.PlanError, match=fault):
            plan.image(layer, *settings)
    assert plan.image(layer, 1, [1, 4, 4], two, ones, zero, ones, three, weight)
    with pytest.raises(_native.PlanError, match="cannot take an array 'image'"):
        plan.run(1, 1, 1, 1, [(layer, "image", np.zeros(15, np.float32))], [])
