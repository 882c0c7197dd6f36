"""A small network around each node type: convolution, neurons, the node, then a convolution or a dense layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.conversion import Conversion
from spikewright.graph import Graph, Node
from spikewright.nodes import (
    Add,
    Concat,
    Floor,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    LeakyReLU,
    Output,
    Pad,
    ReLU,
    Resample,
    Reshape,
    Round,
    Sigmoid,
    Softmax,
    SumPool,
    Take,
    Tanh,
    Upsample,
)

Step = Callable[[Builder], object]


def put(kind: type[Node], **fields: Any) -> Step:
    """A node of a type behind what is there."""
    return lambda b: b.add(kind(name="node", inputs=(b.at,), **fields))


def _blend(outputs: int, inputs: int) -> Any:
    """Interpolation between neighbours, rows that add up to one."""
    at = np.linspace(0, inputs - 1, outputs)
    low = np.floor(at).astype(int)
    made = np.zeros((outputs, inputs), np.float32)
    made[np.arange(outputs), low] = 1 - (at - low)
    made[np.arange(outputs), np.minimum(low + 1, inputs - 1)] += (at - low).astype(np.float32)
    return made


def _resample(outputs: int) -> Step:
    flat = np.concatenate([_blend(outputs, 8).ravel(), _blend(outputs, 8).ravel()])
    return put(Resample, weights=flat, sizes=((outputs, 8), (outputs, 8)))


def _steps(kind: type[Node]) -> Step:
    """A rectifier in eight steps, in the words of rounding."""

    def made(b: Builder) -> None:
        from spikewright.nodes import ChannelAffine

        b.add(ReLU(name="clip", inputs=(b.at,), ceiling=1.0))
        up = {"scale": np.full(4, 8.0), "bias": np.full(4, 0.5 if kind is Floor else 0.0)}
        b.add(ChannelAffine(name="up", inputs=(b.at,), **up))
        b.add(kind(name="node", inputs=(b.at,)))
        b.add(ChannelAffine(name="down", inputs=(b.at,), scale=np.full(4, 1 / 8), bias=np.zeros(4)))

    return made


def _joined(kind: type[Node]) -> Step:
    def made(b: Builder) -> None:
        start = b.at
        b.conv(4)
        other = b.relu()
        b.add(kind(name="node", inputs=(start, other)))

    return made


NODES: dict[str, tuple[Step, ...]] = {
    "AdaptiveAvgPool": (lambda b: b.adaptive_pool(3, 3), lambda b: b.adaptive_pool(4, 4)),
    "Add": (_joined(Add),),
    "AvgPool": (lambda b: b.avg_pool(), lambda b: b.avg_pool(3, padding=1, count=False)),
    "BatchNorm": (lambda b: (b.conv(4), b.norm(), b.relu()),),
    "ChannelAffine": (lambda b: b.affine(),),
    "Concat": (_joined(Concat), lambda b: b.add(Concat(name="node", inputs=(b.at, b.at), axis=2))),
    "Conv": (lambda b: (b.conv(4, kernel=1, padding=((0, 0), (0, 0))), b.relu()),),
    "ConvTranspose": (lambda b: (b.conv_transpose(3), b.relu()), lambda b: b.conv_transpose(3)),
    "Flatten": (),
    "Floor": (_steps(Floor),),
    "GlobalAvgPool": (put(GlobalAvgPool),),
    "GlobalMaxPool": (put(GlobalMaxPool),),
    "IF": (),
    "Identity": (put(Identity),),
    "Input": (),
    "LIF": (),
    "LeakyReLU": (lambda b: (b.conv(4), b.add(LeakyReLU(name="node", inputs=(b.at,), slope=0.1))),),
    "Linear": (),
    "MaxPool": (lambda b: b.max_pool(),),
    "Output": (),
    "Pad": (put(Pad, padding=((0, 0), (1, 0), (0, 2))), put(Pad, padding=((1, 0), (0, 0), (-1, 0)))),
    "Permute": (lambda b: b.permute(0, 2, 1), lambda b: b.permute(1, 2, 0)),
    "ReLU": (put(ReLU),),
    "Resample": (_resample(16), _resample(4), _resample(8)),
    "Reshape": (put(Reshape, shape=(8, 4, 8)), put(Reshape, shape=(4, 64))),
    "Round": (_steps(Round),),
    "Sigmoid": (put(Sigmoid),),
    "Softmax": (put(Softmax),),
    "SpikeMaxPool": (lambda b: b.max_pool(),),
    "SumPool": (put(SumPool, kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0))),),
    "Take": (
        put(Take, positions=((), tuple(reversed(range(8))), ())),
        put(Take, positions=((0, 1, 1, 0), (), ())),
        put(Take, positions=((), (0, 2, 4, 6), (1, 4, 7))),
        put(Take, positions=((), (1, 0, *range(8), 7, 6), ())),
        put(Take, positions=((3, 0), (0, 2, 4, 6), ())),
    ),
    "Tanh": (put(Tanh),),
    "Upsample": (put(Upsample, factor=(2, 2)),),
}
"""For each node type the ways in which it is put behind neurons; () for those that every network has."""


def _behind(b: Builder, dense: bool) -> Graph:
    if dense or len(b.shape) != 3:
        if len(b.shape) > 1:
            b.flatten()
        b.linear(6)
    else:
        b.conv(5)
    b.relu()
    if len(b.shape) > 1:
        b.flatten()
    b.linear(3)
    b.add(Output(name="output", inputs=(b.at,)))
    return Graph(b.nodes)


def network(step: Step | None, dense: bool, seed: int = 5) -> tuple[Graph, Any]:
    """The network, and samples for it."""
    b = Builder(seed, (2, 8, 8))
    b.conv(4)
    b.relu()
    if step is not None:
        step(b)
    return _behind(b, dense), np.random.default_rng(seed).uniform(0, 1, (4, 2, 8, 8)).astype(np.float32)


CASES = [
    (name, k, dense) for name, steps in NODES.items() for k in range(max(len(steps), 1)) for dense in (False, True)
]


def case(name: str, way: int, dense: bool) -> tuple[Graph, Any]:
    """A network for one of ``CASES``."""
    return network(NODES[name][way] if NODES[name] else None, dense)


ONLY_AT_THE_END = {"Sigmoid", "Softmax", "Tanh"}
each = pytest.mark.parametrize(("name", "way", "dense"), CASES)


def converted(name: str, way: int, dense: bool) -> tuple[Conversion, Any]:
    graph, x = case(name, way, dense)
    neurons = sw.Neurons(leak=0.5, v_init=0.0) if name == "LIF" else sw.Neurons()
    return sw.convert(graph, x, "max", neurons=neurons, leaky="split", readout="count"), x


def to_be_spikes(name: str, way: int, dense: bool) -> tuple[Conversion, Any]:
    if name in ONLY_AT_THE_END:
        pytest.skip("only at the end of a network")
    return converted(name, way, dense)
