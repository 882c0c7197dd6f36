"""NIR graphs built by hand against plain numpy, and files that mean harm."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import spikewright as sw
from spikewright.errors import ModelFileError, SettingsError, UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, LIF, Add

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

from nir_networks import RANDOM, answer, conv, network, neuron, values  # noqa: E402
from spikewright.frontends.nir import from_nir  # noqa: E402

# Each node type


def test_matrices() -> None:
    x, w, b = values(5, 4), values(3, 4), values(3)
    np.testing.assert_allclose(answer(network((4,), nir.Affine(w, b)), x), x @ w.T + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answer(network((4,), nir.Linear(w)), x), x @ w.T, rtol=1e-5, atol=1e-6)


def test_a_matrix_for_each_position_of_more_axes() -> None:
    x, w, b = values(5, 2, 6, 4), values(2, 6, 3, 4), values(2, 6, 3)
    expected = np.einsum("nabi,aboi->nabo", x, w)
    np.testing.assert_allclose(answer(network((2, 6, 4), nir.Affine(w, b)), x), expected + b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer(network((2, 6, 4), nir.Linear(w)), x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("padding", [0, 2, "same", "valid"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (1, 2, 2), (3, 1, 2)])
def test_convolutions(padding: Any, stride: int, dilation: int, groups: int) -> None:
    if padding == "same" and stride > 1:
        return
    x, w, b = values(2, 4, 11), values(6, 4 // groups, 4), values(6)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    expected = F.conv1d(*(torch.from_numpy(a) for a in (x, w, b)), **settings).numpy()
    np.testing.assert_allclose(answer(network((4, 11), conv(w, bias=b, **settings)), x), expected, rtol=1e-4, atol=1e-5)
    x, w = values(2, 4, 11, 9), values(6, 4 // groups, 3, 2)
    expected = F.conv2d(*(torch.from_numpy(a) for a in (x, w, b)), **settings).numpy()
    found = answer(network((4, 11, 9), conv(w, bias=b, **settings)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_convolutions_with_other_settings_for_each_axis() -> None:
    x, w, b = values(2, 3, 9, 8), values(2, 3, 2, 3), values(2)
    settings = {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}
    expected = F.conv2d(*(torch.from_numpy(a) for a in (x, w, b)), **settings).numpy()
    found = answer(network((3, 9, 8), conv(w, bias=b, input_shape=(9, 8), **settings)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pools() -> None:
    x = values(2, 3, 7, 8)
    pool = {"kernel_size": np.array([2, 3]), "stride": np.array([2, 1]), "padding": np.array([1, 0])}
    mean = F.avg_pool2d(torch.from_numpy(x), (2, 3), (2, 1), (1, 0)).numpy()
    np.testing.assert_allclose(answer(network((3, 7, 8), nir.AvgPool2d(**pool)), x), mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answer(network((3, 7, 8), nir.SumPool2d(**pool)), x), 6 * mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("start", "end", "shape"),
    [
        (0, -1, (120,)),
        (1, -1, (2, 60)),
        (0, 1, (6, 4, 5)),
        (1, 2, (2, 12, 5)),
        (-2, -1, (2, 3, 20)),
        (3, 3, (2, 3, 4, 5)),
    ],
)
def test_flatten_counts_axes_without_a_batch(start: int, end: int, shape: tuple[int, ...]) -> None:
    x = values(2, 2, 3, 4, 5)
    node = nir.Flatten({"input": np.array([2, 3, 4, 5])}, start, end)
    assert tuple(node.output_type["output"]) == shape
    np.testing.assert_array_equal(answer(network((2, 3, 4, 5), node), x), x.reshape(2, *shape))


def test_scales() -> None:
    x, each = values(2, 3, 4), values(3, 4)
    np.testing.assert_array_equal(answer(network((3, 4), nir.Scale(each)), x), x * each)
    channel = np.broadcast_to(values(3, 1), (3, 4))
    found = from_nir(network((3, 4), nir.Scale(channel)))
    assert found["n0"].arrays["scale"].shape == (3,)
    np.testing.assert_array_equal(run(found, x)["output"], x * channel)


def test_branches_that_meet_are_added() -> None:
    a, b, x = values(3, 4), values(3, 4), values(2, 4)
    nodes = {"input": nir.Input(np.array([4])), "a": nir.Linear(a), "b": nir.Linear(b), "s": nir.Scale(np.full(3, 2.0))}
    edges = [("input", "a"), ("input", "b"), ("a", "s"), ("b", "s"), ("s", "output"), ("a", "output")]
    graph = from_nir(nir.NIRGraph({**nodes, "output": nir.Output(np.array([3]))}, edges))
    assert [node.name for node in graph.of_type(Add)] == ["s.sum", "output.sum"]
    expected = 2 * (x @ a.T + x @ b.T) + x @ a.T
    np.testing.assert_allclose(run(graph, x)["output"], expected, rtol=1e-5, atol=1e-5)


def test_nested_graphs_are_laid_open(tmp_path: Path) -> None:
    w, v, x = values(3, 4), values(3, 3), values(2, 4)
    inner = network((3,), nir.Linear(v))
    middle = network((4,), lin=nir.Linear(w), deep=inner)
    graph = network((4,), block=middle, last=nir.Scale(np.full(3, 2.0)))
    nir.write(tmp_path / "n.nir", _with_shapes(graph))
    for found in (from_nir(graph), sw.load(tmp_path / "n.nir")):
        assert {node.name for node in found} == {"input", "block.lin", "block.deep.n0", "last", "output"}
        np.testing.assert_allclose(run(found, x)["output"], 2 * (x @ w.T @ v.T), rtol=1e-4, atol=1e-5)


def _with_shapes(graph: Any) -> Any:
    """Outputs with shapes, without which nir cannot write them."""
    for node in graph.nodes.values():
        if isinstance(node, nir.NIRGraph):
            _with_shapes(node)
        elif isinstance(node, nir.Output):
            node.output_type = {"output": np.array([3])}
            node.input_type = {"input": np.array([3])}
    return graph


# Neurons


def drawn(low: float, high: float, *shape: int) -> Array:
    """Currents that single precision holds."""
    return RANDOM.uniform(low, high, shape).astype(np.float32).astype(np.float64)


def simulated(graph: Graph, currents: Array) -> Array:
    """Spikes ``(T, neurons)`` of the only population, for currents ``(T, neurons)``."""
    found = sw.simulate(graph, currents[None], len(currents), encoder="events", record="spikes", dtype="float64")
    return next(iter(found.spikes.values()))[0]


def euler(currents: Array, dt: float, threshold: Array, r: Array, tau: float = np.inf, v_reset: float = 0.0) -> Array:
    """NIR's equations, one Euler step for each timestep."""
    v = np.zeros(currents.shape[1])
    trains = []
    for current in currents:
        v = v + (dt * r * current if tau == np.inf else dt / tau * (-v + r * current))
        z = v > threshold
        v = np.where(z, v_reset, v)
        trains.append(z)
    return np.array(trains, float)


@pytest.mark.parametrize("kind", ["IF", "LIF"])
@pytest.mark.parametrize("dt", [1e-4, 3e-4, 1e-3])
def test_neurons_are_euler_steps_of_the_equations(kind: str, dt: float) -> None:
    currents = drawn(-0.3, 1, 200, 6)
    threshold, r = RANDOM.uniform(0.5, 2, 6), np.array([800.0, 1500.0, 2000.0, 3000.0, 5000.0, 10000.0])
    fields = {"r": r, "v_threshold": threshold}
    if kind == "LIF":
        fields |= {"tau": 4e-3, "r": r * 4e-3}
    graph = from_nir(network((6,), neuron((6,), kind, **fields)), dt=dt)
    tau = {"tau": 4e-3} if kind == "LIF" else {}
    expected = euler(currents, dt, threshold, fields["r"], **tau)
    assert 50 < expected.sum() < 1100
    np.testing.assert_array_equal(simulated(graph, currents), expected)


def test_reset_to_another_potential() -> None:
    currents = drawn(0, 1, 50, 4)
    graph = from_nir(network((4,), neuron((4,), "LIF", r=20.0, v_reset=-0.5)))
    assert graph["n0"].settings["v_reset"] == -0.25  # in the unit of what arrives, which counts twofold
    expected = euler(currents, 1e-4, np.ones(4), np.full(4, 20.0), 1e-3, -0.5)
    np.testing.assert_array_equal(simulated(graph, currents), expected)


def test_nir_fires_above_the_threshold_not_at_it() -> None:
    """v > v_threshold: whole numbers show the difference."""
    ones = np.ones((6, 1))
    assert simulated(from_nir(network((1,), neuron((1,)))), ones).ravel().tolist() == [0, 1, 0, 1, 0, 1]
    limits = RANDOM.uniform(0.5, 1.5, 100)  # not float32
    found = from_nir(network((100,), neuron((100,), v_threshold=limits)))["n0"]
    assert isinstance(found, IF)
    assert (found.threshold > limits).all()
    assert (np.nextafter(found.threshold, np.float32(0)) <= limits).all()


def test_a_threshold_remembers_nothing() -> None:
    currents = np.round(RANDOM.uniform(-1, 2, (40, 5)) * 8) / 8
    limits = np.array([0.1, 0.5, 0.7, 1.0, 1.875])
    graph = from_nir(network((5,), nir.Threshold(limits)))
    np.testing.assert_array_equal(simulated(graph, currents), currents > limits)


def test_one_parameter_for_all() -> None:
    """snnTorch writes neurons without a shape."""
    graph = from_nir(network((3, 4, 4), neuron((), "LIF", r=np.float32(10), v_threshold=0.7)))
    found = graph["n0"]
    assert isinstance(found, LIF)
    assert (found.leak, found.threshold.shape) == (0.9, ())


def test_an_integrator_at_the_end_is_what_an_output_does() -> None:
    w, x = values(3, 4), np.abs(values(2, 4))
    graph = from_nir(network((4,), nir.Linear(w), nir.I(np.full(3, 1e4))))
    assert [node.type for node in graph] == ["Input", "Linear", "Output"]
    graph = from_nir(network((4,), nir.Linear(w), nir.I(np.array([2e4, 1e4, 3e4]))))
    spiking = sw.simulate(graph, x, 4).output[:, -1]
    np.testing.assert_allclose(spiking, x @ w.T * [2, 1, 3], rtol=1e-4, atol=1e-5)


def test_dt_must_be_said_where_the_file_can_be_read_two_ways() -> None:
    """sinabs and Norse write r = 1 and add each input as it is; by NIR's equations it would count 1e-4 times."""
    graph = network((2,), lif=neuron((2,), r=1.0))
    with pytest.raises(SettingsError) as caught:
        sw.load(graph)
    assert str(caught.value) == (
        "IF 'lif' has r = 1: in timesteps of 0.0001 s its input would count 0.0001 times; "
        "give the timestep that is meant: dt=1 where an input is to be added as it is"
    )
    assert simulated(sw.load(graph, dt=1), np.full((3, 2), 1.5)).tolist() == [[1, 1]] * 3
    for dt in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="dt must be a positive number of seconds"):
            sw.load(graph, dt=dt)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
def test_other_number_types(dtype: type, tmp_path: Path) -> None:
    w = RANDOM.integers(-3, 4, (3, 4)).astype(dtype)
    graph = network((4,), nir.Affine(w, w[:, 0]))
    graph.nodes["output"] = nir.Output(np.array([3]))
    nir.write(tmp_path / "n.nir", graph)
    x = values(2, 4)
    found = run(sw.load(tmp_path / "n.nir"), x)["output"]
    np.testing.assert_allclose(found, x @ w.T.astype(np.float32) + w[:, 0], rtol=1e-5, atol=1e-5)


# Refusals


def test_everything_that_cannot_be_taken_in_one_error() -> None:
    shape = (2,)
    two = np.ones(2)
    nodes = {
        "input": nir.Input(np.array(shape)),
        "cuba": nir.CubaLIF(two, two, two, two, two, two),
        "li": nir.CubaLI(two, two, two, two),
        "late": nir.Delay(two),
        "leaky": nir.LI(two, two, two),
        "lif": neuron(shape, "LIF", v_leak=1.5),
        "mixed": neuron(shape, "LIF", tau=np.array([1e-3, 2e-3])),
        "slow": neuron(shape, "LIF", tau=1e-5),
        "odd": nir.Scale(np.ones(3)),
        "after": neuron(shape, "LIF", r=-1.0),
        "middle": nir.I(two),
        "loop": neuron(shape),
        "back": nir.Linear(np.ones((2, 2))),
        "output": nir.Output(np.array(shape)),
    }
    names = list(nodes)
    edges = [*pairwise(names), ("back", "loop")]
    with pytest.raises(UnsupportedModelError) as caught:
        from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=1e-4)
    assert str(caught.value) == (
        "11 operators cannot be read: "
        "recurrence at 'loop', 'back': only feed-forward networks can be converted; "
        "CubaLIF at 'cuba': its synaptic current is a second state, which no neuron here has; "
        "CubaLI at 'li': its synaptic current is a second state, which no neuron here has; "
        "Delay at 'late': spikes arrive in the step in which they are sent; "
        "LI at 'leaky': an output adds up what arrives and does not leak; "
        "LIF at 'lif': its v_leak of 1.5 is not below its threshold, so it fires without input; "
        "LIF at 'mixed': its tau differs from neuron to neuron; a population has one; "
        "LIF at 'slow': its tau of 1e-05 s is not longer than a step of dt = 0.0001 s; give a shorter dt; "
        "Scale at 'odd': its scale has the shape (3,), its input (2,); "
        "LIF at 'after': its r must be positive, not -1.0; "
        "I at 'middle': an integrator that never fires can only stand before an Output"
    )


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            lambda: network((2, 4), nir.Linear(np.ones((3, 8)))),
            "does not fit an input of shape (2, 4); flatten it first",
        ),
        (lambda: network((2, 4), nir.Linear(np.ones((3, 4)))), "weight (3, 4) does not fit an input of shape (2, 4)"),
        (lambda: network((4,), nir.Affine(np.ones((3, 4)), np.ones(4))), "bias has the shape (4,), its weight (3, 4)"),
        (lambda: network((2, 9), conv(np.ones((2, 2, 3)), stride=2, padding="same")), "only goes with a stride of 1"),
        (lambda: network((2, 9), conv(np.ones((2, 2, 3)), input_shape=8)), "states an input of shape (8,), and (9,)"),
        (lambda: network((2, 9), conv(np.ones((2, 3, 3)))), "does not fit an input of shape (2, 9)"),
        (lambda: network((2, 9), conv(np.ones((2, 2, 3)), stride=0)), "stride must be whole numbers, 1 or more"),
        (lambda: network((2, 9), conv(np.ones((2, 2, 3)), stride=1.5)), "stride must be whole numbers, 1 or more"),
        (lambda: network((2, 9), conv(np.ones((2, 2, 12)))), "does not fit in a padded input"),
        (lambda: network((4,), neuron((3,))), "its r has the shape (3,), its input (4,)"),
        (lambda: network((4,), neuron((4,), v_threshold=-1.0)), "its threshold must be positive, not -1.0"),
        (lambda: network((4,), neuron((4,), v_reset=np.arange(4.0))), "v_reset, in the unit of its input, differs"),
        (lambda: network((4,), neuron((4,), r=np.nan)), "its r is not finite"),
        (lambda: network((4,), nir.Flatten(None, 2, -1)), "its start_dim is 2; its input has 1 axes"),
        (lambda: network((0,), nir.Scale(np.ones(4))), "its shape is (0,), which is no shape"),
        (lambda: network((4,), nir.Scale(np.array(["a"]))), "its scale is not made of numbers"),
    ],
)
def test_nodes_that_make_no_sense(graph: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        from_nir(graph(), dt=1e-4)
    assert message in str(caught.value)


def test_graphs_that_make_no_sense() -> None:
    def refused(nodes: Any, edges: Any) -> str:
        with pytest.raises(ModelFileError) as caught:
            from_nir(nir.NIRGraph(nodes, edges, type_check=False))
        return str(caught.value)

    start, end, two = nir.Input(np.array([2])), nir.Output(np.array([2])), nir.Scale(np.ones(2))
    ends = {"in": start, "out": end}
    assert refused(ends, [("in", "x")]) == "the graph has an edge from 'in' to 'x', but no node 'x'"
    assert "twice" in refused(ends, [("in", "out"), ("in", "out")])
    assert "edges that are not pairs of names" in refused(ends, [("in", 3)])
    assert "Scale 's' reads nothing" in refused({**ends, "s": two}, [("s", "out")])
    assert "has no Output" in refused({"in": start, "s": two}, [("in", "s")])
    assert "more than 2,147,483,648 values a sample" in refused(
        {"in": nir.Input(np.array([2**40])), "out": end}, [("in", "out")]
    )
    bad = nir.Linear(np.array([[1.0, np.inf]]))
    assert "weight[0, 1] is inf, not a finite float32" in refused({**ends, "bad": bad}, [("in", "bad"), ("bad", "out")])
    for k in range(40):
        ends = {f"g{k}": nir.NIRGraph(ends, [], type_check=False)}
    assert "lies 32 graphs deep" in refused(ends, [])
