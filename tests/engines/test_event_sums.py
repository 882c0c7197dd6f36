"""Layers that gather, one kind after the other: what fires together, what is pooled, shortcuts, outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikewright.encoders import encoder
from spikewright.engines.event import is_built
from spikewright.engines.reference import Simulation
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Add, Conv, Flatten, Input, Linear, Output, Reshape, SumPool

if not is_built():
    pytest.skip("the native core was not built", allow_module_level=True)
from spikewright.engines.event import _native
from spikewright.engines.event.simulation import EventSimulation

CONSTANT = encoder("constant")
SEEDS = st.integers(0, 2**32 - 1)
ISAS = st.sampled_from(_native.instruction_sets())
HEIGHT, WIDTH = 9, 10


def dyadic(random: np.random.Generator, *shape: int, steps: int = 16) -> np.ndarray:
    return (random.integers(-steps // 2, steps // 2 + 1, shape) / 16).astype(np.float32)


def convolve(
    random: np.random.Generator,
    source: str,
    name: str,
    weight: np.ndarray,
    pad: tuple[int, int] = (0, 0),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> list[Node]:
    """A convolution, padded on both sides, and the neurons behind it."""
    conv = Conv(
        name=f"{name}_conv",
        inputs=(source,),
        weight=weight,
        bias=dyadic(random, len(weight)),
        stride=stride,
        padding=((pad[0], pad[0]), (pad[1], pad[1])),
        dilation=dilation,
    )
    return [conv, IF(name=name, inputs=(conv.name,), threshold=1.0, v_init=0.5)]


def add_up(source: str, window: tuple[int, int]) -> SumPool:
    return SumPool(name="pool", inputs=(source,), kernel=window, stride=window, padding=((0, 0), (0, 0)))


def driven(random: np.random.Generator, channels: int) -> list[Node]:
    """Neurons that a constant input drives."""
    image = Input(name="x", shape=(1, HEIGHT, WIDTH))
    return [image, *convolve(random, "x", "first", dyadic(random, channels, 1, 3, 3), pad=(1, 1))]


def check(
    random: np.random.Generator,
    nodes: list[Node],
    timesteps: int,
    isa: str = "",
    relays: int = 0,
    dtypes: tuple[str, ...] = ("float32", "int16"),
) -> torch.Tensor:
    """All layers gather but relays, and give the reference engine's spikes and answers, in 16 bits too.

    Returns:
        the samples.
    """
    graph = Graph(nodes)
    x = torch.from_numpy(dyadic(random, 2, 1, HEIGHT, WIDTH, steps=32))
    expected = Simulation(graph).run(x, timesteps, CONSTANT)
    for dtype in dtypes:
        engine = EventSimulation(graph, isa=isa, dtype=dtype)
        assert all(engine.prepare(CONSTANT).compiled.plan.gathering()[1 + relays :])
        found = engine.run(x, timesteps, CONSTANT)
        for name, counts in expected.counts.items():
            np.testing.assert_array_equal(counts.numpy(), found.counts[name].numpy(), f"{name} in {dtype}")
        for name, answers in expected.outputs.items():
            np.testing.assert_array_equal(answers.numpy(), found.outputs[name].numpy(), f"{name} in {dtype}")
    return x


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    channels=st.tuples(st.sampled_from([3, 8, 17]), st.sampled_from([5, 16, 40])),
    timesteps=st.sampled_from([5, 33, 70]),
    isa=ISAS,
)
def test_neurons_that_fire_together(
    seed: int,
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    channels: tuple[int, int],
    timesteps: int,
    isa: str,
) -> None:
    random = np.random.default_rng(seed)
    weight = dyadic(random, channels[1], channels[0], *kernel, steps=6)
    pad = (dilation * (kernel[0] // 2), kernel[1] // 2)
    second = convolve(random, "first", "second", weight, pad, (stride, 1), (dilation, 1))
    check(random, [*driven(random, channels[0]), *second, Output(name="y", inputs=("second_conv",))], timesteps, isa)


def check_sixteen_bits(nodes: list[Node], window: tuple[int, int], isa: str, x: torch.Tensor) -> None:
    """Sums and potentials that stop at the ends of 16 bits, behind a pool: exact where these decide what fires.

    In whichever order the engine adds up a step, the current lies between two ends: what excites first, or what
    inhibits first. While both ends give one potential, the spikes are known.
    """
    graph, conv = Graph(nodes), next(node for node in nodes if node.name == "second_conv")
    assert isinstance(conv, Conv)
    run = EventSimulation(graph, isa=isa, dtype="int16").run(x, 66, CONSTANT, record=("spikes",))
    first, second = (run.spikes[name].numpy().astype(np.float64) for name in ("first", "second"))
    rows, columns = (n // w for n, w in zip((HEIGHT, WIDTH), window, strict=True))
    cut = first[..., : rows * window[0], : columns * window[1]]
    pooled = cut.reshape(*cut.shape[:3], rows, window[0], columns, window[1]).sum(axis=(4, 6))
    weight = conv.weight[:, :, 0, 0].astype(np.float64)
    excites, inhibits = (
        np.einsum("oc,btcyx->tboyx", part, pooled) for part in (np.maximum(weight, 0), np.minimum(weight, 0))
    )
    bias = conv.bias.astype(np.float64)[:, None, None]
    room = max(4, 1 << (window[0] * window[1]).bit_length())
    end = 2 ** np.ceil(np.log2(np.maximum(np.abs(weight).max(axis=1) * room, 8)))[:, None, None]

    def held(values: np.ndarray) -> np.ndarray:
        return np.clip(values, -end, end * (1 - 2**-15))

    low = high = np.full(excites.shape[1:], 0.5)
    known = np.ones(low.shape, bool)
    for t in range(66):
        currents = held(held(bias + excites[t]) + inhibits[t]), held(held(bias + inhibits[t]) + excites[t])
        low, high = held(low + currents[0]), held(high + currents[1])
        known &= low == high
        np.testing.assert_array_equal(second[:, t][known], (low >= 1)[known], f"step {t} in 16 bits")
        low, high = low - (low >= 1), high - (high >= 1)


@settings(max_examples=40, deadline=None)
@example(seed=200, window=(HEIGHT, WIDTH), channels=17, isa="avx2")
@given(
    seed=SEEDS,
    window=st.sampled_from([(2, 2), (1, 2), (4, 3), (HEIGHT, WIDTH)]),
    channels=st.sampled_from([3, 8, 17]),
    isa=ISAS,
)
def test_spikes_that_a_pool_adds_up(seed: int, window: tuple[int, int], channels: int, isa: str) -> None:
    """In 16 bits sums that a large window drives beyond eight thresholds stop there: as ``docs/engines.md`` says."""
    isa = isa if isa in _native.instruction_sets() else ""
    random = np.random.default_rng(seed)
    second = convolve(random, "pool", "second", dyadic(random, 12, channels, 1, 1, steps=4))
    nodes = [*driven(random, channels), add_up("first", window), *second, Output(name="y", inputs=("second_conv",))]
    x = check(random, nodes, 66, isa, dtypes=("float32",))
    check_sixteen_bits(nodes, window, isa, x)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, channels=st.sampled_from([3, 8, 40]), timesteps=st.sampled_from([5, 20, 70]), isa=ISAS)
def test_shortcuts(seed: int, channels: int, timesteps: int, isa: str) -> None:
    random = np.random.default_rng(seed)
    nodes = driven(random, channels)
    for k, source in enumerate(("first", "block0")):
        weight = dyadic(random, channels, channels, 3, 3, steps=4)
        main = convolve(random, source, f"main{k}", weight, pad=(1, 1))
        add = Add(name=f"add{k}", inputs=(f"main{k}_conv", source, source)[: 2 + k])
        nodes += [main[0], add, IF(name=f"block{k}", inputs=(add.name,), threshold=1.0, v_init=0.5)]
    check(random, [*nodes, Output(name="y", inputs=("block1",))], timesteps, isa)


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("shape", [(1, 2, 4), (1, 3, 4), (1, 4, 4), (12, 1, 1), (16, 1, 1)])
def test_neurons_in_another_shape_are_no_shortcut(shape: tuple[int, int, int], isa: str) -> None:
    random = np.random.default_rng(sum(shape))
    size = int(np.prod(shape))
    flat, other = (size,), (1, size, 1) if shape[0] > 1 else (size, 1, 1)
    linear = Linear(name="drive", inputs=("x",), weight=dyadic(random, size, HEIGHT * WIDTH), bias=dyadic(random, size))
    nodes: list[Node] = [
        Input(name="image", shape=(1, HEIGHT, WIDTH)),
        Flatten(name="x", inputs=("image",)),
        linear,
        Reshape(name="map_currents", inputs=("drive",), shape=shape),
        IF(name="map", inputs=("map_currents",), threshold=1.0, v_init=0.5),
    ]
    for name, to in (("flat", flat), ("other", other)):
        reshaped = Reshape(name=f"{name}_spikes", inputs=("map",), shape=to)
        nodes += [reshaped, IF(name=name, inputs=(reshaped.name,), threshold=1.5, v_init=0.25)]
        nodes.append(Output(name=f"{name}_y", inputs=(reshaped.name,)))
    check(random, nodes, 40, isa, relays=1)


@pytest.mark.parametrize("isa", _native.instruction_sets())
@pytest.mark.parametrize("classes", [3, 70])
def test_outputs_behind_a_linear_layer(classes: int, isa: str) -> None:
    random = np.random.default_rng(classes)
    weight = dyadic(random, classes, 6 * 3 * 5)
    readout = [
        Flatten(name="flat", inputs=("pool",)),
        Linear(name="classes", inputs=("flat",), weight=weight, bias=dyadic(random, classes)),
    ]
    check(
        random, [*driven(random, 6), add_up("first", (3, 2)), *readout, Output(name="y", inputs=("classes",))], 70, isa
    )


def test_more_inputs_than_sixteen_bits_number() -> None:
    random = np.random.default_rng(0)
    spread = convolve(random, "first", "second", dyadic(random, 800, 2, 1, 1))
    flat = Flatten(name="flat", inputs=("second",))
    weight = dyadic(random, 4, 800 * HEIGHT * WIDTH)
    linear = Linear(name="classes", inputs=("flat",), weight=weight, bias=dyadic(random, 4))
    check(random, [*driven(random, 2), *spread, flat, linear, Output(name="y", inputs=("classes",))], 9)
