"""Networks that exchange window by window: step by step, as one step of every engine, and as the quantised network."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import spikewright as sw
from networks import ALL, Builder
from random_graphs import anything
from runs import same
from spikewright.data import as_dataset
from spikewright.encoders import Encoder, encoder
from spikewright.encoders.events import EventFrames
from spikewright.encoders.poisson import Poisson
from spikewright.engines import RunSettings
from spikewright.engines.choose import choose_engine
from spikewright.engines.cuda.simulation import CudaSimulation
from spikewright.engines.event import is_built
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.recording import as_recording
from spikewright.engines.reference import Simulation
from spikewright.engines.windows import (
    LONGEST_FEW_SPIKE,
    StepwiseWindows,
    WindowSimulation,
    latency_of,
    levels_of,
    one_step,
    spike_weight,
    spikes_at,
    windows_of,
)
from spikewright.errors import SettingsError
from spikewright.forward import run as forward
from spikewright.graph import Graph
from spikewright.nodes import IF, LIF, Add, Input, Linear, Output, ReLU, SpikeMaxPool
from spiking_networks import spiking_network

torch = pytest.importorskip("torch")

RECORDED = ("spikes", "events", "nonzero")
CONSTANT = encoder("constant")


def scheduled(graph: Graph, schedule: str) -> Graph:
    """The same network with neurons of a schedule."""
    nodes = []
    for node in graph:
        if isinstance(node, IF):
            given = {label: getattr(node, label) for label in ("name", "inputs", "threshold", "v_init")}
            node = IF(**given, schedule=schedule)
        elif isinstance(node, SpikeMaxPool):
            node = node.replace(policy="count_max")
        nodes.append(node)
    return graph.with_nodes(nodes)


def engines(graph: Graph) -> list[WindowSimulation]:
    makers = [Simulation, lambda stepped: CudaSimulation(stepped, "cpu")]
    return [WindowSimulation(graph, make) for make in makers + [EventSimulation] * is_built()]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    schedule=st.sampled_from(["layered", "few_spike"]),
    encoder=st.sampled_from([CONSTANT, Poisson(scale=2.0)]),
    inputs=st.sampled_from([1, 1, 2]),
)
@example(seed=6, schedule="layered", encoder=CONSTANT, inputs=1)  # a pool over the input itself
@example(seed=6, schedule="few_spike", encoder=CONSTANT, inputs=1)
def test_every_engine_does_what_the_reference_does_step_by_step(
    seed: int, schedule: str, encoder: Encoder, inputs: int
) -> None:
    drawn, x = spiking_network(seed, inputs=inputs)
    graph, batch = scheduled(drawn, schedule), torch.from_numpy(x)
    if not graph.of_type(IF):
        return
    exact = [0, 1, 3] if schedule == "few_spike" and encoder is not CONSTANT else [0, 1, 2, 3]  # thirds are not
    expected = StepwiseWindows(graph).run(batch, 4, encoder, RECORDED, first=3)
    expected.outputs = {name: value[:, exact] for name, value in expected.outputs.items()}
    for engine in engines(graph):
        found = engine.run(batch, 4, encoder, RECORDED, first=3)
        found.outputs = {name: value[:, exact] for name, value in found.outputs.items()}
        same(graph, expected, found)
        for name, sent in expected.sent.items():
            np.testing.assert_array_equal(found.sent[name].numpy(), sent.numpy(), err_msg=name)


def in_levels(graph: Graph, levels: int) -> Graph:
    """A network in units of λ whose activations are rounded to levels above zero."""
    return graph.replaced(*(relu.replace(ceiling=1.0, levels=levels, shift=0.5) for relu in graph.of_type(ReLU)))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), timesteps=st.sampled_from([1, 3, 4, 8]))
def test_layered_networks_answer_as_the_quantised_network(seed: int, timesteps: int) -> None:
    """Whatever the branches, joins and pools: answers are equal but where a sum lies on a step."""
    graph = anything(seed)
    x = np.random.default_rng(seed).random((8, *graph.sample_shape), np.float32)
    try:
        made = sw.convert(graph, x, "max", neurons="layered", leaky="split")
    except sw.SpikewrightError:  # not every network drawn can spike
        return
    expected = forward(in_levels(made.normalised, timesteps), x, dtype="float64")
    found = sw.simulate(made, x, timesteps, dtype="float64", quiet=True)
    for name, answers in expected.items():
        last = found.outputs[name][:, -1]
        equal = np.isclose(last, answers, rtol=1e-4, atol=1e-4).reshape(len(x), -1).all(axis=1)
        assert equal.mean() >= 7 / 8, name  # a bias times T is rounded to float32, so that one may lie on a step


@pytest.mark.parametrize("network", ALL)
def test_layered_classes_are_those_of_the_quantised_network(network: Callable[[int], Builder]) -> None:
    graph = network(3).graph()
    x = np.random.default_rng(3).random((400, *graph.sample_shape), np.float32)
    made = sw.convert(graph, x[:100], "percentile:99,channels", neurons="layered")
    for timesteps in (3, 8):
        expected = forward(in_levels(made.normalised, timesteps), x)
        found = sw.simulate(made, x, timesteps, quiet=True)
        for name, answers in expected.items():
            differs = found.outputs[name][:, -1].argmax(axis=1) != answers.argmax(axis=1)
            assert differs.mean() <= 0.005, (name, timesteps)


def test_every_column_is_the_answer_over_windows_of_so_many_steps() -> None:
    drawn, x = spiking_network(5)
    for schedule in ("layered", "few_spike"):
        graph = scheduled(drawn, schedule)
        whole = sw.simulate(graph, x, 5, quiet=True)
        for t in (1, 2, 3, 4, 5):
            for engine in ("auto", "reference"):
                part = sw.simulate(graph, x, t, quiet=True, engine=engine)
                for name, answers in part.outputs.items():
                    np.testing.assert_allclose(answers[:, -1], whole.outputs[name][:, t - 1], atol=1e-6)


def test_a_quantised_network_is_exact_once_windows_have_as_many_steps_as_it_has_levels() -> None:
    random = np.random.default_rng(0)
    nodes = [Input(name="input", shape=(6,))]
    for k in range(4):  # every sum is a multiple of 2^-10: exact
        source, name = nodes[-1].name, f"fc{k}"
        weight, bias = (random.integers(-8, 9, size) / 8 for size in ((6, 6), (6,)))
        nodes.append(Linear(name=name, inputs=(source,), weight=weight, bias=bias))
        nodes.append(ReLU(name=f"relu{k}", inputs=(name,), ceiling=2.0, levels=8, shift=0.5))
    graph = Graph([*nodes, Output(name="output", inputs=(nodes[-2].name,))])
    x = random.integers(0, 9, (64, 6)).astype(np.float32) / 8
    made = sw.convert(graph, x, "percentile:50", neurons="layered")
    np.testing.assert_array_equal(sw.simulate(made, x, 8).output[:, -1], forward(graph, x)["output"])
    thresholds = sw.convert(graph, x, "max", neurons="layered", view="thresholds")
    np.testing.assert_array_equal(sw.simulate(thresholds, x, 8).output[:, -1], forward(graph, x)["output"])


def test_layered_spikes_are_even_and_few_spikes_are_the_bits_of_a_number() -> None:
    numbers = torch.arange(0, 17).float()
    train = torch.stack([spikes_at("layered", numbers, step, 16) for step in range(16)])
    assert set(train.flatten().tolist()) == {0.0, 1.0}
    for k in range(1, 17):
        np.testing.assert_array_equal(train[:k].sum(0).numpy(), np.floor(k * numbers.numpy() / 16))
    numbers = torch.arange(0, 16).float()
    train = torch.stack([spikes_at("few_spike", numbers, step, 4) for step in range(4)])
    bits = [[int(digit) for digit in f"{n:04b}"] for n in range(16)]
    np.testing.assert_array_equal(train.T.numpy(), bits)


def test_few_spike_neurons_send_what_a_threshold_halved_at_every_step_makes_them_send() -> None:
    """T_t = θ·2^−t, h_t = d_t = θ·2^−t (Stöckl and Maass 2021), with half of the last unit to begin with."""
    random, steps = np.random.default_rng(1), 5
    currents = np.array([*random.uniform(-0.5, 1.5, 200), 0.0, 1.0, 0.5, -3.0, 2.0], np.float32)
    graph = Graph(
        [
            Input(name="input", shape=(len(currents),)),
            IF(name="neurons", inputs=("input",), threshold=0.75, v_init=0.375, schedule="few_spike"),
            Output(name="output", inputs=("neurons",)),
        ]
    )
    u = currents + 0.375 / 2**steps
    expected = np.zeros((steps, len(currents)))
    for t in range(1, steps + 1):
        expected[t - 1] = u >= 0.75 * 2.0**-t
        u = u - expected[t - 1] * 0.75 * 2.0**-t
    for engine in ("reference", "auto"):
        run = sw.simulate(graph, currents[None], steps, record="spikes", engine=engine, quiet=True)
        np.testing.assert_array_equal(run.spikes["neurons"][0], expected)
        weights = [spike_weight("few_spike", step, steps) / steps for step in range(steps)]
        assert weights == [2.0**-t for t in range(1, steps + 1)]
        np.testing.assert_allclose(run.output[0, -1], weights @ expected, rtol=1e-6)
        np.testing.assert_allclose(run.counts["neurons"] / steps, weights @ expected, rtol=1e-6)
        np.testing.assert_array_equal(run.sent["neurons"], expected.sum(axis=0))


def branched(schedule: str) -> Graph:
    """Branches of depth 0, 1 and 3 that meet."""
    fields = {"threshold": 1.0, "v_init": 0.5, "schedule": schedule}
    eye, zero = np.eye(4, dtype=np.float32), np.zeros(4, np.float32)
    nodes: list[sw.Node] = [Input(name="input", shape=(4,))]
    for k, source in enumerate(("input", "if0", "if1")):
        nodes.append(Linear(name=f"fc{k}", inputs=(source,), weight=eye * 0.5, bias=zero + 0.125))
        nodes.append(IF(name=f"if{k}", inputs=(f"fc{k}",), **fields))
    nodes += [
        Add(name="sum", inputs=("if2", "if0", "input")),
        IF(name="late", inputs=("sum",), **fields),
        Output(name="output", inputs=("late",)),
        Output(name="early", inputs=("if0",)),
    ]
    return Graph(nodes)


def test_windows_count_populations_on_the_longest_path_and_what_is_early_waits() -> None:
    graph = branched("layered")
    assert windows_of(graph) == {
        **{"input": 0, "fc0": 0, "if0": 1, "fc1": 1, "if1": 2, "fc2": 2, "if2": 3},
        **{"sum": 3, "late": 4, "output": 4, "early": 1},
    }
    run = sw.simulate(graph, np.full((1, 4), 0.25, np.float32), 8)
    assert (run.windows, run.latency, run.timesteps) == (5, 40, 8)
    assert "5 windows of 8 timesteps" in repr(run)
    assert latency_of(branched("free"), 8) == 8
    assert sw.simulate(branched("free"), np.full((1, 4), 0.25, np.float32), 8, quiet=True).latency == 8
    np.testing.assert_array_equal(run.outputs["early"][0, -1], 0.25)  # 0.5·¼ + ⅛
    np.testing.assert_array_equal(run.outputs["output"][0, -1], np.floor(8 * (0.25 + 0.25 + 0.25) + 0.5) / 8)


def test_recorded_steps_are_those_of_the_own_window() -> None:
    graph = branched("layered")
    x = np.full((2, 4), 0.5, np.float32)
    whole = sw.simulate(graph, x, 8, record=("spikes", "events"))
    some = sw.simulate(graph, x, 8, record=sw.Record(("spikes", "events"), nodes="late", steps="last:3"))
    np.testing.assert_array_equal(some.spikes["late"], whole.spikes["late"][:, -3:])
    np.testing.assert_array_equal(whole.events["late"].dense(2, 8), whole.spikes["late"])
    assert set(some.events["late"].timestep.tolist()) <= {5, 6, 7}
    np.testing.assert_array_equal(whole.spikes["late"].sum(axis=(0, 1)), whole.counts["late"])


def test_sums_of_event_frames_over_a_window_are_its_input() -> None:
    graph = branched("layered")
    frames = np.zeros((1, 6, 4), np.float32)
    frames[:, :2] = 1.0
    run = sw.simulate(graph, frames, 4, encoder=EventFrames(), quiet=True)
    constant = sw.simulate(graph, np.full((1, 4), 0.5, np.float32), 4, quiet=True)
    np.testing.assert_array_equal(run.output[:, -1], constant.output[:, -1])
    walked = sw.simulate(graph, frames, 4, encoder=EventFrames(), quiet=True, engine="reference")
    np.testing.assert_array_equal(run.output, walked.output)


def test_parts_merge_to_the_whole_and_keep_their_windows() -> None:
    drawn, x = spiking_network(5)
    graph = scheduled(drawn, "few_spike")
    data = as_dataset(x, graph.inputs)
    whole = sw.simulate(graph, data, 4, quiet=True)
    parts = [sw.simulate(graph, data.part(k, 3), 4, quiet=True) for k in range(3)]
    merged = sw.Run.merged(parts)
    assert merged.windows == whole.windows
    assert set(whole.unweighted) >= {node.name for node in graph.of_type(IF)}
    for name, value in whole.sent.items():
        np.testing.assert_array_equal(merged.sent[name], value)


def test_engines_are_chosen_and_named() -> None:
    graph, x = branched("layered"), np.full((1, 4), 0.5, np.float32)
    for asked, name in (("auto", "dense"), ("reference", "reference"), *[("event", "event")] * is_built()):
        assert sw.simulate(graph, x, 4, engine=asked).engine == name
    made = choose_engine(graph, CONSTANT, as_recording((), graph, 4), RunSettings(dtype="float64")).simulator
    assert made.run(torch.from_numpy(x), 4, CONSTANT).outputs["output"].dtype == torch.float64


def test_one_step_is_a_graph_for_anybody() -> None:
    graph = branched("layered")
    stepped = one_step(graph, 8)
    assert all((node.schedule, node.max_spikes) == ("free", 8) for node in stepped.of_type(IF))
    assert one_step(branched("few_spike"), 3)["late"].max_spikes == 7
    assert levels_of("layered", 8) == (8, 8)
    assert levels_of("few_spike", 3) == (8, 7)
    with pytest.raises(SettingsError, match="has no windows that could be one step"):
        one_step(branched("free"), 8)


def refused(why: str) -> pytest.RaisesExc[SettingsError]:
    return pytest.raises(SettingsError, match=re.escape(why))


def test_what_windows_cannot_be_is_refused_in_a_line() -> None:
    fields = {"name": "n", "inputs": ("input",), "threshold": 1.0, "v_init": 0.5, "schedule": "layered"}
    for label, value, only in (
        ("reset", "zero", "subtract"),
        ("max_spikes", 3, 1),
        ("v_min", -1.0, None),
        ("signed", True, False),
        ("no_debt", True, False),
    ):
        why = f"IF 'n': layered neurons add up a window, then send: {label} must be {only}, not {value}"
        with refused(why):
            IF(**fields, **{label: value})
    with refused("step_bias must be None"):
        IF(**fields, step_bias=np.zeros((2, 4)))
    with refused("leak must be 1.0, not 0.5"):
        LIF(**fields, leak=0.5)
    with refused("unknown schedule 'slow'; choose one of free, layered, few_spike"):
        IF(**{**fields, "schedule": "slow"})
    graph, x = branched("layered"), np.zeros((1, 4), np.float32)
    mixed = graph.replaced(graph["late"].replace(schedule="few_spike"))
    with refused("all populations of a network keep one schedule: 'if0' is layered, 'late' is few_spike"):
        sw.simulate(mixed, x, 4)
    with refused("they have no potential after each step to record; record spikes, events or nonzero"):
        sw.simulate(graph, x, 4, record="potentials")
    with refused("a window has at most 24 timesteps, not 64; 4 to 8 are usual"):
        sw.simulate(branched("few_spike"), x, 64)
    assert sw.simulate(branched("few_spike"), x, LONGEST_FEW_SPIKE, quiet=True).timesteps == 24
    with refused("layered networks run in float32 or int8, or float64 on the reference engine, not in int16"):
        sw.simulate(graph, x, 4, dtype="int16")
    for engine in (Simulation, *[EventSimulation] * is_built()):
        with refused("layered windows are run by simulate, or as one step: see one_step"):
            engine(graph).run(torch.zeros(1, 4), 1, CONSTANT)
    pooled = Graph(
        [
            Input(name="input", shape=(1, 4)),
            IF(**fields),
            SpikeMaxPool(
                name="p", inputs=("n",), kernel=(2,), stride=(2,), padding=((0, 0),), dilation=(1,), policy="avg_max"
            ),
            Output(name="output", inputs=("p",)),
        ]
    )
    with refused("SpikeMaxPool 'p': avg_max estimates rates over time; layered windows take count_max alone"):
        sw.simulate(pooled, np.zeros((1, 1, 4), np.float32), 4)
