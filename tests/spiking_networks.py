"""Random spiking networks whose arithmetic is exact in single precision, so that engines can be compared bit by bit.

Weights and inputs are multiples of 1/8, thresholds and pool sizes powers of two: every sum fits 24 bits, whatever the
order in which it is taken.
"""

from __future__ import annotations

import numpy as np

from spikewright.graph import Array, Graph, Node
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    AvgPool,
    BatchNorm,
    ChannelAffine,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Output,
    Pad,
    Permute,
    Reshape,
    SpikeMaxPool,
    SumPool,
    Upsample,
)
from spikewright.nodes._window import window_counts

KINDS = (
    *("conv", "conv", "conv", "neurons", "neurons", "neurons", "max", "sum", "avg"),
    *("affine", "add", "join", "pad", "grow", "permute", "reshape", "again", "norm"),
)
BETWEEN_INPUTS = (*("turn", "turn", "turn", "turn"), *("meet", "meet", "meet", "meet"))


class Spiking:
    """Draws a network block by block; ``depth`` counts weighted nodes since the last neurons, to keep sums exact."""

    def __init__(self, seed: int, inputs: int = 1, memory: bool = False) -> None:
        self.random = np.random.default_rng(seed)
        self.remembered = np.random.default_rng([seed, 1]) if memory else None  # apart: networks stay what they are
        names = ["input", *(f"input{k}" for k in range(1, inputs))]
        self.nodes: list[Node] = [Input(name=name, shape=self.drawn_shape()) for name in names]
        self.depth = dict.fromkeys(names, 1)
        self.kinds = KINDS if inputs == 1 else KINDS + BETWEEN_INPUTS
        self.at = "input"

    def drawn_shape(self) -> tuple[int, ...]:
        axes = int(self.random.integers(0, 4))
        low, high = {0: (4, 10), 1: (4, 12), 2: (4, 9), 3: (3, 5)}[axes]
        channels = int(self.random.choice([1, 2, 3, 8, 9, 33]))
        return (channels, *self.random.integers(low, high, axes).tolist())

    def coarse(self, *shape: int, unit: float = 0.125, most: int = 8) -> Array:
        """Multiples of ``unit``, a third of them zero."""
        drawn = self.random.integers(-most, most + 1, shape) * unit
        return (drawn * (self.random.random(shape) < 0.67)).astype(np.float32)

    def pick(self, *choices: object) -> object:
        return choices[int(self.random.integers(len(choices)))]

    def shape_of(self, name: str) -> tuple[int, ...]:
        return Graph(self.nodes).shapes[name]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shape_of(self.at)

    def add(self, kind: type[Node], inputs: tuple[str, ...] = (), **settings: object) -> None:
        name = f"{kind.__name__.lower()}{len(self.nodes)}"
        inputs = inputs or (self.at,)
        node = kind(name=name, inputs=inputs, **settings)
        Graph([*self.nodes, node])  # refuses what does not fit
        self.nodes.append(node)
        reach = max(self.depth[i] for i in inputs)
        grows = node.weighted or isinstance(node, AvgPool | BatchNorm)
        self.depth[name] = 0 if isinstance(node, IF) else reach + grows
        self.at = name

    def windows(self) -> dict[str, object]:
        """Kernel, stride and padding for the axes at hand."""
        axes = len(self.shape) - 1
        return {
            "kernel": tuple(self.random.integers(1, 4, axes).tolist()),
            "stride": tuple(self.random.integers(1, 3, axes).tolist()),
            "padding": tuple((int(a), int(b)) for a, b in self.random.integers(0, 2, (axes, 2))),
        }

    def conv(self) -> None:
        channels, *spatial = self.shape
        groups = int(self.pick(1, 1, channels, *(g for g in (2, 3) if channels % g == 0)))
        filters = groups * int(self.pick(1, 2, 4)) if groups > 1 else int(self.pick(1, 3, 8, 17, 40))
        window = self.windows()
        weight = self.coarse(filters, channels // groups, *window.pop("kernel"))
        dilation = tuple(self.random.integers(1, 3, len(spatial)).tolist())
        self.add(Conv, weight=weight, bias=self.coarse(filters), dilation=dilation, groups=groups, **window)
        if self.random.random() < 0.2:  # a bias for each output
            self.nodes[-1] = self.nodes[-1].replace(bias=self.coarse(*self.shape))

    def per(self, values: list[float]) -> Array:
        """One value for all, one a channel, or one a neuron."""
        size = self.pick((), self.shape[:1], self.shape)
        return np.asarray(self.random.choice(values, size), np.float32)

    def neurons(self) -> None:
        reset = self.pick("subtract", "subtract", "zero")
        settings: dict[str, object] = {
            "threshold": self.per([0.5, 1.0, 2.0, 4.0]),
            "v_init": self.per([0.0, 0.25, 0.5]),
            "reset": reset,
            "v_reset": float(self.pick(0.0, 0.25)),
            "max_spikes": self.pick(1, 1, 1, 3, None),
            "v_min": self.pick(None, None, -1.0, self.per([0.0, -0.5])),
        }
        leaks = self.random.random() < 0.25
        if self.remembered is not None:
            settings |= self.memory(self.remembered, may_be_signed=reset == "subtract" and not leaks)
        if leaks:
            self.add(LIF, leak=0.5, **settings)
        else:
            self.add(IF, **settings)

    def memory(self, random: np.random.Generator, may_be_signed: bool) -> dict[str, object]:
        """What neurons remember: in half of all populations each, if it fits."""
        signed, indebted, by_step, by_firing = (random.random(4) < 0.5).tolist()
        channels, steps = self.shape[0], int(random.integers(1, 25))

        def drawn(*shape: int) -> Array:
            return (random.integers(-4, 5, shape) / 8).astype(np.float32)

        return {
            "signed": signed and may_be_signed,
            "no_debt": not indebted,
            "step_bias": drawn(steps, channels) if by_step else None,
            "fired_bias": drawn(channels) if by_step and by_firing else None,
        }

    def block(self, kind: str) -> None:
        channels, *spatial = self.shape
        names = list(self.depth)
        alike = [n for n in names if self.shape_of(n) == self.shape]
        if kind == "neurons" or self.depth[self.at] >= 3:
            self.neurons()
        elif kind == "conv" and spatial:
            self.conv()
        elif kind in ("conv", "norm") and not spatial:
            outputs = int(self.pick(2, 8, 20, 70))
            self.add(Linear, weight=self.coarse(outputs, channels), bias=self.coarse(outputs))
        elif kind == "norm":
            ones = np.ones(channels, np.float32)
            self.add(BatchNorm, mean=self.coarse(channels), variance=ones, gamma=ones, beta=ones / 2, epsilon=0.0)
        elif kind == "affine":
            size = self.shape if self.random.random() < 0.3 else self.shape[:1]
            self.add(ChannelAffine, scale=self.coarse(*size), bias=self.coarse(*size))
        elif kind == "max" and spatial:
            dilation = tuple(self.random.integers(1, 3, len(spatial)).tolist())
            policy = self.pick("count_max", "avg_max", "exp_max", "fir_max")
            window = self.windows()
            axes = zip(spatial, *window.values(), dilation, strict=True)
            if not all(window_counts(*axis)[1].all() for axis in axes):  # no window of padding alone
                window["padding"] = ((0, 0),) * len(spatial)
            self.add(SpikeMaxPool, policy=policy, horizon=int(self.pick(1, 3, 4)), dilation=dilation, **window)
        elif kind == "sum" and spatial:
            self.add(SumPool, **self.windows())
        elif kind == "avg" and spatial:
            self.avg_pool()
        elif kind == "add":
            self.add(Add, (self.at, *(str(self.pick(*alike)) for _ in range(int(self.pick(1, 2))))))
        elif kind == "join":
            axis = int(self.random.integers(len(self.shape)))
            rest = [n for n in names if self._fits(self.shape_of(n), axis)]
            self.add(Concat, (self.at, str(self.pick(*rest))), axis=axis)
        elif kind == "pad":
            self.add(Pad, padding=tuple((int(a), int(b)) for a, b in self.random.integers(-1, 2, (len(self.shape), 2))))
        elif kind == "grow" and spatial and np.prod(self.shape) < 400:
            self.add(Upsample, factor=tuple(self.random.integers(1, 3, len(spatial)).tolist()))
        elif kind == "permute":
            self.add(Permute, axes=tuple(self.random.permutation(len(self.shape)).tolist()))
        elif kind == "reshape":
            if self.random.random() < 0.5:
                self.add(Flatten)
            else:
                self.add(Reshape, shape=(*self.shape[1:], self.shape[0]))
        elif kind == "turn":  # go on from somewhere else
            self.at = str(self.pick(*names))
        elif kind == "meet":  # values of any shapes side by side
            consumers, here = Graph(self.nodes).consumers, self.at
            loose = [n for n in names if not consumers[n] and n != here]
            self.at = str(self.pick(*(loose or names)))
            self.add(Flatten)
            other, self.at = self.at, here
            self.add(Flatten)
            self.add(Concat, (self.at, other), axis=0)
        elif kind == "again":  # the same weights once more
            convs = [n for n in self.nodes if isinstance(n, Conv | Linear) and n.weight.shape[1:2] == self.shape[:1]]
            if convs:
                found = convs[0]
                self.add(type(found), **{**found.settings, **found.arrays})

    def _fits(self, shape: tuple[int, ...], axis: int) -> bool:
        return len(shape) == len(self.shape) and all(
            a == b for k, (a, b) in enumerate(zip(shape, self.shape, strict=True)) if k != axis
        )

    def avg_pool(self) -> None:
        """Windows whose divisors are all powers of two."""
        axes = len(self.shape) - 1
        window = self.windows()
        window["kernel"] = tuple(self.random.choice([1, 2], axes).tolist())
        overhang = tuple(self.random.integers(0, 2, axes).tolist())
        self.add(AvgPool, overhang=overhang, count_padding=bool(self.pick(True, False)), **window)

    def graph(self) -> Graph:
        """Every loose end gets an output."""
        graph = Graph(self.nodes)
        ends = [name for name in self.depth if not graph.consumers[name]]
        return Graph([*self.nodes, *(self.output(f"output{k}", end, graph.shapes[end]) for k, end in enumerate(ends))])

    def output(self, name: str, end: str, shape: tuple[int, ...]) -> Output:
        """With any activation, or none; one value may be an answer without axes."""
        scalar = shape == (1,) and bool(self.pick(True, False))
        kinds = [None, None, None, "relu", "sigmoid", "tanh", *([] if scalar else ["softmax", "log_softmax"])]
        kind = self.pick(*kinds)
        ceiling = self.pick(None, 0.75) if kind == "relu" else None
        axis = int(self.random.integers(len(shape))) if "softmax" in str(kind) else 0
        return Output(name=name, inputs=(end,), activation=kind, ceiling=ceiling, axis=axis, scalar=scalar)


def spiking_network(seed: int, blocks: int = 10, inputs: int = 1, memory: bool = False) -> tuple[Graph, Array]:
    """A network and three samples for it: with several inputs, side by side in rows.

    With ``memory`` its neurons may be signed, without debt, and have biases of some steps.
    """
    from spikewright.errors import SpikewrightError

    drawn = Spiking(seed, inputs, memory)
    for _ in range(blocks):
        try:
            drawn.block(str(drawn.pick(*drawn.kinds)))
        except SpikewrightError:  # this block does not fit here
            continue
    graph = drawn.graph()
    if not graph.populations:
        drawn.neurons()
        graph = drawn.graph()
    return graph, drawn.coarse(3, *graph.sample_shape, unit=0.125, most=12)
