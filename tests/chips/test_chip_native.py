"""The native chip against the reference, event for event, over random networks, rules and instruction sets."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_chips import random_chip, random_layer, random_trains
from spikewright.chips.network import ChipInput, ChipNetwork, Destination
from spikewright.chips.simulation.native import ChipSimulation
from spikewright.chips.simulation.reference import run_reference
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.timeline import EventTrain, timeline
from spikewright.errors import GraphError, SettingsError

native = pytest.importorskip("spikewright.engines.event._native")
SETS = native.instruction_sets()
RULES = st.builds(
    ChipRules,
    st.sampled_from(["at", "above"]),
    st.sampled_from(["core", "neuron"]),
    st.sampled_from(["fire", "add"]),
    st.sampled_from([None, 0, 7, 2**63 - 1]),
)


def agree(
    network: ChipNetwork, samples: list[dict[str, EventTrain]], ticks: list[int], rules: ChipRules, isa: str
) -> None:
    names, shapes = [layer.name for layer in network.layers], {s.name: s.shape for s in network.inputs}
    lines = [timeline(trains, shapes, ticks, rules.permute is not None) for trains in samples]
    chip = ChipSimulation(network, rules, threads=2, isa=isa)
    run = chip.run(lines, first=5, record=names, potentials=names, window=4, windows=3)
    for number, trains in enumerate(samples):
        found = run_reference(network, trains, ticks, rules, sample=5 + number)
        for column, layer in enumerate(network.layers):
            expected, spikes = found[layer.name], run.spikes[layer.name]
            own = spikes.sample == number
            channels, _, width = layer.output_shape
            places = (expected.neuron[:, 0] * width + expected.neuron[:, 1]) * channels + expected.neuron[:, 2]
            assert spikes.time[own].tolist() == expected.time.tolist()
            assert spikes.neuron[own].tolist() == places.tolist()
            assert (run.potentials[layer.name][number] == expected.potentials).all()
            counts = (run.sent[number, column], run.fired[number, column], run.synops[number, column])
            assert counts == (len(expected.time), expected.fired, expected.synops)
            assert run.windowed is not None
            assert run.windowed[number, column].sum() == expected.synops


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), RULES, st.sampled_from(SETS))
def test_native_is_the_reference_event_for_event(seed: int, rules: ChipRules, isa: str) -> None:
    random = np.random.default_rng(seed)
    network = random_chip(random)
    samples = [random_trains(random, network, 40, 12) for _ in range(2)]
    agree(network, samples, sorted({int(t) for t in random.integers(0, 12, 3)}), rules, isa)


@pytest.mark.parametrize("isa", SETS)
def test_layers_of_more_channels_than_a_vector(isa: str) -> None:
    random = np.random.default_rng(1)
    layer = random_layer(random, "layer", (3, 6, 5), 37).replace(sources=("input",), threshold=100, decimator=2)
    network = ChipNetwork((ChipInput("input", (3, 6, 5), (Destination("layer"),)),), (layer,))
    for rules in (ChipRules(), ChipRules(permute=3, decimator="neuron")):
        agree(network, [random_trains(random, network, 200, 50)], [3, 17], rules, isa)


def test_windows_say_when_operations_happen() -> None:
    layer = random_layer(np.random.default_rng(0), "layer", (1, 1, 1), 3)
    layer = layer.replace(sources=("input",), weights=np.ones((3, 1, 1, 1), int), padding=(0, 0), bias=None)
    network = ChipNetwork((ChipInput("input", (1, 1, 1), (Destination("layer"),)),), (layer,))
    line = timeline({"input": EventTrain([0, 9, 10, 99], *[[0] * 4] * 3)}, {"input": (1, 1, 1)}, (), False)
    run = ChipSimulation(network).run([line], window=10, windows=3)
    assert run.windowed is not None
    assert run.windowed.tolist() == [[[6, 3, 3]]]


def test_what_16_bits_do_not_hold_is_refused() -> None:
    layer = random_layer(np.random.default_rng(0), "layer", (1, 3, 3), 2).replace(sources=("input",))

    def network(**changes: object) -> ChipNetwork:
        return ChipNetwork((ChipInput("input", (1, 3, 3), (Destination("layer"),)),), (layer.replace(**changes),))

    with pytest.raises(GraphError, match="layer 'layer': its threshold reach 40000, more than 16 bits hold"):
        ChipSimulation(network(threshold=40000))
    with pytest.raises(GraphError, match="its weights are no integers; quantise the network first"):
        ChipSimulation(network(weights=layer.weights / 2))
    with pytest.raises(SettingsError, match="lowest potential must be -32768 to 0, not 5"):
        ChipSimulation(network(v_min=5))
    with pytest.raises(SettingsError, match="the instruction set 'mmx' does not exist"):
        ChipSimulation(network(), isa="mmx")
    with pytest.raises(GraphError, match="no layer 'other'; there are layer"):
        ChipSimulation(network()).run([], record=["other"])


def test_no_samples_are_no_work() -> None:
    network = random_chip(np.random.default_rng(3))
    assert ChipSimulation(network).run([]).sent.shape == (0, len(network.layers))


@pytest.mark.parametrize(
    ("turn", "place", "time"),
    [([1, 0], [0, 0], [0, 1]), ([0, 2], [0, 0], [0, 1]), ([0, 1], [0, 9], [0, 1]), ([0, 1], [0, 0], [1, 0])],
)
def test_the_core_trusts_no_events(turn: list[int], place: list[int], time: list[int]) -> None:
    """Events out of order, of no turn, or outside their input; turns that go back in time."""
    chip = import_module("spikewright.engines.event._native").Chip()
    chip.input(1, 3, 3)
    with pytest.raises(native.PlanError):
        chip.run(
            samples=1,
            first=0,
            threads=1,
            start=np.array([0, 2]),
            turn=np.array(turn, np.int32),
            place=np.array(place, np.int32),
            turn_start=np.array([0, 2]),
            time=np.array(time),
            tick=np.zeros(2, np.uint8),
            fires_above=False,
            counts_neurons=False,
            ticks_add=False,
            permute=None,
            totals=np.zeros((3, 1, 0), np.int64),
            window=1,
            windowed=None,
            record=[],
            potentials=[],
        )
