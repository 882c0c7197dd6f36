"""Rewrites keep the function: spike for spike in the reference engine, or to the sum, and what cannot be is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from lowering_cases import CASES, SPECK, T, average_pool, converted, dense_layer, identity_shortcut, same_spikes
from stepped import inputs_of, stepped

import spikewright as sw
from networks import Builder
from spikewright.chips.chip import Speck
from spikewright.chips.known import chip
from spikewright.chips.lowering import Lowered, lower, spread
from spikewright.chips.network import Destination
from spikewright.errors import GraphError, SettingsError, UnsupportedModelError
from spikewright.graph import Graph
from spikewright.nodes import (
    IF,
    LIF,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Output,
    Permute,
    SumPool,
)


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
@pytest.mark.parametrize(
    "settings", [{}, {"view": "thresholds", "neurons": sw.Neurons(max_spikes=None, v_min=-1.0)}], ids=["one", "several"]
)
def test_a_rewrite_keeps_every_spike(build: Callable[[Builder], None], settings: dict[str, object]) -> None:
    conversion, x = converted(build, "max,channels" if settings else "max", **settings)
    lowered = lower(conversion, SPECK)
    assert not lowered.problems
    names = [name for names in lowered.rewrites.values() for name in names]
    assert set(CASES[build]) <= set(names)
    assert ("thresholds of channels in the weights" in names) == bool(settings)
    same_spikes(conversion.spiking, lowered.checked(SPECK), x)


def test_reset_to_zero_is_kept() -> None:
    conversion, x = converted(average_pool, neurons=sw.Neurons(reset="zero"))
    network = lower(conversion, SPECK).checked(SPECK)
    assert {layer.reset for layer in network.layers} == {"zero"}
    same_spikes(conversion.spiking, network, x)


def hand_made(*nodes: object) -> Lowered:
    return lower(Graph(nodes), SPECK)  # type: ignore[arg-type]


def neurons(name: str, source: str, **settings: object) -> IF:
    return IF(**{"name": name, "inputs": (source,), "threshold": 1.0, "v_init": 0.5, **settings})  # type: ignore[arg-type]


def conv(name: str, source: str, *shape: int, **settings: object) -> Conv:
    random = np.random.default_rng(sum(map(ord, name)))
    side = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1, **settings}
    weight = random.integers(-4, 5, shape) / 4
    return Conv(name=name, inputs=(source,), weight=weight, bias=np.zeros(shape[0]), **side)  # type: ignore[arg-type]


def test_a_sum_that_a_layer_reads_is_two_sources_of_the_same_channels() -> None:
    from spikewright.nodes import Add

    lowered = hand_made(
        Input(name="input", shape=(2, 6, 6)),
        conv("a", "input", 3, 2, 3, 3),
        neurons("one", "a"),
        conv("b", "one", 3, 3, 3, 3),
        neurons("two", "b"),
        Add(name="sum", inputs=("one", "two")),
        conv("c", "sum", 4, 3, 3, 3),
        neurons("three", "c"),
        Output(name="output", inputs=("three",)),
    )
    network = lowered.checked(SPECK)
    assert network["three"].sources == ("one", "two")
    assert network["three"].input_shape == (3, 6, 6)  # free: the channels are shared
    assert network["one"].destinations == (Destination("two"), Destination("three"))
    assert lowered.rewrites["three"] == ("sum as events of several sources",)


def test_a_sum_inside_a_population_doubles_its_input_channels() -> None:
    conversion, _ = converted(identity_shortcut)
    network = lower(conversion, SPECK).checked(SPECK)
    last = network.layers[-1]
    assert last.input_shape == (7, 8, 8)
    (_, one), (_, two) = network.arriving(last.name)
    assert (one.feature_shift, two.feature_shift) == (0, 4)  # the shortcut is wider, and stands first
    off = last.weights[:, :4].copy()
    off[np.arange(4), np.arange(4), 1, 1] = 0
    assert not off.any()  # one factor a channel, at the kernel's centre


def test_a_strided_shortcut_cannot_be_added_up_by_one_core() -> None:
    def strided(b: Builder) -> None:
        b.conv(4)
        start = b.relu()
        b.conv(5, stride=2)
        b.relu()
        branch, b.at = b.conv(5), start
        b.conv(5, kernel=1, stride=2, padding=((0, 0), (0, 0)))
        b.sum(branch, b.at)

    conversion, _ = converted(strided)
    lowered = lower(conversion, SPECK)
    assert [layer.name for layer in lowered.network.layers] == ["relu2", "relu4"]  # those that can be are there
    with pytest.raises(UnsupportedModelError) as refused:
        lowered.checked(SPECK)
    assert "cannot be computed by speck2f" in str(refused.value)
    assert "arrives in different maps or strides (4x4 and 8x8)" in str(refused.value)
    assert "give the shortcut neurons of its own" in str(refused.value)


def test_zeros_that_no_square_kernel_sees_alike_are_refused() -> None:
    def uneven(b: Builder) -> None:
        b.conv(4, padding=((0, 1), (2, 0)))

    (problem,) = lower(converted(uneven)[0], SPECK).problems
    assert "no square kernel with as many zeros on both sides sees the same: pad both sides alike" in str(problem)


def test_everything_that_stands_in_the_way_is_said_at_once() -> None:
    settings = {"step_bias": np.ones((2, 4)), "no_debt": True}
    lowered = hand_made(
        Input(name="input", shape=(2, 6, 6)),
        conv("a", "input", 4, 2, 3, 3),
        LIF(name="leaky", inputs=("a",), threshold=1.0, v_init=0.5, leak=0.5),
        conv("b", "leaky", 4, 4, 3, 3),
        neurons("taking back", "b", signed=True, **settings),
        conv("c", "taking back", 4, 4, 3, 3),
        neurons("each", "c", threshold=np.arange(1, 145).reshape(4, 6, 6), reset="zero", v_reset=0.25),
        conv("d", "each", 4, 4, 3, 3),
        neurons("rising", "d", v_min=-np.arange(1.0, 5)),
        Flatten(name="flat", inputs=("rising",)),
        Linear(name="fc", inputs=("flat",), weight=np.ones((3, 144)), bias=np.zeros(3)),
        Output(name="output", inputs=("fc",)),
    )
    said = "\n".join(map(str, lowered.problems))
    for words in (
        "'leaky': the potential leaks",
        "'taking back': events have no sign: convert without signed",
        "'taking back': potentials go below zero before the first spike",
        "'taking back': a bias is the same at every tick",
        "'each': a reset is to 0: set v_reset to 0",
        "'each': the neurons of a channel have different thresholds",
        "'rising': its lowest potentials differ",
        "'output': it is read by potentials, and a chip only sends spikes: convert with readout='count'",
    ):
        assert words in said
    assert [layer.name for layer in lowered.network.layers] == ["leaky", "taking back", "output"]


def test_max_pooling_is_refused_with_what_would_do_and_its_memory_is_known() -> None:
    def pooled(b: Builder) -> None:
        b.conv(4)
        b.relu()
        b.max_pool()
        b.conv(5)

    lowered = lower(converted(pooled)[0], SPECK)
    (problem,) = lowered.problems
    assert str(problem).endswith("use average pooling, or convolutions with a stride, and train again")
    assert problem.operator == "max pooling"
    assert lowered.network.layers[1].input_shape == (4, 4, 4)


def test_negative_inputs_are_refused() -> None:
    b = Builder(1, (2, 8, 8))
    average_pool(b)
    b.relu()
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,))])
    x = b.samples(3)
    lowered = lower(sw.convert(graph, x - 1, readout="count"), SPECK)
    assert "Input at 'input': its values go down to" in str(lowered.problems[0])


def test_what_one_event_stands_for_is_in_the_first_weights() -> None:
    conversion, x = converted(average_pool)
    graph = conversion.spiking.replaced(conversion.spiking["input"].replace(event_value=0.25))
    network = lower(graph, SPECK).checked(SPECK)
    assert network.inputs[0].event_value == 0.25
    same_spikes(conversion.spiking, network, x)


def test_values_of_an_image_of_channels_last_are_events_of_channels_first() -> None:
    lowered = hand_made(
        Input(name="input", shape=(6, 5, 2), channels="last"),
        Permute(name="first", inputs=("input",), axes=(2, 0, 1)),
        conv("a", "first", 3, 2, 3, 3),
        neurons("one", "a"),
        Output(name="output", inputs=("one",)),
    )
    network = lowered.checked(SPECK)
    assert network.inputs[0].shape == (2, 6, 5)
    image = np.random.default_rng(0).random((6, 5, 2))
    assert np.array_equal(inputs_of(network, {"input": image})["input"], image.transpose(2, 0, 1))


def test_an_image_too_large_for_a_kernel_is_a_row_of_channels() -> None:
    nodes = (
        Flatten(name="flat", inputs=("input",)),
        Linear(name="fc", inputs=("flat",), weight=np.ones((3, 784)), bias=np.zeros(3)),
        neurons("one", "fc"),
        Output(name="output", inputs=("one",)),
    )
    network = hand_made(Input(name="input", shape=(1, 28, 28)), *nodes).checked(SPECK)
    assert network["one"].input_shape == (784, 1, 1)
    assert network["one"].kernel_words == 784 * 4
    small = hand_made(Input(name="input", shape=(4, 14, 14)), *nodes).checked(SPECK)
    assert small["one"].input_shape == (4, 14, 14)


def test_classes_are_spread_over_the_channels_that_the_readout_sees() -> None:
    conversion, x = converted(dense_layer)
    network = lower(conversion, SPECK).checked(SPECK)
    wide = spread(network, SPECK)
    assert wide.layers[-1].output_shape == (21, 1, 1)
    assert wide.readout[0].neurons == (0, 4, 8, 12, 16, 20)
    caps = {node.name: node.max_spikes for node in conversion.spiking.of_type(IF)}
    sample = {"input": x[0].astype(np.float64)}
    before, after = (stepped(n, sample, T, caps)[network.layers[-1].name] for n in (network, wide))
    assert np.array_equal(before[:, :, 0, 0], after[:, ::4, 0, 0])
    conversion, _ = converted(average_pool)
    with pytest.raises(SettingsError, match="tells 15 classes apart; the network has 80: count"):
        spread(lower(conversion, SPECK).network, SPECK)
    speck2b = chip("speck2b")
    assert isinstance(speck2b, Speck)
    with pytest.raises(SettingsError, match="the readout of speck2b cannot be used; the network has 6"):
        spread(network, speck2b)


def test_a_sum_pool_keeps_its_sum() -> None:
    lowered = hand_made(
        Input(name="input", shape=(2, 8, 8)),
        SumPool(name="pool", inputs=("input",), kernel=(4, 4), stride=(4, 4), padding=((0, 0), (0, 0))),
        conv("a", "pool", 3, 2, 3, 3),
        neurons("one", "a"),
        Concat(name="alone", inputs=("one",)),
        Output(name="output", inputs=("alone",)),
    )
    network = lowered.checked(SPECK)
    assert network.inputs[0].destinations == (Destination("one", pool=4),)
    assert lowered.rewrites["one"] == ()


def test_a_trained_network_is_refused() -> None:
    b = Builder(1)
    b.conv(2)
    b.relu()
    with pytest.raises(GraphError, match="has no spikes; convert the network first"):
        lower(Graph([*b.nodes, Output(name="output", inputs=(b.at,))]), SPECK)
