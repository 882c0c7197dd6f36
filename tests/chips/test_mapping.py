"""The best cores: the fact table's cases, and whatever networks by trying every assignment."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brute_chip import best, limits_kept, random_layers, synops, words

from spikewright.chips.chip import Speck
from spikewright.chips.known import chip
from spikewright.chips.limits import broken
from spikewright.chips.mapping import assign, best_assignment, holds, most_placed
from spikewright.chips.sizes import Sizes

FACTS = json.loads((Path(__file__).parent / "speck.json").read_text())
NUMBER = 200


def assigned(fitting: list[list[int]]) -> tuple[int, ...] | None:
    free = {(k, core): Fraction(1, 2) for k, cores in enumerate(fitting) for core in cores}
    return best_assignment(fitting, [1] * len(fitting), free, [0, 1])


@pytest.mark.parametrize("case", FACTS["mapping"], ids=lambda case: str(case["fitting_cores"])[:40])
def test_a_mapping_is_found_where_there_is_one(case: dict[str, Any]) -> None:
    found, fitting = assigned(case["fitting_cores"]), case["fitting_cores"]
    assert (found is None) == (case["sinabs"] == "no valid mapping")
    if found is None:
        return
    assert all(core in cores for core, cores in zip(found, fitting, strict=True))
    ways = [way for way in product(*fitting) if len(set(way)) == len(way)] if len(fitting) < 6 else [(), ()]
    if len(ways) == 1:
        assert list(found) == case["sinabs"]


def test_the_case_with_two_ways_takes_both_parallel_cores() -> None:
    assert assigned([[0, 1, 2], [0]]) == (1, 0)


def test_work_comes_first_then_free_memory_then_numbers() -> None:
    every = [[0, 1, 2, 3]] * 3
    plenty = {(k, core): Fraction(1, 2) for k in range(3) for core in range(4)}
    assert best_assignment(every, [5, 9, 7], plenty, [0, 1]) == (2, 0, 1)
    assert best_assignment(every, [5, 9, 7], {**plenty, (0, 2): Fraction(1, 4)}, [0, 1]) == (3, 0, 1)
    assert best_assignment(every, [5, 9, 7], {**plenty, (1, 0): Fraction(1, 4)}, [0, 1]) == (2, 1, 0)
    assert best_assignment(every, [0, 0, 0], plenty, [0, 1]) == (0, 1, 2)
    tenths = [0.1, 0.2, 0.3]  # whose sums depend on the order in which floats are added
    assert best_assignment([[0, 1, 2]] * 3, tenths, plenty, [0, 1]) == (2, 0, 1)


def test_as_many_layers_as_can_be_are_placed() -> None:
    assert most_placed([[0], [0, 1], [1]]) == (0, 1, None)
    assert most_placed([[0, 1], [0], []]) == (1, 0, None)


def checked(seed: int) -> tuple[bool, bool]:
    """One random network: all that is said of it is what trying everything says.

    Returns:
        whether there is a mapping, and whether limits are kept.
    """
    random = np.random.default_rng(seed)
    layers = random_layers(random)
    five = random.random() < 0.3
    own = chip("speck2cmini" if five else "speck2f")
    assert isinstance(own, Speck)
    table = FACTS["mini_cores" if five else "cores"]
    kept = True
    for layer in layers:
        labels = ("kernel_words", "neuron_words", "bias_words")
        assert {label: getattr(layer, label) for label in labels} == words(layer), seed
        assert layer.macs == synops(layer), seed
        assert (not broken(Sizes.of(layer), own)) == limits_kept(layer, FACTS["limits"]), seed
        kept = kept and limits_kept(layer, FACTS["limits"])
        fits = [core["core"] for core in table if all(core[label] >= words(layer)[label] for label in labels)]
        assert [core.number for core in own.cores if holds(core, layer)] == fits, seed
    wanted = best(layers, table, [] if five else [0, 1])
    assert assign(layers, own.cores) == wanted, seed
    return wanted is not None, kept


def test_random_networks_get_the_cores_that_trying_everything_finds() -> None:
    found = np.array([checked(seed) for seed in range(NUMBER)])
    assert 0.2 < found[:, 0].mean() < 0.9
    assert 0.2 < found[:, 1].mean() < 0.95
