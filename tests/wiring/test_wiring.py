"""Groups, paths, projections and segments of whole networks."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from networks import ALL, Builder
from spikewright.connections import Connections
from spikewright.encoders.constant import Constant
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.event.windows import Window, slides, window_of
from spikewright.engines.reference import Simulation
from spikewright.errors import GraphError
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import IF, AvgPool, Conv, ConvTranspose, Flatten, Input, Linear, Output
from spikewright.preparation import prepare
from spikewright.wiring import ends, groups, paths, projections, segments


def small() -> Graph:
    """Neurons, a convolution, neurons, a mean over windows, a dense layer."""
    once = {"stride": (1, 1), "dilation": (1, 1)}
    weight = np.arange(4 * 2 * 9, dtype=np.float32).reshape(4, 2, 3, 3)
    conv = Conv(name="conv", inputs=("x",), weight=weight, bias=np.zeros(4), padding=((1, 1), (1, 1)), **once)
    return Graph(
        [
            Input(name="x", shape=(2, 6, 6)),
            conv,
            IF(name="a", inputs=("conv",), threshold=1.0, v_init=0.5),
            AvgPool(name="mean", inputs=("a",), kernel=(6, 6), stride=(6, 6), padding=((0, 0), (0, 0))),
            Flatten(name="flat", inputs=("mean",)),
            Linear(name="fc", inputs=("flat",), weight=np.ones((3, 4)), bias=np.zeros(3)),
            Output(name="y", inputs=("fc",)),
        ]
    )


def test_a_chip_mapper_reads_groups_and_projections() -> None:
    graph = small()
    assert {name: (g.kind, g.shape) for name, g in groups(graph).items()} == {
        "x": ("input", (2, 6, 6)),
        "a": ("spiking", (4, 6, 6)),
        "mean": ("pool", (4, 1, 1)),
        "y": ("output", (3,)),
    }
    found = {p.name: p for p in projections(graph)}
    assert list(found) == ["x > conv > a", "a > mean", "mean > fc > y"]
    conv = found["x > conv > a"]
    assert (conv.path.source.name, conv.path.dest.name, conv.path.through) == ("x", "a", ("conv",))
    assert conv.synapses == 2 * 4 * 16**2
    assert conv.weights == 4 * 2 * 9
    np.testing.assert_array_equal(np.unique(conv.fan_in()), [8, 12, 18])
    np.testing.assert_array_equal(np.unique(conv.fan_out()), [16, 24, 36])
    assert found["a > mean"].weights == 0
    assert found["mean > fc > y"].weights == 12
    assert str(conv) == (
        "x (input, 2×6×6, 72 neurons) to a (spiking, 4×6×6, 144 neurons) through conv: 2,048 synapses, 72 weights"
    )
    assert [p.name for p in projections(graph, pools="folded")] == ["x > conv > a", "a > mean > fc > y"]
    assert [(p.source.name, p.dest.name) for p in paths(graph)] == [("x", "a"), ("a", "mean"), ("mean", "y")]


def test_a_trained_network_has_no_synapses() -> None:
    with pytest.raises(GraphError, match="has no spikes; convert the network first"):
        groups(ALL[0](0).graph())


@pytest.mark.parametrize("builder", ALL, ids=lambda b: b.__name__)
def test_segments_hold_every_node_once(builder: type[Builder]) -> None:
    trained = builder(0).graph()
    for graph in (trained, prepare(trained, leaky="split")[0], small()):
        links = [
            (a, b) for s in segments(graph) for a, b in zip((s.source, *s.nodes), (*s.nodes, s.target), strict=True)
        ]
        assert sorted(links) == sorted((name, node.name) for node in graph for name in node.inputs)
        inner = [name for segment in segments(graph) for name in segment.nodes]
        assert sorted([*inner, *(node.name for node in ends(graph))]) == sorted(graph.by_name)


def test_a_window_is_read_off_the_taps() -> None:
    settings = {"bias": np.zeros(3), "stride": (2, 3), "dilation": (1, 2)}
    conv = Conv(name="c", inputs=("x",), weight=np.ones((3, 2, 3, 2)), padding=((1, 0), (0, 2)), **settings)
    assert slides(conv.connections((2, 9, 9))) == (Window(2, 1, 1), Window(3, 0, 2))
    up = ConvTranspose(name="u", inputs=("x",), weight=np.ones((2, 3, 3, 2)), padding=((1, 0), (0, 0)), **settings)
    expected = (Window(1, 1, 1, 2, kernel_reversed=True), Window(1, 2, 2, 3, kernel_reversed=True))
    assert slides(up.connections((2, 9, 9))) == expected
    assert window_of(np.array([[0], [1], [3]]), 4) is None
    assert window_of(np.full((3, 2), -1), 4) is None


def test_a_convolution_from_elsewhere_is_set_up_in_no_time() -> None:
    """37 million connections: listed one by one they would take gigabytes."""
    weight = (np.random.default_rng(0).integers(-4, 5, (64, 64, 3, 3)) / 64).astype(np.float32)

    class Elsewhere(Node):
        weighted = True

        def infer_shape(self, *inputs: Shape) -> Shape:
            return inputs[0]

        def bind(self, to_tensor):
            kernel = to_tensor(weight)
            return lambda x: torch.nn.functional.conv2d(x, kernel, padding=1)

        def connections(self, *inputs: Shape) -> Connections:
            taps = np.arange(32)[:, None] + np.array([-1, 0, 1])
            axis = np.where((taps >= 0) & (taps < 32), taps, -1)
            return Connections(inputs[0], inputs[0], (axis, axis), kernel=weight[None])

    graph = Graph(
        [
            Input(name="x", shape=(64, 32, 32)),
            IF(name="a", inputs=("x",), threshold=1.0, v_init=0.5),
            Elsewhere(name="odd", inputs=("a",)),
            IF(name="b", inputs=("odd",), threshold=1.0, v_init=0.5),
            Output(name="y", inputs=("b",)),
        ]
    )
    started = time.process_time()
    engine = EventSimulation(graph)
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 5, (1, 64, 32, 32)).astype(np.float32) / 8)
    found = engine.run(x, 2, Constant())
    assert time.process_time() - started < 2
    expected = Simulation(graph).run(x, 2, Constant())
    assert (expected.counts["b"] == found.counts["b"]).all()
    assert found.counts["b"].any()
