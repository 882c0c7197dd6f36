"""Synaptic operations against counting every connection and every value by hand, where values meet no neurons."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

import spikewright as sw
from networks import Builder
from spikewright.encoders.constant import Constant
from spikewright.engines.reference import Simulation
from spikewright.graph import Array, Graph, Node
from spikewright.measures import Energy, SynOps, synops
from spikewright.nodes import (
    IF,
    Add,
    AvgPool,
    ChannelAffine,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Output,
    SpikeMaxPool,
    SumPool,
)

STEPS = 6


class Drawn:
    """A random spiking network in which weights follow weights, sums hold values, and pools stand before both."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = [Input(name="input", shape=(2, 5, 4))]
        self.open = ["input"]

    def shape(self, name: str) -> tuple[int, ...]:
        return Graph(self.nodes).shapes[name]

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        self.open.append(node.name)
        return node.name

    def grow(self) -> None:
        at = self.open[int(self.random.integers(max(0, len(self.open) - 4), len(self.open)))]
        channels, *spatial = self.shape(at)
        name = f"n{len(self.nodes)}"
        alike = [o for o in self.open if self.shape(o) == self.shape(at)]
        kind = self.random.choice(["conv", "conv", "point", "if", "if", "affine", "add", "add", "join", "pool", "max"])
        if kind in ("conv", "point"):
            size = 3 if kind == "conv" else 1
            groups = channels if self.random.random() < 0.3 else 1
            weight = self.random.normal(size=(channels if groups > 1 else 2, channels // groups, size, size))
            padding = ((int(self.random.integers(size)), 1 if size == 3 else 0),) * 2
            if min(spatial) + sum(padding[0]) < size:
                return
            bias = self.random.normal(size=len(weight)) * (self.random.random() < 0.5)
            stride = (int(self.random.integers(1, 3)),) * 2
            self.add(
                Conv(
                    name=name,
                    inputs=(at,),
                    weight=weight,
                    bias=bias,
                    stride=stride,
                    padding=padding,
                    dilation=(1, 1),
                    groups=groups,
                )
            )
        elif kind == "if":
            cap = None if self.random.random() < 0.5 else 1
            self.add(IF(name=name, inputs=(at,), threshold=np.ones(()), v_init=np.ones(()) / 2, max_spikes=cap))
        elif kind == "affine":
            self.add(ChannelAffine(name=name, inputs=(at,), scale=np.ones(channels) / 2, bias=np.zeros(channels)))
        elif kind == "add" and len(alike) > 1:
            self.add(Add(name=name, inputs=tuple(self.random.choice(alike, 2, replace=False))))
        elif kind == "join" and channels < 8:
            self.add(Concat(name=name, inputs=(at, str(self.random.choice(alike))), axis=0))
        elif kind in ("pool", "max") and min(spatial) >= 2:
            windows = {"kernel": (2, 2), "stride": (1, 1), "padding": ((0, 1), (0, 0))}
            if kind == "max":
                self.add(SpikeMaxPool(name=name, inputs=(at,), **windows, dilation=(1, 1)))
            else:
                self.add(AvgPool(name=name, inputs=(at,), **windows))

    def graph(self) -> Graph:
        for _ in range(12):
            self.grow()
        at = self.open[-1]
        flat = Flatten(name="flat", inputs=(at,))
        size = int(np.prod(self.shape(at)))
        dense = Linear(name="dense", inputs=("flat",), weight=self.random.normal(size=(3, size)), bias=np.zeros(3))
        return Graph([*self.nodes, flat, dense, Output(name="y", inputs=("dense",))]).needed()


def reach(node: Node, shape: tuple[int, ...]) -> Array:
    """``(outputs, inputs)``: how often each input is added into each output, found by trying one after the other."""
    if isinstance(node, AvgPool):
        node = SumPool(name="ones", inputs=node.inputs, kernel=node.kernel, stride=node.stride, padding=node.padding)
    if node.weighted:
        ones = {k: np.ones_like(a) for k, a in node.arrays.items() if k != "bias"}
        node = node.replace(**ones, bias=np.zeros_like(node.arrays["bias"]))
    one_by_one = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape)
    found = node.bind(lambda array: torch.tensor(array, dtype=torch.float64))(one_by_one)
    return found.reshape(len(one_by_one), -1).numpy().T


def windows(pool: SpikeMaxPool, shape: tuple[int, ...]) -> Array:
    settings = {k: getattr(pool, k) for k in ("kernel", "stride", "padding")}
    return reach(SumPool(name="all", inputs=pool.inputs, **settings), shape)


def by_hand(graph: Graph, x: Array, events: bool) -> dict[str, SynOps]:
    """Every neuron's value at every step, and where each comes from: of how many spikes, or of what is no spike."""
    values: dict[str, list[Array]] = {node.name: [] for node in graph}
    simulation = Simulation(graph)
    state = simulation.start(1)
    for t in range(STEPS):
        for name, value in simulation.step(torch.from_numpy(x[None]), state, t).items():
            values[name].append(value[0].numpy().ravel().astype(np.float64))
    spikes: dict[str, Array] = {}  # (steps, neurons): events
    kind: dict[str, Array] = {}  # 0 spikes, 1 values of an analog input, 2 values of a relay
    found: dict[str, SynOps] = {}
    for node in graph:
        name, size = node.name, int(np.prod(graph.shapes[node.name]))
        if not node.inputs:
            sent = (np.array(values[name]) != 0).astype(float) if events else np.zeros((STEPS, size))
            spikes[name], kind[name] = sent, np.full(size, 0 if events else 1)
            continue
        shapes = graph.input_shapes(node)
        if node.weighted or isinstance(node, SpikeMaxPool):
            source = node.inputs[0]
            matrix = windows(node, shapes[0]) if isinstance(node, SpikeMaxPool) else reach(node, shapes[0])
            arrived = relayed = analog = 0.0
            for output, neuron in product(range(matrix.shape[0]), range(matrix.shape[1])):
                if matrix[output, neuron] and kind[source][neuron] == 0:
                    arrived += spikes[source][:, neuron].sum()
                elif matrix[output, neuron] and kind[source][neuron] == 1:
                    analog += 1
                elif matrix[output, neuron]:
                    active = [v[neuron] != 0 or isinstance(node, SpikeMaxPool) for v in values[source]]
                    relayed += sum(active)
            found[name] = SynOps(arrived, relayed, int(analog))
        if isinstance(node, IF):
            spikes[name], kind[name] = np.array(values[name]), np.zeros(size, int)
        elif isinstance(node, SpikeMaxPool):
            marks = [kind[node.inputs[0]][row != 0].max(initial=0) for row in windows(node, shapes[0])]
            spikes[name], kind[name] = np.array(values[name]), np.array(marks)
        elif node.weighted:
            spikes[name], kind[name] = np.zeros((STEPS, size)), np.full(size, 2)
        elif isinstance(node, Concat):
            spikes[name] = np.concatenate([spikes[i] for i in node.inputs], axis=1)
            kind[name] = np.concatenate([kind[i] for i in node.inputs])
        elif isinstance(node, Add):
            spikes[name] = sum(spikes[i] for i in node.inputs)
            kind[name] = np.max([kind[i] for i in node.inputs], axis=0)
        elif not isinstance(node, Output):
            matrix = reach(node, shapes[0])
            spikes[name] = spikes[node.inputs[0]] @ matrix.T
            kind[name] = np.array([kind[node.inputs[0]][row != 0].max(initial=0) for row in matrix])
    return found


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("events", [False, True])
def test_random_networks_against_every_connection_and_value(seed: int, events: bool) -> None:
    drawn = Drawn(seed)
    graph = drawn.graph()
    x = np.round(drawn.random.normal(size=(2, 5, 4)), 1).astype(np.float32) * (drawn.random.random((2, 5, 4)) < 0.6)
    run = Simulation(graph).run(torch.from_numpy(x[None]), STEPS, Constant(), record=("nonzero",))
    counts = {name: count[0].double().numpy() for name, count in run.counts.items()}
    nonzero = {name: steps[0].double().numpy() for name, steps in run.nonzero.items()}
    if events:
        counts["input"] = nonzero["input"]
    found, expected = synops(graph, counts, nonzero, STEPS), by_hand(graph, x, events)
    assert set(found) == set(expected)
    for name, one in expected.items():
        assert found[name].input_connections == one.input_connections, name
        assert found[name].relayed == one.relayed, name
        assert found[name].spikes == pytest.approx(one.spikes), name


def bottlenecks(depth: int) -> Graph:
    """MobileNet's way: expand, filter, project, and add what came in, with no neurons behind the projection."""
    b = Builder(0, (4, 6, 6))
    at = b.conv(6)
    for _ in range(depth):
        b.conv(24, 1, 1, ((0, 0), (0, 0)))
        b.relu(ceiling=6.0)
        b.conv(24, groups=24)
        b.relu(ceiling=6.0)
        projected = b.conv(6, 1, 1, ((0, 0), (0, 0)))
        at = b.sum(at, projected)
    b.relu()
    return b.graph()


@pytest.mark.parametrize("engine", ["reference", "event"])
def test_never_more_than_every_connection_at_every_step(engine: str) -> None:
    """Residual chains of linear bottlenecks, where events used to be multiplied from layer to layer."""
    graph = bottlenecks(5)
    x = np.random.default_rng(0).random((4, 4, 6, 6)).astype(np.float32)
    folded, _ = sw.prepare(graph)
    method = sw.threshold_method("max")
    spiking = sw.convert(graph, sw.calibrate(folded, x, [method]).scales(method))
    measures = sw.measure(spiking, x, 16, engine=engine)
    graph = spiking.spiking
    connections = {node.name: graph.macs(node) for node in graph if node.weighted}
    assert any(layer.relayed for layer in measures.synops.values())
    for name, layer in measures.synops.items():
        assert layer.spikes + layer.relayed <= 16 * connections[name], name
    assert measures.total_synops <= 16 * sum(connections.values())
    relayed = sum(layer.relayed for layer in measures.synops.values())
    assert measures.summary()["relayed_synops_per_sample"] == relayed > 0
    assert measures.energy_spiking == Energy().spiking(measures.synops, 16)


def test_a_relay_costs_multiply_accumulates() -> None:
    layers = {"a": SynOps(1000.0, 50.0, 0), "b": SynOps(0.0, 0.0, 10)}
    assert Energy().spiking(layers, 8) == pytest.approx((1000 * 0.9 + (50 + 80) * 4.6) / 1000)
    assert layers["a"].total == 1050


def test_several_spikes_at_once_count_each() -> None:
    ones = np.ones(())
    graph = Graph(
        [
            Input(name="x", shape=(2,)),
            IF(name="a", inputs=("x",), threshold=ones, v_init=0 * ones, max_spikes=None),
            IF(name="b", inputs=("x",), threshold=ones, v_init=0 * ones, max_spikes=None),
            Add(name="sum", inputs=("a", "b")),
            Linear(name="dense", inputs=("sum",), weight=np.ones((3, 2)), bias=np.zeros(3)),
            Output(name="y", inputs=("dense",)),
        ]
    )
    counts = {"a": np.array([3.0, 0]), "b": np.array([3.0, 1])}
    assert synops(graph, counts)["dense"] == SynOps(3 * 7, 0, 0)
