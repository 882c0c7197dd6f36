"""Chips are data: their limits are those that are public, each with where it stands."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from spikewright.chips.chip import Chip, Core, Speck
from spikewright.chips.known import chip, chips
from spikewright.errors import SettingsError

FACTS = json.loads((Path(__file__).parent / "speck.json").read_text())
NINE = ("speck2e", "speck2f", "speck2b", "dynapcnndevkit")


def table(cores: tuple[Core, ...]) -> list[dict[str, int]]:
    labels = ("kernel_words", "neuron_words", "bias_words")
    return [{"core": core.number, **{label: getattr(core, label) for label in labels}} for core in cores]


def speck(name: str) -> Speck:
    found = chip(name)
    assert isinstance(found, Speck)
    return found


@pytest.mark.parametrize("name", NINE)
def test_nine_cores_are_those_of_the_data_sheet(name: str) -> None:
    cores = speck(name).cores
    assert table(cores) == FACTS["cores"]
    assert sum(core.neuron_words for core in cores) == FACTS["totals"]["neuron_words"]
    assert sum(core.kernel_words for core in cores) == FACTS["totals"]["kernel_words"]
    assert [core.number for core in cores if core.parallel] == [0, 1]


@pytest.mark.parametrize("name", ["speck2cmini", "speck2dmini"])
def test_five_cores_are_those_of_the_small_chips(name: str) -> None:
    assert table(speck(name).cores) == FACTS["mini_cores"]


def test_limits_are_those_of_the_data_sheet() -> None:
    own, limits = speck("speck2f"), FACTS["limits"]
    assert [list(own.input_max), list(own.output_max)] == [limits["input_max_xy"], limits["conv_output_max_xy"]]
    assert (own.features_max, [own.kernel_max] * 2) == (limits["features_max"], limits["kernel_max_xy"])
    assert [list(own.strides), list(own.pools)] == [limits["stride"], limits["sum_pool"]]
    assert [0, own.padding_max] == limits["padding"]
    assert own.destinations_max == limits["destinations_per_core"]
    assert own.decimators[1:] == tuple(FACTS["decimator"].values())
    assert speck("speck2b").decimators == (1,)
    assert own.synops_per_second is None  # no number is public


@pytest.mark.parametrize("name", sorted(chips()))
def test_every_number_has_its_source(name: str) -> None:
    own = chip(name)
    assert (own.name, str(own)) == (name, name)
    limits = {f.name for f in fields(own)} - {"name", "sources", "notes"}
    assert own.sources.keys() == limits
    assert all(own.sources.values())


def test_a_limit_without_a_source_is_refused() -> None:
    own = speck("speck2f")
    with pytest.raises(SettingsError, match="chip 'mine': bias_bits has no source"):
        replace(own, name="mine", sources={})
    with pytest.raises(SettingsError, match="chip 'mine': colour is no limit of it"):
        replace(own, name="mine", sources={**own.sources, "colour": "seen"})


def test_an_unknown_chip_is_named_with_those_that_are_known() -> None:
    assert isinstance(chip(chip("speck2e")), Chip)
    with pytest.raises(SettingsError, match=r"unknown chip 'loihi'; choose one of .*speck2e, speck2f"):
        chip("loihi")
    meant = {"speck2": "speck2", "Speck2F": "speck2f", "speck2f ": "speck2f", "xylo_imo": "xylo_imu"}
    for typed, near in meant.items():
        with pytest.raises(SettingsError, match=f"unknown chip '{typed}'; did you mean {near}"):
            chip(typed)
    with pytest.raises(SettingsError, match="unknown chip 3; choose"):
        chip(3)  # type: ignore[arg-type]
