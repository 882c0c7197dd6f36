"""Random networks of layers that gather in the event engine; all sums are exact in single precision."""

from __future__ import annotations

import numpy as np

from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, Add, AvgPool, Conv, Flatten, Input, Linear, Output, SpikeMaxPool

KINDS: dict[str, dict[str, object]] = {
    "single": {},
    "signed": {"signed": True},
    "bursts": {"max_spikes": 4},
    "signed bursts": {"signed": True, "max_spikes": 4},
    "any number": {"max_spikes": None},
    "signed, any number": {"signed": True, "max_spikes": None},
    "more than trains hold": {"signed": True, "max_spikes": 20},
    "without debt": {"no_debt": True, "max_spikes": None},
}


class Bottlenecks:
    """Draws networks of bottlenecks without rectifiers; all sums are exact in single precision."""

    def __init__(self, seed: int, kind: str, scale: float) -> None:
        self.random, self.kind, self.scale = np.random.default_rng(seed), kind, scale
        self.nodes: list[Node] = []

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    @property
    def name(self) -> str:
        return f"node{len(self.nodes)}"

    def weights(self, *shape: int) -> Array:
        return (self.random.integers(-3, 4, shape) / 8 * (self.random.random(shape) < 0.7)).astype(np.float32)

    def conv(
        self, at: str, channels: int, filters: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> str:
        low = dilation * (kernel // 2)
        weight, bias = self.weights(filters, channels // groups, kernel, kernel), self.weights(filters)
        settings = {"stride": (stride,) * 2, "dilation": (dilation,) * 2, "padding": ((low, low),) * 2}
        return self.add(Conv(name=self.name, inputs=(at,), weight=weight, bias=bias, groups=groups, **settings))

    def neurons(self, at: str) -> str:
        return self.add(IF(name=self.name, inputs=(at,), threshold=self.scale, v_init=0.25, **KINDS[self.kind]))

    def network(self) -> tuple[Graph, Array]:
        random = self.random
        pick = lambda *values: int(random.choice(values))  # noqa: E731
        narrow, wide, size = pick(1, 3, 8, 17, 33), pick(5, 16, 40), pick(5, 7, 12)
        at = self.add(Input(name="input", shape=(2, size, size)))
        at = self.neurons(self.conv(at, 2, wide, 3))
        at = self.neurons(self.conv(at, wide, wide, 3, pick(1, 2), pick(1, 2), groups=wide))
        before = at = self.conv(at, wide, narrow, 1)
        for _ in range(2):
            at = self.neurons(self.conv(at, narrow, wide, pick(1, 3)))
            at = self.neurons(self.conv(at, wide, wide, 3, 1, pick(1, 2), groups=wide))
            at = self.conv(at, wide, narrow, 1)
            before = at = self.add(Add(name=self.name, inputs=(at, before)))
        at = self.conv(at, narrow, narrow, 3, pick(1, 2), groups=narrow)  # channels of graded values, each by itself
        if random.random() < 0.5:
            at = self.add(AvgPool(name=self.name, inputs=(at,), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2))
        at = self.neurons(self.conv(at, narrow, 2 * narrow, 1, groups=narrow))
        at = self.conv(at, 2 * narrow, 3, 1)
        at = self.add(Flatten(name=self.name, inputs=(at,)))
        values = Graph(self.nodes).shapes[at][0]
        at = self.neurons(
            self.add(Linear(name=self.name, inputs=(at,), weight=self.weights(9, values), bias=self.weights(9)))
        )
        self.add(Output(name="output", inputs=(at,)))
        return Graph(self.nodes), (random.integers(0, 9, (2, 2, size, size)) / 8).astype(np.float32)


def many_spikes(seed: int, kind: str) -> tuple[Graph, Array]:
    """A few layers whose first sends up to hundreds of spikes a step, into convolutions, pools and a linear layer."""
    made = Bottlenecks(seed, kind, 1 / 16)
    channels = int(made.random.choice([3, 17]))
    at = made.add(Input(name="input", shape=(2, 6, 6)))
    first = made.neurons(made.conv(at, 2, channels, 3))
    made.scale = 8.0
    at = made.neurons(made.conv(first, channels, channels, 3, groups=channels))
    pads = {"stride": (2, 2), "padding": ((0, 0),) * 2}
    if seed % 2:
        at = made.add(SpikeMaxPool(name="pool", inputs=(at,), kernel=(2, 2), dilation=(1, 1), **pads))
    else:
        at = made.add(AvgPool(name="pool", inputs=(at,), kernel=(2, 2), **pads))
    at = made.neurons(made.conv(at, channels, 5, 3))
    at = made.add(Flatten(name="flat", inputs=(at,)))
    at = made.neurons(made.add(Linear(name="full", inputs=(at,), weight=made.weights(7, 45), bias=made.weights(7))))
    made.add(Output(name="output", inputs=(at,)))
    return Graph(made.nodes), (made.random.integers(0, 9, (2, 2, 6, 6)) / 8).astype(np.float32)


def residual(seed: int, grid: float) -> tuple[Graph, np.ndarray]:
    """A small residual network; weights are multiples of ``grid``, and sums stay below eight thresholds."""
    random = np.random.default_rng(seed)
    channels, width = int(random.choice([3, 16, 40, 70])), int(random.integers(5, 20))

    def weight(*shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:]))
        drawn = random.normal(size=shape) / np.sqrt(fan_in) * 1.5
        return (np.round(drawn / grid) * grid).astype(np.float32)

    def conv(name: str, source: str, inputs: int, kernel: int, stride: int = 1) -> Conv:
        pad = kernel // 2
        return Conv(
            name=name,
            inputs=(source,),
            weight=weight(channels, inputs, kernel, kernel),
            bias=np.round(random.normal(size=channels) / 8 / grid) * grid,
            stride=(stride, stride),
            padding=((pad, pad), (pad, pad)),
            dilation=(1, 1),
            groups=1,
        )

    def neurons(name: str, source: str) -> IF:
        thresholds = random.choice([0.5, 1.0, 2.0], channels).astype(np.float32)
        return IF(name=name, inputs=(source,), threshold=thresholds, v_init=thresholds / 2)

    pool = AvgPool(name="pool", inputs=("n2",), kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
    nodes = [
        Input(name="x", shape=(2, width, width)),
        conv("c0", "x", 2, 3),
        neurons("n0", "c0"),
        conv("c1", "n0", channels, 3),
        neurons("n1", "c1"),
        conv("c2", "n1", channels, 5 if width > 8 else 1),
        conv("skip", "n0", channels, 1),
        Add(name="sum", inputs=("c2", "skip")),
        neurons("n2", "sum"),
        pool,
        conv("c3", "pool", channels, 3, stride=2),
        neurons("n3", "c3"),
        Flatten(name="flat", inputs=("n3",)),
    ]
    flat = Graph(nodes).shapes["flat"][0]
    nodes += [
        Linear(name="read", inputs=("flat",), weight=weight(4, flat), bias=np.zeros(4)),
        Output(name="y", inputs=("read",)),
    ]
    x = np.round(random.random((3, 2, width, width)) * 8).astype(np.float32) / 8
    return Graph(nodes), x
