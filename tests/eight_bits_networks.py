"""Networks whose weights round to known ones of 8 bits, and a network with every kind of layer that has weights."""

from __future__ import annotations

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines import round_weights
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    ChannelAffine,
    Conv,
    ConvTranspose,
    Flatten,
    Input,
    Linear,
    Output,
    Reshape,
)

UNIT = 1 / 64
"""The scale of all channels of ``beside``: 8 · 2^−9, of which the largest weight is 120."""


def beside(graph: Graph, encoder: Encoder, seed: int) -> tuple[Graph, Graph]:
    """A network whose weights are multiples of 1/8 below 2, twice: with weights a little beside these where they are
    rounded, and as it is when they are; of every channel one weight is ±15/8, so that its scale is 1/64."""
    random = np.random.default_rng([seed, 8])
    changed = round_weights(graph, encoder).errors
    off: list[Node] = []
    exact: list[Node] = []

    def with_a_largest(weights: Array) -> Array:
        rows = weights.reshape(len(weights), -1) + np.float32(0)  # no zeros with a sign
        place = random.integers(rows.shape[1], size=len(rows))
        rows[np.arange(len(rows)), place] = random.choice([-1.875, 1.875], len(rows))
        return rows.reshape(weights.shape)

    def moved(weights: Array) -> Array:
        noise = random.uniform(-0.49, 0.49, weights.shape) * UNIT
        return np.where(np.abs(weights) == 1.875, weights, weights + noise)

    for node in graph:
        whole = node.reweigh(with_a_largest) if node.name in changed else node
        exact.append(whole)
        off.append(whole.reweigh(moved) if node.name in changed else node)
    return Graph(off, graph.meta), Graph(exact, graph.meta)


def one_of_each(seed: int, unit: float = 0.0) -> tuple[Graph, Array]:
    """A network with convolutions of every kind, transposed ones, linear layers, shortcuts and a relay, and samples.

    Args:
        seed: of all that is drawn.
        unit: weights are multiples of it; any floats where it is 0.
    """
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> Array:
        drawn = random.normal(size=shape) / 2
        return (np.clip(np.rint(drawn / unit), -8, 8) * unit if unit else drawn).astype(np.float32)

    def window(axes: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> dict[str, object]:
        return {"stride": (stride,) * axes, "padding": ((pad, pad),) * axes, "dilation": (dilation,) * axes}

    def biases(count: int) -> Array:
        return (random.integers(0, 5, count) / 16).astype(np.float32)

    def neurons(name: str, source: str, **settings: object) -> IF:
        return IF(name=name, inputs=(source,), threshold=1.0, v_init=0.5, **settings)

    nodes: list[Node] = [
        Input(name="x", shape=(2, 6, 6)),
        Conv(name="first", inputs=("x",), weight=weights(6, 2, 3, 3), bias=biases(6), **window(2, pad=1)),
        neurons("n0", "first"),
        Conv(name="deep", inputs=("n0",), weight=weights(6, 1, 3, 3), bias=biases(6), groups=6, **window(2, pad=1)),
        ChannelAffine(name="shortcut", inputs=("n0",), scale=weights(6, 6, 6), bias=np.zeros(6)),
        Add(name="sum", inputs=("deep", "shortcut")),
        neurons("n1", "sum", max_spikes=4),
        Conv(name="grouped", inputs=("n1",), weight=weights(8, 3, 1, 1), bias=biases(8), groups=2, **window(2)),
        Conv(name="relayed", inputs=("grouped",), weight=weights(4, 8, 3, 3), bias=biases(4), **window(2, pad=1)),
        neurons("n2", "relayed", signed=True),
        ConvTranspose(name="up", inputs=("n2",), weight=weights(4, 3, 2, 2), bias=biases(6), groups=2, **window(2, 2)),
        LIF(name="n3", inputs=("up",), threshold=1.0, v_init=0.5, leak=0.5),
        Reshape(name="lines", inputs=("n3",), shape=(6, 144)),
        Conv(name="line", inputs=("lines",), weight=weights(5, 6, 4), bias=biases(5), **window(1, 3, dilation=2)),
        neurons("n4", "line"),
        Reshape(name="cubes", inputs=("n3",), shape=(3, 6, 6, 8)),
        Conv(name="cube", inputs=("cubes",), weight=weights(2, 3, 2, 2, 2), bias=biases(2), **window(3, 2)),
        neurons("n5", "cube"),
        Flatten(name="flat", inputs=("n5",)),
    ]
    nodes.append(
        Linear(name="full", inputs=("flat",), weight=weights(7, Graph(nodes).shapes["flat"][0]), bias=biases(7))
    )
    nodes += [
        neurons("n6", "full"),
        Linear(name="read", inputs=("n6",), weight=weights(3, 7), bias=biases(3)),
        Output(name="y", inputs=("read",)),
        Output(name="lines_out", inputs=("n4",)),
    ]
    return Graph(nodes), (random.integers(0, 9, (2, 2, 6, 6)) / 8).astype(np.float32)
