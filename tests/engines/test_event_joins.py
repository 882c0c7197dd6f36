"""Layers that the event engine puts side by side as one, for whoever reads a concatenation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from runs import same
from spikewright.encoders.constant import Constant
from spikewright.engines.event import is_built
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, ChannelAffine, Concat, Conv, Flatten, Input, Linear, Output, Pad, SpikeMaxPool

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native

RECORDS = ("spikes", "events", "nonzero")
SIDE = 5


def coarse(random: np.random.Generator, *shape: int) -> np.ndarray:
    return (random.integers(-4, 6, shape) / 8).astype(np.float32)


def conv(name: str, source: str, inputs: int, outputs: int, width: int = 3, seed: int = 0) -> Conv:
    random = np.random.default_rng((seed, len(name), inputs, outputs))
    pad = ((width // 2, width // 2),) * 2
    settings = {"stride": (1, 1), "padding": pad, "dilation": (1, 1)}
    weight, bias = coarse(random, outputs, inputs, width, width), coarse(random, outputs)
    return Conv(name=name, inputs=(source,), weight=weight, bias=bias, **settings)


def neurons(name: str, source: str, **settings: Any) -> IF:
    return IF(name=name, inputs=(source,), threshold=np.ones(()), v_init=np.full((), 0.5), **settings)


def pool(name: str, source: str, policy: Any) -> SpikeMaxPool:
    settings = {"kernel": (2, 2), "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    return SpikeMaxPool(name=name, inputs=(source,), policy=policy, **settings)


def two_populations(**second: Any) -> list[Node]:
    return [
        Input(name="x", shape=(2, SIDE, SIDE)),
        conv("one", "x", 2, 3),
        neurons("a", "one"),
        conv("two", "x", 2, 5),
        neurons("b", "two", **second),
    ]


def network(*nodes: Node, end: str, channels: int, side: int = SIDE) -> Graph:
    random = np.random.default_rng(5)
    size = channels * side * side
    answer = Linear(name="answer", inputs=("flat",), weight=coarse(random, 4, size), bias=coarse(random, 4))
    return Graph([*nodes, Flatten(name="flat", inputs=(end,)), answer, Output(name="y", inputs=("answer",))])


def pooled(policy: str = "count_max", **second: Any) -> Graph:
    return network(
        *two_populations(**second),
        Concat(name="both", inputs=("a", "b", "a")),
        pool("p", "both", policy),
        conv("three", "p", 11, 4),
        neurons("c", "three"),
        end="c",
        channels=4,
        side=SIDE - 1,
    )


def normed(**second: Any) -> Graph:
    """As in a DenseNet: values of a convolution beside spikes, each channel scaled, then neurons."""
    random = np.random.default_rng(3)
    return network(
        *two_populations(**second),
        conv("graded", "a", 3, 2),
        Concat(name="both", inputs=("a", "graded", "b")),
        ChannelAffine(name="norm", inputs=("both",), scale=coarse(random, 10) + 1, bias=coarse(random, 10)),
        neurons("c", "norm"),
        conv("three", "c", 10, 4, 1),
        Concat(name="more", inputs=("both", "three")),
        ChannelAffine(name="again", inputs=("more",), scale=coarse(random, 14) + 1, bias=coarse(random, 14)),
        neurons("d", "again"),
        end="d",
        channels=14,
    )


def twice() -> Graph:
    """A convolution that reads a population at two places."""
    return network(
        *two_populations(),
        Concat(name="both", inputs=("a", "a", "b")),
        conv("three", "both", 11, 4),
        neurons("c", "three"),
        end="c",
        channels=4,
    )


def one_to_one(*padding: tuple[int, int]) -> Graph:
    """Neurons that read populations side by side, within a margin where nothing arrives."""
    margin = [Pad(name="wide", inputs=("both",), padding=padding)] if padding else []
    end = "wide" if padding else "both"
    grown = sum(sum(pair) for pair in padding[:1])
    return network(
        *two_populations(),
        Concat(name="both", inputs=("b", "a")),
        *margin,
        neurons("c", end),
        end="c",
        channels=8 + grown,
        side=SIDE + sum(sum(pair) for pair in padding[1:2]),
    )


KINDS: dict[str, dict[str, Any]] = {
    "single": {},
    "several": {"max_spikes": 3},
    "any number": {"max_spikes": None},
    "signed": {"signed": True},
    "signed, several": {"signed": True, "max_spikes": 3},
}
NETWORKS = {
    **{f"pool, {kind}": pooled(**settings) for kind, settings in KINDS.items()},
    **{f"norm, {kind}": normed(**settings) for kind, settings in KINDS.items()},
    "pool, avg_max": pooled("avg_max"),
    "pool, exp_max": pooled("exp_max"),
    "pool, fir_max": pooled("fir_max"),
    "twice": twice(),
    "one to one": one_to_one(),
    "one to one, in a margin": one_to_one((1, 0), (2, -1), (0, 1)),
}


def given(graph: Graph, samples: int = 3) -> torch.Tensor:
    random = np.random.default_rng(1)
    return torch.from_numpy(random.integers(-2, 9, (samples, *graph.sample_shape)).astype(np.float32) / 8)


@pytest.mark.parametrize("gather", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_as_the_reference_does(name: str, gather: bool) -> None:
    graph = NETWORKS[name]
    x = given(graph)
    for timesteps, chunk in ((5, 64), (70, 64), (40, 16)):
        for records in ((), RECORDS, ("potentials",)):
            expected = Simulation(graph).run(x, timesteps, Constant(), records)
            found = EventSimulation(graph, gather=gather, chunk=chunk).run(x, timesteps, Constant(), records)
            same(graph, expected, found)
    assert all(bool(count.any()) for count in expected.counts.values())


@pytest.mark.parametrize("isa", _native.instruction_sets())
def test_every_instruction_set(isa: str) -> None:
    for graph in NETWORKS.values():
        expected = Simulation(graph).run(given(graph), 37, Constant(), ("nonzero",))
        same(graph, expected, EventSimulation(graph, isa=isa).run(given(graph), 37, Constant(), ("nonzero",)))


@pytest.mark.parametrize(
    "name", ["pool, single", "norm, single", "norm, signed", "twice", "one to one", "one to one, in a margin"]
)
def test_every_layer_gathers(name: str) -> None:
    """None adds event by event."""
    graph = NETWORKS[name]
    prepared = EventSimulation(graph).prepare(Constant(), ())
    gathers = prepared.compiled.plan.gathering()
    for node in graph.of_type(IF):
        assert gathers[prepared.compiled.layers[node.name]], node.name
