"""Networks in each of which one rewrite is made, and what says that it keeps the function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from stepped import stepped

import spikewright as sw
from networks import Builder
from spikewright.chips.chip import Speck
from spikewright.chips.known import chip
from spikewright.chips.network import ChipNetwork
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Output

found_chip = chip("speck2f")
assert isinstance(found_chip, Speck)
SPECK: Speck = found_chip
T = 6


def average_pool(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.avg_pool()
    b.conv(5)


def pool_that_leaves_rows_over(b: Builder) -> None:
    b.conv(4, padding=((0, 0), (1, 1)))  # 6 rows become 3, 3 become 1
    b.relu()
    b.avg_pool()
    b.avg_pool()
    b.conv(3, kernel=1, padding=((0, 0), (0, 0)))


def dense_layer(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.flatten()
    b.linear(6)


def dense_layer_behind_a_map_that_is_not_square(b: Builder) -> None:
    b.conv(4, kernel=2, padding=((0, 0), (1, 1)), stride=2)  # 4 x 5
    b.relu()
    b.flatten()
    b.linear(6)


def depthwise(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.conv(8, groups=4)


def dilated(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.conv(5, dilation=2)


def zeros_on_one_side(b: Builder) -> None:
    b.conv(4, stride=2, padding=((0, 1), (0, 1)))
    b.relu()
    b.conv(5, padding=((0, 1), (1, 0)))


def global_pool(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.conv(5, stride=3)
    b.relu()
    b.global_pool()
    b.flatten()
    b.linear(3)


def identity_shortcut(b: Builder) -> None:
    b.conv(4)
    start = b.relu()
    b.conv(3)
    b.relu()
    b.conv(4)
    b.norm()
    b.sum(b.at, start)


def shortcut_around_one_layer(b: Builder) -> None:
    b.conv(4)
    start = b.relu()
    b.sum(b.conv(4), start)


def shortcut_with_weights_and_the_same_stride(b: Builder) -> None:
    b.conv(4)
    start = b.relu()
    b.conv(5, stride=2)
    branch, b.at = b.at, start
    b.conv(5, kernel=1, stride=2, padding=((0, 0), (0, 0)))
    b.sum(branch, b.at)


def concatenation(b: Builder) -> None:
    b.conv(4)
    one = b.relu()
    b.conv(5)
    b.concat(one, b.relu())
    b.conv(4)


def flattened_channels_last(b: Builder) -> None:
    b.conv(4)
    b.relu()
    b.permute(1, 2, 0)
    b.flatten()
    b.linear(5)


CASES: dict[Callable[[Builder], None], tuple[str, ...]] = {
    average_pool: ("average pool as a sum pool, weights divided",),
    pool_that_leaves_rows_over: ("rows and columns that a pool leaves over are dropped",),
    dense_layer: ("dense layer as a convolution",),
    dense_layer_behind_a_map_that_is_not_square: (
        "kernel padded to a square with zeros",
        "dense layer as a convolution",
    ),
    depthwise: ("groups of channels written out",),
    dilated: ("dilated kernel filled with zeros",),
    zeros_on_one_side: (),
    global_pool: ("pool written into the kernel",),
    identity_shortcut: ("sum by a shift of channels, the shortcut's factors in the kernel",),
    shortcut_around_one_layer: ("sum written into one kernel",),
    shortcut_with_weights_and_the_same_stride: ("sum written into one kernel",),
    concatenation: ("concatenation as a shift of channels",),
    flattened_channels_last: ("dense layer as a convolution",),
}


def converted(build: Callable[[Builder], None], method: str = "max", **settings: object) -> tuple[sw.Conversion, Array]:
    b = Builder(1, (2, 8, 8))
    build(b)
    b.relu()
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,))])
    x = np.abs(b.samples(3))
    return sw.convert(graph, x, method, readout="count", **settings), x  # type: ignore[arg-type]


def same_spikes(graph: Graph, network: ChipNetwork, x: Array) -> None:
    """Every population of a spiking network sends just what the layers of a chip send, in steps."""
    run = sw.simulate(graph, x, T, record="spikes", engine="reference", dtype="float64", quiet=True)
    caps = {node.name: node.max_spikes for node in graph.of_type(IF)}
    for k, sample in enumerate(x):
        found = stepped(network, {network.inputs[0].name: sample.astype(np.float64)}, T, caps)
        for name, spikes in found.items():
            assert np.array_equal(spikes.reshape(T, -1), run.spikes[name][k].reshape(T, -1)), name
    assert any(spikes.any() for spikes in run.spikes.values())
