"""The topologies that users of SNN Toolbox show, from Keras to the graph: counts against those of the shapes alone.

The expected numbers are made by loops over positions and taps of each layer, which know nothing of graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.nodes import MaxPool, ReLU
from spikewright.synapse_graph import Synapses, synapses

keras = pytest.importorskip("keras")
L = keras.layers


def extent(length: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Outputs of a window that slides, and how many of all its taps lie inside, along one axis."""
    outputs = -(-length // stride) if padding == "same" else (length - kernel) // stride + 1
    before = max((outputs - 1) * stride + kernel - length, 0) // 2 if padding == "same" else 0
    taps = sum(0 <= o * stride + k - before < length for o in range(outputs) for k in range(kernel))
    return outputs, taps


@dataclass
class Stack:
    """A Keras network under construction, and what is counted of it from shapes."""

    shape: tuple[int, ...]
    neurons: list[int] = field(default_factory=list)
    synapses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.at = L.Input(self.shape)
        self.neurons.append(int(np.prod(self.shape)))

    def _window(self, kernel: int, stride: int, padding: str) -> tuple[int, int, int]:
        (rows, down), (columns, across) = (extent(n, kernel, stride, padding) for n in self.shape[:2])
        return rows, columns, down * across

    def conv(
        self, filters: int, kernel: int, stride: int = 1, padding: str = "same", groups: int = 1, norm: bool = False
    ) -> Stack:
        rows, columns, taps = self._window(kernel, stride, padding)
        made = L.Conv2D(filters, kernel, stride, padding, groups=groups, activation=None if norm else "relu")
        self.at = made(self.at)
        if norm:
            self.at = L.Activation("relu")(L.BatchNormalization()(self.at))
        self.synapses.append(taps * self.shape[2] // groups * filters)
        self.neurons.append(rows * columns * filters)
        self.shape = (rows, columns, filters)
        return self

    def pool(self, kernel: int = 2, stride: int | None = None, kind: str = "max", padding: str = "valid") -> Stack:
        rows, columns, taps = self._window(kernel, stride or kernel, padding)
        layer = {"max": L.MaxPooling2D, "mean": L.AveragePooling2D}[kind]
        self.at = layer(kernel, stride or kernel, padding)(self.at)
        self.synapses.append(taps * self.shape[2])
        self.neurons.append(rows * columns * self.shape[2])
        self.shape = (rows, columns, self.shape[2])
        return self

    def up(self, factor: int = 2) -> Stack:
        self.at = L.UpSampling2D(factor)(self.at)
        self.shape = (self.shape[0] * factor, self.shape[1] * factor, self.shape[2])
        return self

    def mean(self) -> Stack:
        """Of every channel, which joins each of its neurons to one."""
        self.at = L.GlobalAveragePooling2D()(self.at)
        self.synapses.append(int(np.prod(self.shape)))
        self.shape = self.shape[2:]
        self.neurons.append(self.shape[0])
        return self

    def fire(self, squeeze: int, expand: int) -> Stack:
        """A layer of SqueezeNet: a narrow one, then two beside each other, joined."""
        self.conv(squeeze, 1)
        narrow, shape = self.at, self.shape
        self.conv(expand, 1)
        left, self.at, self.shape = self.at, narrow, shape
        self.conv(expand, 3)
        self.at = L.Concatenate()([left, self.at])
        self.shape = (*shape[:2], 2 * expand)
        return self

    def dense(self, units: int, activation: str = "relu") -> Stack:
        if len(self.shape) > 1:
            self.at = L.Flatten()(self.at)
        self.synapses.append(int(np.prod(self.shape)) * units)
        self.shape = (units,)
        self.neurons.append(units)
        self.at = L.Dense(units, activation=activation)(L.Dropout(0.5)(self.at))
        return self

    def model(self) -> Any:
        return keras.Model(self.start, self.at)


def mlp() -> Stack:
    return Stack((28, 28, 1)).dense(512).dense(512).dense(10, "softmax")


def lenet() -> Stack:
    stack = Stack((28, 28, 1)).conv(6, 5).pool(kind="mean").conv(16, 5, padding="valid").pool(kind="mean")
    return stack.dense(120).dense(84).dense(10, "softmax")


def mnist_cnn() -> Stack:
    return Stack((28, 28, 1)).conv(16, 3).conv(32, 3, 2).pool().dense(128).dense(10, "softmax")


def autoencoder() -> Stack:
    stack = Stack((28, 28, 1)).conv(16, 3).pool().conv(8, 3).pool()
    stack.conv(8, 3).up().conv(16, 3).up()
    rows, columns, taps = stack._window(3, 1, "same")
    stack.at = L.Conv2D(1, 3, padding="same", activation="sigmoid")(stack.at)
    stack.synapses.append(taps * 16)
    stack.neurons.append(rows * columns)
    return stack


def cifar10_cnn() -> Stack:
    stack = Stack((32, 32, 3)).conv(32, 3, norm=True).conv(32, 3, padding="valid", norm=True).pool()
    stack.conv(64, 3, norm=True).conv(64, 3, padding="valid", norm=True).pool()
    return stack.dense(512).dense(10, "softmax")


def squeezenet() -> Stack:
    stack = Stack((224, 224, 3)).conv(64, 3, 2, "valid").pool(3, 2).fire(16, 64).fire(16, 64).pool(3, 2)
    stack.fire(32, 128).fire(32, 128).pool(3, 2).fire(48, 192).fire(48, 192).fire(64, 256).fire(64, 256)
    return stack.mean().dense(1000, "softmax")


def alexnet() -> Stack:
    stack = Stack((227, 227, 3)).conv(96, 11, 4, "valid").pool(3, 2).conv(256, 5, groups=2).pool(3, 2)
    stack.conv(384, 3).conv(384, 3, groups=2).conv(256, 3, groups=2).pool(3, 2)
    return stack.dense(4096).dense(4096).dense(1000, "softmax")


def gesture_cnn() -> Stack:
    stack = Stack((128, 128, 2)).pool(4, kind="mean").conv(16, 5).pool(kind="mean").conv(32, 3).pool(kind="mean")
    return stack.dense(512).dense(11, "softmax")


def fruits_cnn() -> Stack:
    stack = Stack((100, 100, 3))
    for filters in (16, 32, 64, 128):
        stack.conv(filters, 5).pool()
    return stack.dense(1024).dense(256).dense(131, "softmax")


SMALL = (mlp, lenet, mnist_cnn, autoencoder, cifar10_cnn, gesture_cnn, fruits_cnn)
LARGE = (squeezenet, alexnet)


def converted(stack: Stack) -> Synapses:
    """The graph of the network, every threshold one."""
    graph = sw.load(stack.model(), verify=False)
    folded, _ = sw.prepare(graph)
    scales = {node.name: np.array(1.0) for node in folded if isinstance(node, ReLU | MaxPool)}
    return synapses(sw.convert(graph, scales))


@pytest.mark.parametrize("make", [*SMALL, *LARGE], ids=lambda make: make.__name__)
def test_neurons_and_synapses_are_those_of_the_shapes(make: Callable[[], Stack]) -> None:
    stack = make()
    graph = converted(stack)
    assert [group.neurons for group in graph.groups.values()] == stack.neurons
    assert len(graph) == sum(stack.synapses)
    summary = graph.summary()
    assert (summary.neurons, summary.synapses) == (sum(stack.neurons), sum(stack.synapses))


def test_the_numbers_of_a_few_by_hand() -> None:
    """So that the loops above are seen to be right."""
    stack = lenet()
    assert stack.neurons == [784, 4704, 1176, 1600, 400, 120, 84, 10]
    assert stack.synapses[1:] == [4704, 10 * 10 * 16 * 25 * 6, 1600, 48000, 10080, 840]
    assert stack.synapses[0] == 6 * (28 * 5 - 6) ** 2  # two rows lack two taps and two lack one, on each axis
    assert mlp().synapses == [784 * 512, 512 * 512, 5120]
    assert extent(227, 11, 4, "valid") == (55, 55 * 11)
    assert extent(13, 3, 1, "same") == (13, 37)
    assert extent(128, 3, 2, "same") == (64, 191)


@pytest.mark.parametrize("make", [mlp, lenet, mnist_cnn, gesture_cnn], ids=lambda make: make.__name__)
def test_written_there_is_a_pin_for_every_synapse(make: Callable[[], Stack], tmp_path: Path) -> None:
    stack = make()
    header, _, pins = converted(stack).write(tmp_path / "net.hgr").read_bytes().partition(b"\n")
    edges, neurons = map(int, header.split())
    assert neurons == sum(stack.neurons)
    assert edges == pins.count(b"\n") <= sum(stack.neurons[:-1])  # of neurons that reach another
    assert pins.count(b" ") == sum(stack.synapses)  # behind the source itself
