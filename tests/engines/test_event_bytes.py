"""Weights of 8 bits in the event engine: bytes, where an instruction set multiplies them, give the same result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gathering_networks import KINDS, Bottlenecks
from runs import same, sender
from spikewright.engines import Simulation
from spikewright.engines.event import is_built
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Add, AvgPool, Concat, Conv, Flatten, Input, Linear, Output, SpikeMaxPool

torch = pytest.importorskip("torch")
if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native  # noqa: E402
from spikewright.engines.event.simulation import EventSimulation  # noqa: E402

BYTES = [isa for isa in _native.instruction_sets() if isa in ("amx", "wide")]
"""Instruction sets that multiply bytes: with tiles, and in plain code for this test."""


class Wide(Bottlenecks):
    """Draws networks of layers so wide that bytes pay; all sums are exact in single precision."""

    def pooled(self, at: str, average: bool) -> str:
        window = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0),) * 2}
        if average:
            return self.add(AvgPool(name=self.name, inputs=(at,), **window))
        return self.add(SpikeMaxPool(name=self.name, inputs=(at,), dilation=(1, 1), **window))

    def network(self) -> tuple[Graph, Array]:
        random = self.random
        pick = lambda *values: int(random.choice(values))  # noqa: E731
        first, second, third, size = pick(16, 20, 33), pick(16, 24, 70), pick(16, 50), pick(5, 8, 11)
        at = self.add(Input(name="input", shape=(2, size, size)))
        at = self.neurons(self.conv(at, 2, first, 3))
        at = self.neurons(self.conv(at, first, second, pick(1, 2, 3), pick(1, 2), pick(1, 2)))
        before = at = self.neurons(self.conv(at, second, third, 3))
        at = self.neurons(self.conv(at, third, third, 3))
        at = self.conv(at, third, third, 3)
        at = self.neurons(self.add(Add(name=self.name, inputs=(at, before))))  # before is a shortcut
        at = self.add(Concat(name=self.name, inputs=(at, before)))
        if Graph(self.nodes).shapes[at][1] > 2:
            at = self.pooled(at, bool(random.random() < 0.5))
        at = self.neurons(self.conv(at, 2 * third, 40, 3))
        at = self.add(Flatten(name=self.name, inputs=(at,)))
        values = Graph(self.nodes).shapes[at][0]
        full = Linear(name=self.name, inputs=(at,), weight=self.weights(33, values), bias=self.weights(33))
        at = self.neurons(self.add(full))
        last = Linear(name=self.name, inputs=(at,), weight=self.weights(9, 33), bias=self.weights(9))
        self.add(Output(name="output", inputs=(self.add(last),)))
        return Graph(self.nodes), (random.integers(0, 9, (2, 2, size, size)) / 8).astype(np.float32)


def series(width: int, groups: int = 1) -> Graph:
    """Convolutions along one axis; weights are hundreds of units, and some channels have none."""
    random = np.random.default_rng(width)
    weight = random.integers(-127, 128, (width, width // groups, 5)).astype(np.float32) * np.float32(13 / 2**11)
    weight[1] = 0
    one = {"stride": (1,), "dilation": (1,), "padding": ((2, 2),), "bias": np.zeros(width, np.float32)}
    return Graph(
        [
            Input(name="input", shape=(width, 19)),
            IF(name="given", inputs=("input",), threshold=1.0, v_init=0.5),
            Conv(name="conv", inputs=("given",), weight=weight, groups=groups, **one),
            IF(name="neurons", inputs=("conv",), threshold=2.0, v_init=1.0, v_min=-4.0),
            Output(name="output", inputs=("neurons",)),
        ]
    )


def multiplied(simulation: EventSimulation, kind: str) -> int:
    return sum(simulation.prepare(sender(kind)).compiled.plan.byte_projections())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    kind=st.sampled_from(sorted(KINDS)),
    isa=st.sampled_from(BYTES),
    encoder=st.sampled_from(["constant", "poisson"]),
    steps=st.sampled_from([1, 3, 5, 8, 16, 33, 64, 70]),
    chunk=st.sampled_from([64, 64, 7]),
)
def test_bytes_give_what_the_reference_gives(
    seed: int, kind: str, isa: str, encoder: str, steps: int, chunk: int
) -> None:
    graph, x = Wide(seed, kind, 4.0).network()
    sent = sender(encoder).fitted(graph)
    given_ = torch.from_numpy(x)
    record = ("spikes", "potentials", "nonzero")
    simulation = EventSimulation(graph, isa=isa, chunk=chunk)
    same(graph, Simulation(graph).run(given_, steps, sent, record), simulation.run(given_, steps, sent, record))
    if KINDS[kind].get("max_spikes", 1) is not None:
        assert multiplied(simulation, encoder) >= 3


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize(("width", "groups"), [(32, 1), (40, 1), (64, 1), (130, 1), (64, 2)])
def test_along_one_axis(isa: str, width: int, groups: int) -> None:
    graph = series(width, groups)
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (3, width, 19)).astype(np.float32) / 8)
    sent = sender("constant").fitted(graph)
    simulation = EventSimulation(graph, isa=isa)
    same(graph, Simulation(graph).run(x, 21, sent, ("spikes",)), simulation.run(x, 21, sent, ("spikes",)))
    assert bool(multiplied(simulation, "constant")) == (isa in BYTES)


@pytest.mark.parametrize("isa", BYTES)
def test_only_whole_multiples_are_bytes(isa: str) -> None:
    """One weight that is none of 127 multiples, and its layer is listed."""
    graph = series(32)
    conv = graph["conv"]
    assert isinstance(conv, Conv)
    for odd, bytes_ in ((np.float32(13 / 2**11) * 128, 0), (np.float32(0.1), 0), (np.float32(13 / 2**11) * 5, 1)):
        weight = conv.weight.copy()
        weight[3] = np.sign(weight[3]) * np.float32(13 / 2**11) * 127
        weight[3, 2, 1] = odd
        given_ = Graph([replace(conv, weight=weight) if node is conv else node for node in graph])
        assert multiplied(EventSimulation(given_, isa=isa), "constant") == bytes_


@pytest.mark.parametrize("isa", BYTES)
@pytest.mark.parametrize("m", range(8, 16))
@pytest.mark.parametrize("most", [1, 23, 100, 113, 126, 127])
def test_any_scale_of_four_bits_is_found(isa: str, m: int, most: int) -> None:
    """Whatever the largest multiple of it, as where a layer has one scale for all channels."""
    graph = series(32)
    conv = graph["conv"]
    assert isinstance(conv, Conv)
    multiples = np.random.default_rng(m).integers(-most, most + 1, conv.weight.shape)
    multiples[:, 0, 0] = most
    weight = multiples.astype(np.float32) * np.float32(m / 2**11)
    given_ = Graph([replace(conv, weight=weight) if node is conv else node for node in graph])
    assert multiplied(EventSimulation(given_, isa=isa), "constant") == 1


def test_threads_and_batches_change_nothing() -> None:
    graph, x = Wide(3, "single", 4.0).network()
    many = torch.from_numpy(np.repeat(x, 8, axis=0))
    sent = sender("constant").fitted(graph)
    one = EventSimulation(graph, threads=1).run(many, 16, sent)
    two = EventSimulation(graph, threads=2).run(many, 16, sent)
    same(graph, one, two)
