"""Quantising: every number of the facts by the common rule, its traps, and the least loss rule on calibration data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.chips.integers import Integers, coarse, fitting_factor, integers_of
from spikewright.chips.known.speck2f import CHIP
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination
from spikewright.errors import DataError, SettingsError

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "quantising.json").read_text(encoding="utf-8"))


def single(weights: Any, shape: tuple[int, int, int] | None = None, **fields: Any) -> ChipNetwork:
    """One layer that reads the input."""
    kernel = np.asarray(weights, np.float64)
    size = shape or (kernel.shape[1], kernel.shape[2], kernel.shape[3])
    layer = ChipLayer("layer", ("input",), size, kernel, **fields)
    return ChipNetwork((ChipInput("input", size, (Destination("layer"),)),), (layer,))


def common(weights: Any, bits: int = 8, **fields: Any) -> Integers:
    return integers_of(single(weights, **fields), CHIP, bias_bits=bits)


def pointwise(*weights: float) -> list[Any]:
    """A kernel of one place for each weight."""
    return [[[[weight]] for weight in weights]]


def test_the_example_of_the_facts() -> None:
    example = FACTS["example"]
    found = common(pointwise(*example["w"]), bias=np.array([example["b"]]), threshold=1, v_min=-1)
    layer = found.network["layer"]
    assert layer.weights.reshape(-1).tolist() == example["w_q"]
    assert (layer.bias, layer.threshold, layer.v_min) == (example["b_q"], example["theta_q"], example["v_min_q"])
    assert found.losses[0].factor == pytest.approx(example["s"], abs=0.005)


def expected(case: str, core: str) -> tuple[Any, Any, Any, Any]:
    """What the facts say of a core: weights there are [out][in][x][y]."""
    fields = FACTS["cases"][case]["cores"][core]
    weights = np.transpose(fields["weights"], (0, 1, 3, 2)).tolist()
    return weights, fields["biases"], fields["threshold_high"], fields["threshold_low"]


def made(network: ChipNetwork) -> tuple[Any, Any, Any, Any]:
    layer = integers_of(network, CHIP, bias_bits=8).network.layers[0]
    bias = [0] * len(layer.weights) if layer.bias is None else layer.bias.tolist()
    return layer.weights.tolist(), bias, layer.threshold, layer.v_min


def test_worked_example_a_has_a_bias() -> None:
    case = FACTS["cases"]["A"]["float"]
    network = single(case["weight"], (1, 3, 3), bias=np.array(case["bias"]), threshold=1.0, v_min=-1.0)
    assert made(network) == expected("A", "0")
    assert integers_of(network, CHIP, bias_bits=8).losses[0].factor == pytest.approx(195.38463, abs=1e-4)


@pytest.mark.parametrize(
    ("case", "core", "weights", "shape"),
    [
        ("B", "0", "w1", (1, 8, 8)),
        ("D", "0", "w1", (1, 8, 8)),
        ("D", "1", "w2", (2, 8, 8)),
        ("D", "2", "w3", (2, 8, 8)),
    ],
)
def test_worked_examples_without_biases(case: str, core: str, weights: str, shape: tuple[int, int, int]) -> None:
    network = single(FACTS["cases"][case]["float"][weights], shape, threshold=1.0, v_min=-1.0)
    assert made(network) == expected(case, core)


def test_an_average_pool_is_in_the_next_weights_before_they_are_scaled() -> None:
    weights = np.array(FACTS["cases"]["B"]["float"]["w2"]).reshape(3, 2, 3, 3) / 4
    assert made(single(weights, threshold=1.0, v_min=-1.0)) == expected("B", "1")


def test_no_lowest_potential_does_not_count_as_the_end_of_the_word() -> None:
    """Taken for -32768 it makes the factor 1, and every weight 0 or 1 or −1."""
    weights = FACTS["cases"]["A"]["float"]["weight"]
    layer = common(weights, shape=(1, 3, 3)).network["layer"]
    assert layer.weights.tolist() == expected("A", "0")[0]
    assert layer.v_min is None
    taken = common(weights, shape=(1, 3, 3), v_min=-32768.0).network["layer"]
    assert (np.abs(taken.weights) <= 1).all()
    assert np.transpose(taken.weights, (0, 1, 3, 2)).tolist() == FACTS["no_clamp"]["weights"]


def test_a_large_bias_takes_precision_in_8_bits_and_is_said_to() -> None:
    weights = [0.05, -0.04, 0.03, 0.02, 0.01, -0.05, 0.05, 0.0]
    eight = common(pointwise(*weights), bias=np.array([1.0]))
    assert (np.abs(eight.network["layer"].weights) <= 6).all()
    assert eight.network["layer"].threshold == 127
    assert eight.losses[0].bound_by == "bias"
    assert eight.notes == ("layer 'layer': its bias bound the factor, so that weights reach only 6 of 127",)
    sixteen = common(pointwise(*weights), 16, bias=np.array([1.0]))
    assert sixteen.losses[0].factor == pytest.approx(2540)
    assert np.abs(sixteen.network["layer"].weights).max() == 127
    assert sixteen.notes == ()
    assert integers_of(single(pointwise(*weights), bias=np.array([1.0])), CHIP).losses[0].factor == 2540


def test_a_lowest_potential_of_zero_becomes_minus_one_and_is_said_to() -> None:
    found = common(pointwise(0.5), v_min=0.0)
    assert found.network["layer"].v_min == -1
    assert found.notes == (
        "layer 'layer': potentials end at −1, not 0: the chip has a fault at a lower threshold of 0",
    )


def test_a_weight_above_the_threshold_is_said_to_keep_neurons_firing() -> None:
    (note,) = common(pointwise(2.5)).notes
    assert note == (
        "layer 'layer': weights reach 127, its threshold is 51: a neuron that gets one such event keeps firing at "
        "every event that follows, until the rest is sent"
    )


def test_high_thresholds_and_initial_potentials_bind_too() -> None:
    assert common(pointwise(0.001), threshold=1.0).losses[0].bound_by == "thresholds"
    assert common(pointwise(0.001), threshold=1.0).network["layer"].threshold == 32767
    found = common(pointwise(0.001), threshold=0.5, v_init=-2.0)
    assert found.losses[0].bound_by == "potentials"
    assert found.network["layer"].v_init == -32768


def test_zeros_fit_by_any_factor() -> None:
    assert fitting_factor([0.0, 0.0], 8) == np.inf


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(8))
def test_the_factor_is_the_largest_that_fits(seed: int, bits: int) -> None:
    random = np.random.default_rng(seed)
    values, most = random.normal(0, 10.0 ** random.integers(-3, 4), 5), 2 ** (bits - 1)
    factor = fitting_factor(values, bits)
    scaled = values * factor
    assert -most * (1 + 1e-9) <= scaled.min()
    assert scaled.max() <= (most - 1) * (1 + 1e-9)
    assert min(abs(scaled.min() + most), abs(scaled.max() - most + 1)) < 1e-6 * most


def outliers() -> tuple[ChipNetwork, Any]:
    """Small weights and one that is far larger, which reads what hardly ever happens."""
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.01, (4, 8, 1, 1))
    weights[0, 7] = 0.5
    pictures = random.random((20, 8, 3, 3))
    pictures[:, 7] *= 1e-4
    return single(weights, (8, 3, 3), bias=random.normal(0, 0.005, 4), threshold=0.02), {"input": pictures}


def test_the_least_loss_rule_clips_outliers_where_that_pays() -> None:
    network, pictures = outliers()
    usual, best = integers_of(network, CHIP), integers_of(network, CHIP, pictures)
    assert (usual.losses[0].clipped, best.losses[0].clipped) == (0, 2)
    assert best.losses[0].bound_by == "calibration"
    assert best.losses[0].output is not None
    assert best.losses[0].output < 0.5 * output_error(network, usual.network, pictures)
    assert best.losses[0].output == pytest.approx(output_error(network, best.network, pictures), rel=0.2)
    assert str(best.losses[0]).startswith("layer: factor ")
    assert "2 cut off" in str(best.losses[0])


def quiet_channel() -> tuple[ChipNetwork, Any]:
    """A channel that hardly ever fires: its λ is small, so that its weights are forty times as large as all others."""
    random = np.random.default_rng(5)
    weights = random.normal(0, 0.05, (16, 8, 1, 1))
    weights[3] = -np.abs(weights[3]) * 40
    pictures = random.random((40, 8, 3, 3))
    return single(weights, (8, 3, 3), bias=np.zeros(16), threshold=1.0), {"input": pictures}


def test_a_channel_with_far_larger_weights_does_not_cost_the_others_theirs() -> None:
    network, pictures = quiet_channel()
    usual, best = integers_of(network, CHIP), integers_of(network, CHIP, pictures)
    others = np.delete(np.arange(16), 3)
    assert np.abs(usual.network["layer"].weights[others]).max() <= 8
    assert np.abs(best.network["layer"].weights[others]).max() >= 64
    assert output_error(network, usual.network, pictures) > 0.1
    assert output_error(network, best.network, pictures) < 0.01
    assert best.notes == ()


def test_what_a_channel_with_far_larger_weights_costs_is_said_with_what_mends_it() -> None:
    made = integers_of(quiet_channel()[0], CHIP)
    assert [int(np.abs(one).max()) <= 3 for one in made.network["layer"].weights].count(True) == 10
    (note,) = made.notes
    assert note == (
        "layer 'layer': in 10 of 16 channels no weight is beyond 3 of 127, since the weights of others are so large: "
        "most of what they compute is rounded away; 'quantise' with --data cuts the large ones off where that loses "
        "less"
    )
    assert coarse(single(np.ones((4, 2, 1, 1)))["layer"], 8) == ""
    assert coarse(single(np.zeros((4, 2, 1, 1)))["layer"], 8) == ""


def output_error(network: ChipNetwork, other: ChipNetwork, pictures: Any) -> float:
    """Written out: the error of rectified currents in units of the threshold."""

    def sent(layer: ChipLayer) -> Any:
        currents = np.einsum("oi,niyx->noyx", layer.weights[:, :, 0, 0], pictures["input"])
        assert layer.bias is not None
        return np.maximum(currents + layer.bias[None, :, None, None], 0) / layer.threshold

    own = sent(network["layer"])
    size = np.square(own).sum()  # zero where the drawn weights send nothing at all
    return float(np.sqrt(np.square(sent(other["layer"]) - own).sum() / size)) if size else 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_calibration_never_loses_more_than_the_common_rule(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.standard_t(2, (3, 4, 1, 1))
    network = single(weights, (4, 2, 2), threshold=2.0, bias=random.normal(0, 0.2, 3))
    pictures = {"input": random.random((30, 4, 2, 2))}
    usual, best = (integers_of(network, CHIP, given) for given in (None, pictures))
    assert output_error(network, best.network, pictures) <= output_error(network, usual.network, pictures) + 1e-12
    for layer in (*usual.network.layers, *best.network.layers):
        assert layer.is_integer
        assert -128 <= layer.weights.min() <= layer.weights.max() <= 127


def test_rates_go_through_all_layers_and_pools() -> None:
    """A second layer sees the sum over the pool of what the first sends."""
    first = ChipLayer(
        "a", ("input",), (1, 2, 2), np.array([[[[2.0]]], [[[-1.0]]]]), destinations=(Destination("b", 2, 1),)
    )
    second = ChipLayer("b", ("a",), (3, 1, 1), np.full((1, 3, 1, 1), 0.5))
    network = ChipNetwork((ChipInput("input", (1, 2, 2), (Destination("a"),), 0.5),), (first, second))
    from spikewright.chips.rate_samples import rate_samples

    found = rate_samples(network, {"input": np.array([[[[0.5, 0.0], [0.25, 1.0]]]])})
    assert sorted(found["a"].patches.reshape(-1).tolist()) == [0.0, 0.5, 1.0, 2.0]
    assert found["b"].patches.tolist() == [[0.0, 7.0, 0.0]]


def test_what_cannot_be_quantised_is_refused() -> None:
    network = single(pointwise(0.5, 0.25))
    with pytest.raises(SettingsError, match="the network is integers already"):
        integers_of(integers_of(network, CHIP).network, CHIP)
    with pytest.raises(DataError, match=r"input 'input' needs pictures \(N, 2, 1, 1\), not \(3, 1, 1\)"):
        integers_of(network, CHIP, {"input": np.zeros((3, 1, 1))})
    with pytest.raises(SettingsError, match="bias_bits"):
        integers_of(network, CHIP, bias_bits=1)
