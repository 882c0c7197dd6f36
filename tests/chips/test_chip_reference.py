"""The event-by-event semantics: every case of the facts, and random networks against a plain walk over neurons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_chips import random_chip, random_trains
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination
from spikewright.chips.simulation.reference import ChipEvents, run_reference
from spikewright.chips.simulation.rules import ChipRules, shuffled
from spikewright.chips.simulation.timeline import EventTrain, timeline
from spikewright.errors import DataError, SettingsError

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "event_by_event.json").read_text(encoding="utf-8"))


def chain(*weights: Any, **settings: Any) -> ChipNetwork:
    """Layers one behind the other, of kernels (out, in, k, k); the input is one place."""
    names = [f"layer{k}" for k in range(len(weights))]
    shape = settings.pop("input_shape", (np.shape(weights[0])[1], 1, 1))
    layers, source = [], "input"
    for k, (name, kernel) in enumerate(zip(names, weights, strict=True)):
        to = (Destination(names[k + 1]),) if k + 1 < len(names) else ()
        layers.append(ChipLayer(name, (source,), shape, np.array(kernel), destinations=to, **settings))
        shape, source = layers[-1].output_shape, name
    first = ChipInput("input", layers[0].input_shape, (Destination("layer0"),))
    return ChipNetwork((first,), tuple(layers))


def events(*of: tuple[int, int]) -> dict[str, EventTrain]:
    """Events at the only place of the input: time and channel."""
    time, channel = np.array(of, np.int64).reshape(-1, 2).T
    return {"input": EventTrain(time, 0 * time, 0 * time, channel)}


@pytest.mark.parametrize("case", FACTS["cases"].values(), ids=FACTS["cases"])
def test_every_case_of_the_facts(case: dict[str, Any]) -> None:
    """Each weight is an input channel of its own; its events come one microsecond after the other."""
    weights = [weight for step in case["events_per_step"] for weight in step]
    network = chain([[[[w]] for w in weights]], threshold=case["theta"], v_min=case["v_min"])
    trace = []
    for last in range(1, len(weights) + 1):
        found = run_reference(network, events(*((k, k) for k in range(last))))["layer0"]
        trace.append((int(found.potentials.item()), found.fired))
    expected = case["chip"]
    fired = np.cumsum([spikes for _, spikes in expected["trace"]]).tolist()
    assert trace == [(v, n) for (v, _), n in zip(expected["trace"], fired, strict=True)]
    assert (found.potentials.item(), found.fired) == (expected["v_final"], expected["spikes"])


def test_a_leak_is_a_negative_bias_at_every_tick() -> None:
    leak = FACTS["leak"]
    network = chain([[[[127]]]], threshold=leak["threshold"], v_init=leak["v_init"], bias=np.array([leak["bias"]]))
    found = [run_reference(network, {}, range(1, n + 1))["layer0"].potentials.item() for n in range(1, 5)]
    assert found == leak["after_ticks"]


@pytest.mark.parametrize(("fires", "spikes"), [("at", 1), ("above", 0)])
def test_equality_fires_or_not(fires: str, spikes: int) -> None:
    found = run_reference(chain([[[[100]]]], threshold=100), events((0, 0)), rules=ChipRules.parse(f"fires={fires}"))
    assert found["layer0"].fired == spikes


def test_reset_to_zero_forgets_what_is_above() -> None:
    network = chain([[[[250]]]], threshold=100, reset="zero")
    assert run_reference(network, events((0, 0)))["layer0"].potentials.item() == 0


def test_potentials_end_at_both_ends_of_16_bits() -> None:
    network = chain([[[[30000]], [[-30000]]]], threshold=32767)
    assert run_reference(network, events((0, 0), (1, 0)))["layer0"].fired == 1  # 60,000 is 32,767, and at the threshold
    assert run_reference(network, events((0, 1), (1, 1)))["layer0"].potentials.item() == -32768


def test_a_tick_comes_before_the_events_of_its_microsecond_and_may_only_add() -> None:
    network = chain([[[[-50]]]], threshold=100, v_init=60, bias=np.array([50]))
    fires = run_reference(network, events((5, 0)), [5])["layer0"]
    assert (fires.fired, fires.potentials.item()) == (1, -40)
    adds = run_reference(network, events((5, 0)), [5], ChipRules(ticks="add"))["layer0"]
    assert (adds.fired, adds.potentials.item()) == (0, 60)
    after = run_reference(network, events((4, 0)), [5])["layer0"]
    assert (after.fired, after.potentials.item()) == (0, 60)


def test_a_waiting_potential_fires_at_a_weight_of_zero() -> None:
    network = chain([[[[250]], [[0]]]], threshold=100)
    assert run_reference(network, events((0, 0), (1, 1)))["layer0"].fired == 2


@pytest.mark.parametrize(("of", "passed"), [("core", [0, 0]), ("neuron", [0, 1])])
def test_a_decimator_counts_a_core_or_a_neuron(of: str, passed: list[int]) -> None:
    """Two neurons: the first fires at all three events, the second at the last two."""
    network = chain([[[[100]], [[100]]], [[[0]], [[100]]]], threshold=100, decimator=2)
    found = run_reference(network, events((0, 0), (1, 1), (2, 1)), rules=ChipRules.parse(f"decimator={of}"))["layer0"]
    assert found.fired == 5
    assert found.neuron[:, 2].tolist() == passed


def test_a_sum_pool_divides_addresses_and_drops_what_is_left_over() -> None:
    to = Destination("layer0", pool=2, feature_shift=1)
    layer = ChipLayer("layer0", ("input",), (2, 1, 1), np.array([[[[1]], [[10]]]]), threshold=1000)
    network = ChipNetwork((ChipInput("input", (1, 3, 3), (to,)),), (layer,))
    places = np.array([(y, x) for y in range(3) for x in range(3)])
    train = EventTrain(np.arange(9), places[:, 0], places[:, 1], np.zeros(9))
    found = run_reference(network, {"input": train})["layer0"]
    assert (found.potentials.item(), found.synops) == (40, 4)


def test_order_within_a_microsecond_is_row_column_channel() -> None:
    order = timeline(
        {"input": EventTrain([3, 3, 3, 0], [1, 0, 0, 0], [0, 1, 1, 2], [0, 1, 0, 0])}, {"input": (2, 2, 3)}, [3], False
    )
    assert order.time.tolist() == [0, 3, 3, 3, 3]
    assert order.tick.tolist() == [False, True, False, False, False]
    assert order.neurons["input"].tolist() == [[0, 2, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert order.turns["input"].tolist() == [0, 2, 3, 4]


def test_one_event_is_worked_off_before_the_next() -> None:
    """The second layer is excited by the first neuron and inhibited by the second: each input event in full."""
    network = chain([[[[100]], [[0]]], [[[0]], [[100]]]], [[[[100]], [[-100]]]], threshold=100)
    found = run_reference(network, events((0, 0), (0, 1), (1, 0)))["layer1"]
    assert (found.fired, found.potentials.item()) == (1, 0)
    assert run_reference(network, events((0, 1), (1, 0), (2, 0)))["layer1"].fired == 1


def test_permuting_is_drawn_by_seed_and_keeps_every_microsecond_together() -> None:
    random = np.random.default_rng(0)
    network = chain(random.integers(-90, 90, (1, 40, 1, 1)), threshold=100, v_min=-100)
    train = events(*((k // 20, k) for k in range(40)))
    runs = [run_reference(network, train, rules=ChipRules(permute=seed))["layer0"] for seed in range(8)]
    again = run_reference(network, train, rules=ChipRules(permute=3))["layer0"]
    assert again.potentials.item() == runs[3].potentials.item()
    assert again.time.tolist() == runs[3].time.tolist()
    assert len({(run.fired, run.potentials.item()) for run in runs}) > 3
    assert sorted(shuffled(9, 1, 2, 3, 4)) == list(range(9))
    assert shuffled(9, 1, 2, 3, 4) != shuffled(9, 1, 2, 3, 5)


def plainly(network: ChipNetwork, trains: dict[str, EventTrain], ticks: list[int]) -> dict[str, list[list[int]]]:
    """Turn by turn through all layers, neuron by neuron: what each sends, as time, row, column, channel."""
    turns: list[tuple[int, int, list[tuple[int, ...]]]] = [(time, -1, []) for time in ticks]
    for number, source in enumerate(network.inputs):
        train = trains[source.name]
        for time, *place in zip(*(a.tolist() for a in (train.time, train.y, train.x, train.channel)), strict=True):
            turns.append((time, number, [tuple(place)]))
    turns.sort()
    v = {layer.name: np.broadcast_to(layer.v_init, layer.output_shape).astype(int).copy() for layer in network.layers}
    fired = dict.fromkeys(v, 0)
    said: dict[str, list[list[int]]] = {layer.name: [] for layer in network.layers}
    for time, number, places in turns:
        now = {source.name: places if k == number else [] for k, source in enumerate(network.inputs)}
        for layer in network.layers:
            added: list[tuple[int, int, int, int]] = []
            channels, rows, columns = layer.output_shape
            if number < 0 and layer.bias is not None:
                added += [
                    (y, x, c, int(layer.bias[c])) for y in range(rows) for x in range(columns) for c in range(channels)
                ]
            for source, to in network.arriving(layer.name):
                for y_in, x_in, c_in in now[source.name]:
                    y_at, x_at = y_in // to.pool, x_in // to.pool
                    for y in range(rows if y_at < layer.input_shape[1] and x_at < layer.input_shape[2] else 0):
                        for x in range(columns):
                            ky = y_at + layer.padding[0] - y * layer.stride[0]
                            kx = x_at + layer.padding[1] - x * layer.stride[1]
                            if 0 <= ky < layer.kernel and 0 <= kx < layer.kernel:
                                taps = layer.weights[:, c_in + to.feature_shift, ky, kx]
                                added += [(y, x, c, int(taps[c])) for c in range(channels)]
            now[layer.name] = []
            for y, x, c, weight in added:
                low = -32768 if layer.v_min is None else layer.v_min
                potential = min(max(v[layer.name][c, y, x] + weight, low), 32767)
                if potential >= layer.threshold:
                    potential = potential - layer.threshold if layer.reset == "subtract" else 0
                    fired[layer.name] += 1
                    if fired[layer.name] % layer.decimator == 0:
                        now[layer.name].append((y, x, c))
                        said[layer.name].append([time, y, x, c])
                v[layer.name][c, y, x] = potential
    return said


def sent(found: ChipEvents) -> list[list[int]]:
    return [[time, *place] for time, place in zip(found.time.tolist(), found.neuron.tolist(), strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_layer_after_layer_is_turn_after_turn(seed: int) -> None:
    random = np.random.default_rng(seed)
    network = random_chip(random)
    trains, ticks = random_trains(random, network, 20, 12), sorted({int(t) for t in random.integers(0, 12, 3)})
    found = run_reference(network, trains, ticks)
    assert {name: sent(layer) for name, layer in found.items()} == plainly(network, trains, ticks)
    for layer in network.layers:
        arrived = sum(
            _operations(
                layer, to, (found[source.name].neuron if source.name in found else _places(trains[source.name]))
            )
            for source, to in network.arriving(layer.name)
        )
        assert found[layer.name].synops == arrived


def _places(train: EventTrain) -> Any:
    return np.stack([train.y, train.x, train.channel], axis=1)


def _operations(layer: ChipLayer, to: Destination, places: Any) -> int:
    fan_out, (_, rows, columns) = layer.fan_out(), layer.input_shape
    here = places[:, :2] // to.pool
    inside = here[(here[:, 0] < rows) & (here[:, 1] < columns)]
    return int(fan_out[inside[:, 0], inside[:, 1]].sum())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30), st.integers(1, 300))
def test_nothing_is_lost_without_ends(arriving: list[tuple[int, int]], threshold: int) -> None:
    """What arrived is what was sent and what is left, whatever the order."""
    weights = np.array([[[[40]], [[-35]], [[7]], [[-90]]]])
    for rules in (ChipRules(), ChipRules(permute=5)):
        found = run_reference(chain(weights, threshold=threshold), events(*arriving), rules=rules)["layer0"]
        total = sum(int(weights[0, channel, 0, 0]) for _, channel in arriving)
        assert found.potentials.item() + threshold * found.fired == total


def test_rules_have_a_text() -> None:
    rules = ChipRules("above", "neuron", "add", 7)
    assert str(rules) == "fires=above,decimator=neuron,ticks=add,permute=7"
    assert ChipRules.parse(str(rules)) == rules
    assert ChipRules.parse("") == ChipRules()
    for wrong in ("fires=never", "order=7", "permute=x", "fires=at,fires=at", "fires", "permute=-1"):
        with pytest.raises(SettingsError):
            ChipRules.parse(wrong)


def test_events_outside_are_named() -> None:
    network = chain([[[[1]]]])
    for train, said in (
        ({"input": EventTrain([0], [0], [0], [1])}, "input 'input' has channel 0 to 0; event 0 has 1"),
        ({"other": EventTrain([0], [0], [0], [0])}, "no input is called 'other'; there are input"),
    ):
        with pytest.raises(DataError, match=said):
            run_reference(network, train)
    with pytest.raises(DataError, match="events cannot come before 0 µs; one comes at -1 µs"):
        EventTrain([-1], [0], [0], [0])
    with pytest.raises(DataError, match="the slow clock cannot tick before 0 µs, as at -3 µs"):
        run_reference(network, {}, [-3])
