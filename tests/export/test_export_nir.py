"""What is written as NIR comes back with the same spikes, at every step; what cannot be written is refused whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spikewright as sw
from networks import Builder, plain, pools, residual
from nir_in_spikingjelly import same_spikes
from random_graphs import anything
from spikewright.conversion import Neurons
from spikewright.errors import GraphError, Problem, SettingsError, StorageError, UnsupportedModelError
from spikewright.exporters._selections import selections
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    AvgPool,
    ChannelAffine,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Reshape,
    SpikeMaxPool,
    SumPool,
    Upsample,
)

nir = pytest.importorskip("nir")

from spikewright.exporters.nir import to_nir  # noqa: E402
from spikewright.frontends.nir import from_nir  # noqa: E402

NEURONS = (
    Neurons(),
    Neurons(reset="zero", v_init=0.0),
    Neurons(max_spikes=None, v_min=-1.0),
    Neurons(max_spikes=3, leak=0.9),
    Neurons(reset="zero", leak=1 / 3, v_init=-0.25),
)


def spiking(graph: Graph, x: Array, neurons: Neurons, method: str = "max", **options: str) -> Graph:
    chosen = sw.threshold_method(method)
    scales = sw.calibrate(sw.prepare(graph, leaky="split")[0], x, [chosen]).scales(chosen)
    return sw.convert(graph, scales, neurons=neurons, leaky="split", **options).spiking


def assert_same_spikes(one: Graph, two: Graph, x: Array, steps: int = 9) -> None:
    a, b = (sw.simulate(g, x, steps, record=("spikes", "potentials"), engine="reference") for g in (one, two))
    assert list(a.spikes) == list(b.spikes)
    assert sum(counts.sum() for counts in a.counts.values()) > 0
    for name in a.spikes:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name])
        np.testing.assert_array_equal(a.potentials[name], b.potentials[name])
    for name in a.outputs:
        np.testing.assert_array_equal(a.outputs[name], b.outputs[name])


def assert_comes_back(graph: Graph, x: Array, path: Path, dt: float = 1e-4) -> Graph:
    sw.export(graph, path, dt=dt, force=True)
    found = sw.load(path)
    written = selections(graph)
    assert [str(node) for node in found] == [str(node) for node in written]
    assert [node.inputs for node in found] == [node.inputs for node in written]
    assert dict(found.meta) == dict(graph.meta)
    assert_same_spikes(graph, found, x)
    return found


@pytest.mark.parametrize("dt", [1e-4, 0.3, 1.0])
@pytest.mark.parametrize("neurons", NEURONS, ids=str)
@pytest.mark.parametrize("network", [plain, residual])
def test_converted_networks_come_back(
    network: Callable[[int], Builder], neurons: Neurons, dt: float, tmp_path: Path
) -> None:
    b = network(3)
    x = b.samples()
    assert_comes_back(spiking(b.graph(), x, neurons), x, tmp_path / "n.nir", dt)


@pytest.mark.parametrize("options", [{"view": "thresholds"}, {"readout": "count"}, {"answer": "keep"}], ids=str)
def test_every_view_and_readout_comes_back(options: dict[str, str], tmp_path: Path) -> None:
    b = residual(5)
    x = b.samples()
    method = "max:channels" if "view" in options else "max"
    if "answer" in options:
        from spikewright.nodes import Softmax

        b.add(Softmax(name="softmax", inputs=(b.at,)))
    if "readout" in options:
        b.relu()
    graph = spiking(b.graph(), x, Neurons(), method, **options)
    found = assert_comes_back(graph, x, tmp_path / "n.nir")
    assert found["output"].settings == graph["output"].settings


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), neurons=st.sampled_from(NEURONS))
def test_random_networks_come_back_or_are_refused_whole(seed: int, neurons: Neurons, tmp_path: Path) -> None:
    """Those with max pooling, joins of rows and the like are refused by name; the rest has the same spikes."""
    graph = anything(seed)
    x = np.random.default_rng(seed).uniform(0, 1, (2, *graph.of_type(Input)[0].shape)).astype(np.float32)
    network = spiking(graph, x, neurons)
    path = tmp_path / f"{seed}.nir"
    never = {"SpikeMaxPool", "Upsample", "ConvTranspose", "AdaptiveAvgPool"}
    problems: tuple[Problem, ...] = ()
    try:
        sw.export(network, path, force=True)
    except UnsupportedModelError as error:
        problems = error.problems
    assert {f"'{node.name}'" for node in network if node.type in never} <= {problem.where for problem in problems}
    assert {problem.operator for problem in problems} <= never | {"Conv", "AvgPool", "ChannelAffine", "Concat"}
    assert path.exists() != bool(problems)
    if not problems and network.populations and any(c.sum() for c in sw.simulate(network, x, 9).counts.values()):
        assert_comes_back(network, x, path)


def test_joins_and_paddings_are_written_as_convolutions_that_select(tmp_path: Path) -> None:
    b = Builder(2, (2, 5, 6))
    b.conv(3)
    two = b.relu()
    b.add(Pad(name="shifted", inputs=("input",), padding=((1, 0), (2, -1), (-1, 1))))
    b.conv(2, padding=((0, 0), (1, 1)))
    three = b.relu()
    b.add(Pad(name="cut", inputs=(two,), padding=((-1, 0), (0, -1), (0, 0))))
    cut = b.relu()
    b.add(Concat(name="rows", inputs=(three, cut)))
    b.flatten()
    b.linear(3)
    five = b.relu()
    b.add(Concat(name="row", inputs=(five, five)))
    b.linear(4)
    graph, x = spiking(b.graph(), b.samples(), Neurons()), b.samples()
    found = assert_comes_back(graph, x, tmp_path / "n.nir")
    assert {"Conv", "Add"} <= {node.type for node in found}


def built(*nodes: object) -> Graph:
    return Graph([*nodes])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("shape", "kernel", "padding", "stride", "dilation", "groups"),
    [
        ((4, 9), (3,), ((0, 2),), (2,), (1,), 2),
        ((4, 9), (2,), ((3, 1),), (1,), (2,), 1),
        ((2, 7, 8), (3, 2), ((0, 1), (2, 0)), (2, 3), (1, 1), 1),
        ((2, 7, 8), (2, 3), ((2, 0), (1, 1)), (1, 2), (2, 1), 2),
        ((4, 6, 6), (3, 3), ((1, 1), (1, 1)), (1, 1), (1, 1), 4),
    ],
)
def test_uneven_padding_is_zeros_in_the_kernel(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    tmp_path: Path,
) -> None:
    """A reader that knows nothing of our notes computes the same; we get the kernel back as it was."""
    random = np.random.default_rng(1)
    weight = random.integers(-4, 5, (4, shape[0] // groups, *kernel)) + 0.5
    conv = Conv(
        name="conv",
        inputs=("input",),
        weight=weight,
        bias=random.integers(-3, 4, 4),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    graph = built(Input(name="input", shape=shape), conv, Output(name="output", inputs=("conv",)))
    x = random.integers(-3, 4, (3, *shape)).astype(np.float32)
    sw.export(graph, tmp_path / "n.nir")
    found = sw.load(tmp_path / "n.nir")
    assert found["conv"].settings == conv.settings
    np.testing.assert_array_equal(found["conv"].arrays["weight"], conv.weight)
    bare = to_nir(graph)
    bare.metadata = {}
    for node in bare.nodes.values():
        node.metadata = {}
    for other in (found, from_nir(bare)):
        np.testing.assert_array_equal(run(other, x)["output"], run(graph, x)["output"])


def test_every_node_that_can_be_written(tmp_path: Path) -> None:
    """Sums of sums, a value added to itself, one sum with two readers, odd names, shifts, all kinds of neurons."""
    random = np.random.default_rng(2)
    shape = (3, 6, 6)
    ones = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    neuron = {"threshold": np.ones(()), "v_init": np.zeros(())}
    graph = built(
        Input(name="input", shape=shape),
        ChannelAffine(name="/in/shift", inputs=("input",), scale=random.random(3), bias=random.random(3)),
        ChannelAffine(name="/in.shift", inputs=("input",), scale=random.random(shape), bias=np.zeros(3)),
        IF(name="if", inputs=("/in/shift",), threshold=random.uniform(0.5, 1, shape), v_init=random.random(shape)),
        LIF(name="lif", inputs=("/in.shift",), **neuron, leak=0.75, reset="zero", v_reset=-0.1, v_min=-0.3),
        LIF(name="bare", inputs=("/in.shift",), **neuron, leak=0.0, max_spikes=None),
        Add(name="sum", inputs=("if", "lif")),
        Add(name="twice", inputs=("sum", "sum", "bare")),
        Conv(name="1x1", inputs=("twice",), weight=random.random((2, 3, 1, 1)), bias=np.zeros(2), **ones),
        IF(name="late", inputs=("twice",), **neuron, reset="zero", v_reset=0.1),
        SumPool(name="pool", inputs=("late",), kernel=(2, 3), stride=(2, 1), padding=((1, 1), (0, 0))),
        AvgPool(name="mean", inputs=("1x1",), kernel=(2, 2), stride=(1, 2), padding=((1, 1), (0, 0))),
        Flatten(name="flat", inputs=("pool",)),
        Reshape(name="flat too", inputs=("mean",), shape=(2 * 7 * 3,)),
        ChannelAffine(name="row", inputs=("flat",), scale=random.random(48), bias=random.random(48)),
        Linear(name="a", inputs=("row",), weight=random.random((4, 48)), bias=random.random(4)),
        Linear(name="b", inputs=("flat too",), weight=random.random((4, 42)), bias=random.random(4)),
        Add(name="both", inputs=("a", "b")),
        IF(name="last", inputs=("both",), **neuron),
        Output(name="output", inputs=("both",)),
        Output(name="spikes", inputs=("last",), activation="softmax"),
    )
    x = random.uniform(-0.2, 1, (3, *shape)).astype(np.float32)
    sw.export(graph, tmp_path / "n.nir", dt=0.01)
    found = sw.load(tmp_path / "n.nir")
    assert_same_spikes(graph, found, x, 12)
    flat = Reshape(name="flat too", inputs=("mean",), shape=(42,))
    assert {node.name: node.inputs for node in found} == {node.name: node.inputs for node in graph}
    for node in graph:
        twin = found[node.name]
        assert twin.type == (node.type if node.name != flat.name else "Flatten")
        if not isinstance(node, Reshape):
            assert twin.settings == node.settings
        for label, array in node.arrays.items():
            np.testing.assert_array_equal(np.broadcast_to(twin.arrays[label], array.shape), array)
    nir.read(tmp_path / "n.nir", type_check=False)


def test_what_another_tool_changes_is_right(tmp_path: Path) -> None:
    """Notes add to the fields and never contradict them."""
    b = plain(1)
    graph = spiking(b.graph(), b.samples(), Neurons(leak=0.9))
    written = to_nir(graph, dt=1e-3)
    names = {node.name: node for node in graph.of_type(IF)}
    for name in names:
        written.nodes[name].v_threshold = written.nodes[name].v_threshold * 2
        written.nodes[name].tau = written.nodes[name].tau * 2
    found = from_nir(written)
    for name in names:
        neuron = found[name]
        assert isinstance(neuron, LIF)
        assert neuron.leak == pytest.approx(0.95)
        assert neuron.threshold == pytest.approx(np.full((), 4.0))  # r·dt/τ is half as much
        assert neuron.reset == "subtract"


def test_what_nir_says_of_a_network() -> None:
    """What another simulator finds in its fields."""
    b = plain(1)
    graph = to_nir(spiking(b.graph(), b.samples(), Neurons(leak=0.75)), dt=0.5)
    lif = next(node for node in graph.nodes.values() if isinstance(node, nir.LIF))
    assert lif.v_threshold.shape == (4, 8, 8)
    assert (lif.tau == 2.0).all()
    assert (lif.r == 4.0).all()
    assert (lif.v_leak == 0).all()
    assert {type(node).__name__ for node in graph.nodes.values()} == {
        *("Input", "Conv2d", "LIF", "AvgPool2d", "Flatten", "Affine", "Output")
    }


def test_refused_by_name_all_at_once(tmp_path: Path) -> None:
    b = pools(1)
    b.nodes[-1:] = []
    graph = Graph(
        [
            Input(name="x", shape=(2, 4, 4, 4)),
            Conv(
                name="volume",
                inputs=("x",),
                weight=np.ones((2, 2, 1, 1, 1)),
                bias=np.zeros(2),
                stride=(1, 1, 1),
                padding=((0, 0),) * 3,
                dilation=(1, 1, 1),
            ),
            Concat(name="join", inputs=("volume", "x")),
            Reshape(name="plane", inputs=("join",), shape=(4, 8, 8)),
            SpikeMaxPool(
                name="max", inputs=("plane",), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2, dilation=(1, 1)
            ),
            AvgPool(name="mean", inputs=("max",), kernel=(2, 2), stride=(2, 2), padding=((0, 1), (0, 0))),
            AvgPool(
                name="inner",
                inputs=("mean",),
                kernel=(2, 2),
                stride=(2, 2),
                padding=((1, 1), (1, 1)),
                count_padding=False,
            ),
            Upsample(name="grow", inputs=("inner",), factor=(3, 3)),
            Conv(
                name="map",
                inputs=("grow",),
                weight=np.ones((2, 4, 2, 2)),
                bias=np.ones((2, 5, 5)),
                stride=(1, 1),
                padding=((0, 0), (0, 0)),
                dilation=(1, 1),
            ),
            Output(name="y", inputs=("map",)),
        ]
    )
    (tmp_path / "n.nir").write_text("before")
    with pytest.raises(UnsupportedModelError) as caught:
        sw.export(graph, tmp_path / "n.nir", force=True)
    assert str(caught.value) == (
        "8 operators cannot be written as NIR: "
        "Conv at 'volume': NIR convolves over one or two axes; "
        "Concat at 'join': NIR has no node for it; "
        "Reshape at 'plane': NIR can only flatten; "
        "SpikeMaxPool at 'max': NIR has no node for it; "
        "AvgPool at 'mean': its padding ((0, 1), (0, 0)) differs between sides; "
        "AvgPool at 'inner': it leaves padding out of the mean; NIR counts it; "
        "Upsample at 'grow': NIR has no node for it; "
        "Conv at 'map': its bias differs from position to position; NIR has one a channel"
    )
    assert (tmp_path / "n.nir").read_text() == "before"


def test_settings_and_places_that_cannot_be(tmp_path: Path) -> None:
    graph = built(Input(name="input", shape=(2,)), Output(name="output", inputs=("input",)))
    for dt in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="dt must be a positive number of seconds"):
            sw.export(graph, tmp_path / "n.nir", dt=dt)
    with pytest.raises(SettingsError, match=r"no format is written under the suffix '.onnx'; give one of .nir"):
        sw.export(graph, tmp_path / "n.onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        sw.export(graph, tmp_path / "file" / "n.nir")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
    with pytest.raises(GraphError):
        sw.simulate(built(*graph, Linear(name="l", inputs=("input",), weight=np.ones((1, 3)), bias=np.ones(1))), [])


@pytest.mark.parametrize("neurons", [Neurons(reset="zero", v_init=0.0), Neurons(reset="zero", v_init=0.0, leak=0.9)])
def test_the_same_spikes_in_spikingjelly(neurons: Neurons, tmp_path: Path) -> None:
    """More of them, and other simulators: benchmarks/nir_exchange.py."""
    b = residual(2)
    x = b.samples()
    graph = spiking(b.graph(), x, neurons)
    sw.export(graph, tmp_path / "n.nir")
    same_spikes(graph, x, tmp_path / "n.nir")
