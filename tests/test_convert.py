"""Normalising keeps the function; converting gives spikes that approach it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from networks import ALL, Builder, dense, plain, pools
from spikewright.calibration import Max, Percentile
from spikewright.conversion import Neurons, what_became
from spikewright.errors import GraphError, SettingsError
from spikewright.forward import run
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output, ReLU, SpikeMaxPool
from zoo import architecture

METHODS = (Max(), Percentile(99.0), Percentile(99.0, channels=True), Max(channels=True))


def scales_of(graph: Graph, x: np.ndarray, method: object) -> dict[str, np.ndarray]:
    folded, _ = sw.prepare(graph)
    return sw.calibrate(folded, x, [method]).scales(method)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("network", ALL)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_normalised_graph_computes_the_same(network: Callable[[int], Builder], method: object, seed: int) -> None:
    b = network(seed)
    x = b.samples()
    folded, _ = sw.prepare(b.graph())
    normalised = sw.normalise(folded, scales_of(b.graph(), x, method))
    before, after = run(b.graph(), x, dtype="float64")["output"], run(normalised, x, dtype="float64")["output"]
    assert np.abs(before - after).max() <= 1e-4 * max(np.abs(before).max(), 1)


@pytest.mark.parametrize("view", ["weights", "thresholds"])
@pytest.mark.parametrize("network", ALL)
def test_rates_approach_activations(network: Callable[[int], Builder], view: str) -> None:
    b = network(5)
    x = b.samples()
    scales = scales_of(b.graph(), x, Max())
    conversion = sw.convert(b.graph(), scales, view=view)
    analog = conversion.normalised
    expected = run(analog, x)["output"]
    run_ = sw.simulate(conversion, x, 1024)
    early, late = (np.abs(run_.output[:, t - 1] - expected).mean() for t in (64, 1024))
    assert late < 0.02 * max(np.abs(expected).max(), 1)
    assert late <= early / 4


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_both_views_spike_alike_on_a_dyadic_grid(seed: int) -> None:
    """λ that are powers of two and weights on a grid: then every sum is exact, and so is the comparison."""
    b = plain(seed)
    nodes = []
    for node in sw.prepare(b.graph())[0]:
        coarse = {name: np.round(array * 16) / 16 for name, array in node.arrays.items()}
        nodes.append(node.replace(**coarse))
    graph = Graph(nodes)
    x = np.round(b.samples() * 16) / 16
    scales = {relu.name: np.asarray(2.0 ** b.random.integers(-1, 3)) for relu in graph.of_type(ReLU)}
    runs = [
        sw.simulate(sw.convert(graph, scales, view=view), x, 24, record=("spikes",))
        for view in ("weights", "thresholds")
    ]
    assert runs[0].spikes
    for name, train in runs[0].spikes.items():
        np.testing.assert_array_equal(train, runs[1].spikes[name])
    np.testing.assert_allclose(runs[0].output, runs[1].output, atol=1e-5)


def toolbox_mlp() -> tuple[Graph, np.ndarray]:
    """The network of the facts made with SNN Toolbox; its matrices are written (inputs, outputs)."""
    graph = Graph(
        [
            Input(name="input", shape=(2,)),
            Linear(name="l1", inputs=("input",), weight=np.array([[2.0, -1], [1, 3]]).T, bias=np.array([0.5, -0.5])),
            ReLU(name="r1", inputs=("l1",)),
            Linear(name="l2", inputs=("r1",), weight=np.array([[1, 0.5], [0.25, -1]]).T, bias=np.array([0, 0.2])),
            ReLU(name="r2", inputs=("l2",)),
            Linear(name="l3", inputs=("r2",), weight=np.array([[1.0, -1], [-1, 1]]).T, bias=np.array([0.1, 0.2])),
            Output(name="output", inputs=("l3",)),
        ]
    )
    return graph, np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 1], [0, 0]], np.float32)


def test_normalised_weights_of_the_facts() -> None:
    graph, x = toolbox_mlp()
    normalised = sw.normalise(sw.prepare(graph)[0], scales_of(graph, x, Percentile(100)))
    weights = {name: normalised[name].arrays["weight"].T for name in ("l1", "l2", "l3")}
    np.testing.assert_allclose(weights["l1"], [[0.571429, -0.285714], [0.285714, 0.857143]], atol=1e-6)
    np.testing.assert_allclose(weights["l2"], [[0.903226, 0.451613], [0.225806, -0.903226]], atol=1e-6)
    np.testing.assert_allclose(normalised["l2"].arrays["bias"], [0, 0.0516129], atol=1e-6)
    np.testing.assert_allclose(weights["l3"], [[3.875, -3.875], [-3.875, 3.875]], atol=1e-6)
    np.testing.assert_allclose(normalised["l3"].arrays["bias"], [0.1, 0.2], atol=1e-6)


def test_lambda_never_exceeds_a_ceiling() -> None:
    b = dense(3)
    conversion = sw.convert(b.graph(), {r.name: np.asarray(50.0) for r in sw.prepare(b.graph())[0].of_type(ReLU)})
    assert conversion.scales["relu6"] == 1.0
    assert conversion.normalised["relu6"].arrays["ceiling"] == 1.0


def test_counting_outputs() -> None:
    b = plain(4)
    x = b.samples()
    conversion = sw.convert(b.graph(), scales_of(b.graph(), x, Max()), readout="count")
    assert conversion.spiking["output_spikes"].population
    expected = np.maximum(run(b.graph(), x)["output"], 0)
    np.testing.assert_allclose(sw.simulate(conversion, x, 512).output[:, -1], expected, atol=0.03 * expected.max())


def test_an_output_that_is_never_positive_keeps_a_positive_scale() -> None:
    b = plain(4)
    graph = b.graph()
    linear = graph[graph["output"].inputs[0]]
    graph = graph.replaced(linear.replace(bias=np.full(4, -50.0)))
    scales = scales_of(graph, b.samples(), Max())
    assert scales["output"] == 1.0
    sw.convert(graph, scales, readout="count")


def test_a_final_relu_moves_into_the_readout_and_is_the_population_whose_spikes_are_counted() -> None:
    b = pools(1)
    scales = scales_of(b.graph(), b.samples(), Max())
    last = b.at
    added, counted = (sw.convert(b.graph(), scales, readout=readout).spiking for readout in ("potential", "count"))
    assert last not in added
    assert last not in counted
    assert (added["output"].activation, counted["output"].activation) == ("relu", None)
    assert isinstance(counted["output_spikes"], IF)


def test_settings_reach_the_neurons() -> None:
    b = pools(1)
    scales = scales_of(b.graph(), b.samples(), Max())
    neurons = Neurons("zero", 3, 0.25, -1.0, 0.9, "avg_max")
    conversion = sw.convert(b.graph(), scales, neurons=neurons, view="thresholds")
    for population in conversion.spiking.of_type(IF):
        assert (population.type, population.reset, population.max_spikes) == ("LIF", "zero", 3)
        np.testing.assert_allclose(population.v_init, population.threshold / 4)
        assert population.v_min == pytest.approx(-float(population.threshold))
        assert population.decay == 0.9
    assert {pool.policy for pool in conversion.spiking.of_type(SpikeMaxPool)} == {"avg_max"}


def test_what_conversion_does_with_each_node() -> None:
    b = pools(1)
    done = what_became(b.graph(), sw.prepare(b.graph())[1])
    assert done["dropout4"] == "absorbed"
    assert done["relu3"] == "replaced by IF"
    assert done["pool2"] == "replaced by SpikeMaxPool"
    assert done["conv5"] == "kept"


def test_refusals() -> None:
    b = plain(0)
    scales = scales_of(b.graph(), b.samples(), Max())
    with pytest.raises(GraphError, match="ReLU 'relu5': has no scale; calibrate the same graph"):
        sw.convert(b.graph(), {})
    with pytest.raises(GraphError, match="must be positive and finite, not -1"):
        sw.convert(b.graph(), {**scales, "relu5": np.asarray(-1.0)})
    with pytest.raises(GraphError, match="fits neither the layer nor its 4 channels"):
        sw.convert(b.graph(), {**scales, "relu5": np.ones(7)})
    with pytest.raises(SettingsError, match="readout must be 'potential' or 'count', not 'vote'"):
        sw.convert(b.graph(), scales, readout="vote")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"max_pool must be 'count_max' or .*, not 'mean'"):
        sw.convert(
            pools(1).graph(), {**scales_of(pools(1).graph(), b.samples(), Max())}, neurons=Neurons(max_pool="mean")
        )  # type: ignore[arg-type]


def test_quantised_activations_in_one_timestep_of_several_spikes() -> None:
    """A neuron that may send as many spikes as there are levels is the trained staircase, at any depth."""
    module, batch = architecture("QCFS")
    graph = sw.load(module, example=batch)
    x = batch.numpy()
    scales = scales_of(graph, x, Max())
    conversion = sw.convert(graph, scales, neurons=Neurons(max_spikes=None))
    assert [p.max_spikes for p in conversion.spiking.of_type(IF)] == [8, 4]
    expected = run(graph, x)["output"]
    np.testing.assert_allclose(sw.simulate(conversion, x, 1).output[:, 0], expected, atol=1e-5)


def test_quantised_activations_in_as_many_timesteps_as_levels() -> None:
    """Constant current: the count after as many steps as there are levels is the trained level."""
    module, batch = architecture("QCFS")
    graph = sw.load(module, example=batch)
    x = batch.numpy()
    conversion = sw.convert(graph, scales_of(graph, x, Percentile(99.0)))
    first = conversion.spiking.of_type(IF)[0]
    assert (float(first.v_init), conversion.scales[first.name]) == (0.5, 1.0)
    levels = run(conversion.normalised, x, keep=(first.name,))[first.name] * 8
    counts = sw.simulate(conversion, x, 8, record=("spikes",)).spikes[first.name].sum(axis=1)
    np.testing.assert_array_equal(counts, np.round(levels))
