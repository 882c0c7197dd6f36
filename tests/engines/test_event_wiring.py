"""Operators that say how they move or connect values run on the event engine as they are, whatever their size."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from runs import same
from spikewright.connections import Connections, inside
from spikewright.encoders.constant import Constant
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, AdaptiveAvgPool, BatchNorm, Conv, ConvTranspose, GlobalAvgPool, Input, Output

ADDING = Path(__file__).parents[2] / "docs" / "adding.md"


def flip() -> type[Node]:
    """The node of the docs, exactly as they have it."""
    block = next(b for b in re.findall(r"```python\n(.*?)```", ADDING.read_text(), re.DOTALL) if "class Flip" in b)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(block, str(ADDING), "exec"), names)
    return names["Flip"]


def coarse(random: np.random.Generator, *shape: int) -> np.ndarray:
    return (random.integers(-4, 5, shape) / 8).astype(np.float32)


def conv(name: str, source: str, inputs: int, outputs: int, seed: int) -> Conv:
    random = np.random.default_rng(seed)
    settings = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    weight, bias = coarse(random, outputs, inputs, 3, 3), coarse(random, outputs)
    return Conv(name=name, inputs=(source,), weight=weight, bias=bias, **settings)


def neurons(name: str, source: str) -> IF:
    return IF(name=name, inputs=(source,), threshold=np.ones(()), v_init=np.full((), 0.5))


def both(graph: Graph, timesteps: int = 4, batch: int = 1) -> None:
    random = np.random.default_rng(1)
    x = torch.from_numpy(random.integers(0, 9, (batch, *graph.sample_shape)).astype(np.float32) / 8)
    records = ("spikes", "nonzero")
    found = EventSimulation(graph).run(x, timesteps, Constant(), records)
    same(graph, Simulation(graph).run(x, timesteps, Constant(), records), found)
    assert any(count.any() for count in found.counts.values())


def between(node: Node, channels: int, side: int, read: int | None = None) -> Graph:
    """A node between the neurons of one convolution and another convolution."""
    read = channels if read is None else read
    return Graph(
        [
            Input(name="x", shape=(2, side, side)),
            conv("first", "x", 2, channels, 0),
            neurons("a", "first"),
            node,
            conv("second", node.name, read, 8, 1),
            neurons("b", "second"),
            Output(name="y", inputs=("b",)),
        ]
    )


def test_the_flip_of_the_docs_is_set_up_in_no_time() -> None:
    graph = between(flip()(name="turned", inputs=("a",), axis=2), channels=64, side=32)
    started = time.process_time()
    EventSimulation(graph)
    assert time.process_time() - started < 1
    both(graph, timesteps=2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_along_every_axis(axis: int) -> None:
    both(between(flip()(name="turned", inputs=("a",), axis=axis), channels=6, side=7))


def decoder(side: int, wide: int, narrow: int) -> Graph:
    """The way up of a U-Net: neurons, a transposed convolution, and the layer that reads it."""
    random = np.random.default_rng(2)
    weight, bias = coarse(random, wide, narrow, 2, 2), coarse(random, narrow)
    settings = {"stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    up = ConvTranspose(name="up", inputs=("a",), weight=weight, bias=bias, **settings)
    return Graph(
        [
            Input(name="x", shape=(2, side, side)),
            conv("first", "x", 2, wide, 0),
            neurons("a", "first"),
            up,
            neurons("b", "up"),
            conv("second", "b", narrow, 3, 1),
            Output(name="y", inputs=("second",)),
        ]
    )


def test_the_decoder_of_a_u_net() -> None:
    """ConvTranspose2d(64, 32, 2, 2) at 28 x 28 was refused for its 50176 x 100352 possible connections."""
    both(decoder(28, 64, 32), timesteps=2)


@pytest.mark.parametrize("seed", range(30))
def test_any_transposed_convolution(seed: int) -> None:
    random = np.random.default_rng(seed)
    axes = int(random.integers(1, 4))
    groups = int(random.choice([1, 1, 2]))
    inputs, outputs = 2 * groups, 3 * groups
    kernel, stride, dilation = (tuple(random.integers(1, most, axes).tolist()) for most in (4, 4, 3))
    length = tuple(random.integers(2, 5, axes).tolist())
    padding = []
    for n, k, s, d in zip(length, kernel, stride, dilation, strict=True):
        whole = (n - 1) * s + d * (k - 1) + 1
        low = int(random.integers(0, min(3, whole)))
        padding.append((low, int(random.integers(-1, min(3, whole - low)))))
    up = ConvTranspose(
        name="up",
        inputs=("a",),
        weight=coarse(random, inputs, outputs // groups, *kernel),
        bias=coarse(random, outputs),
        stride=stride,
        padding=tuple(padding),
        dilation=dilation,
        groups=groups,
    )
    graph = Graph(
        [
            Input(name="x", shape=(inputs, *length)),
            neurons("a", "x"),
            up,
            neurons("b", "up"),
            Output(name="y", inputs=("b",)),
        ]
    )
    both(graph, timesteps=6, batch=2)


class Scatter(Node):
    """A node from elsewhere that connects as no kind of ours does: each value to every second place, with a weight."""

    weighted = True

    def infer_shape(self, *inputs):
        return (2, *inputs[0][1:])

    def bind(self, to_tensor):
        weight = to_tensor(self.matrix())

        def forward(x):
            return torch.einsum("fct,bcnt->bfn", weight, self.windows(x))

        return forward

    @staticmethod
    def matrix() -> np.ndarray:
        return (np.arange(2 * 3 * 2).reshape(2, 3, 2) / 8 - 0.5).astype(np.float32)

    @staticmethod
    def windows(x):
        n = x.shape[2]
        return torch.stack([x, torch.nn.functional.pad(x, (0, 2))[..., 2 : n + 2]], dim=-1)

    def connections(self, *inputs):
        n = inputs[0][1]
        taps = inside(np.arange(n)[:, None] + np.array([0, 2]), n)
        return Connections(inputs[0], self.infer_shape(*inputs), (taps,), kernel=self.matrix()[None])


def test_a_connecting_node_from_elsewhere() -> None:
    graph = Graph(
        [
            Input(name="x", shape=(3, 9)),
            neurons("a", "x"),
            Scatter(name="odd", inputs=("a",)),
            neurons("b", "odd"),
            Output(name="y", inputs=("b",)),
        ]
    )
    both(graph, timesteps=8)
    assert graph.macs("odd") == 2 * 3 * (9 + 7)
    np.testing.assert_array_equal(graph["odd"].fan_out((3, 9))[0], np.tile([2, 2, 4, 4, 4, 4, 4, 4, 4], (3, 1)))


@pytest.mark.parametrize(
    "node",
    [
        AdaptiveAvgPool(name="n", inputs=("a",), size=(4, 2)),
        GlobalAvgPool(name="n", inputs=("a",)),
        BatchNorm(
            name="n",
            inputs=("a",),
            mean=np.arange(4) / 8,
            variance=np.ones(4),
            gamma=np.array([1, 0.5, -1, 2]),
            beta=np.ones(4) / 4,
            epsilon=0.0,
        ),
    ],
    ids=lambda node: node.type,
)
def test_what_adds_up_or_scales(node: Node) -> None:
    graph = Graph(
        [
            Input(name="x", shape=(4, 8, 4)),
            neurons("a", "x"),
            node,
            neurons("b", "n"),
            Output(name="y", inputs=("b",)),
        ]
    )
    both(graph, timesteps=8)
