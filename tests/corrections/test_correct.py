"""Correcting a conversion: what is typed, what is remembered, and that a saved one is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.corrections import Given, correctors
from spikewright.corrections.gain import Gain
from spikewright.corrections.v_init import VInit
from spikewright.data import as_dataset, sample_digests
from spikewright.errors import DataError, SettingsError
from spikewright.nodes import IF
from spikewright.timesteps import Timesteps

BUILDER = Builder(0, (2, 6, 6))
BUILDER.conv(4)
BUILDER.relu()
BUILDER.conv(5)
BUILDER.relu()
BUILDER.flatten()
BUILDER.linear(3)
GRAPH = BUILDER.graph()
X = np.random.default_rng(2).uniform(0, 1, (40, 2, 6, 6)).astype(np.float32)
OTHERS = np.random.default_rng(3).uniform(0, 1, (10, 2, 6, 6)).astype(np.float32)


def conversion(**options: Any) -> sw.Conversion:
    return sw.convert(GRAPH, X, "percentile:99", **options)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("v_init", VInit()),
        ("v_init:16", VInit(timesteps=Timesteps(16, 16))),
        ("v_init:4..32,neurons", VInit(timesteps=Timesteps(4, 32), neurons=True)),
        ("v_init:neurons,rounds=2", VInit(neurons=True, rounds=2)),
        ("gain:5", Gain(factor=5.0)),
    ],
)
def test_texts_parse_back(text: str, value: sw.Corrector) -> None:
    assert sw.corrector(text) == value
    assert str(value) == text
    assert sw.corrector(value) is value


@pytest.mark.parametrize("name", sorted(correctors()))
def test_every_corrector_has_a_text(name: str) -> None:
    made = correctors()[name]()
    assert sw.corrector(str(made)) == made


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("magic", "unknown corrector 'magic'; choose one of"),
        ("v_init:4..", "v_init: unknown option '4..'; it has timesteps, neurons, rounds"),
        ("v_init:8..4", "a range of timesteps goes up, as in 4..8, not 8..4"),
        ("v_init:8,16", "v_init: timesteps is given twice"),
        ("v_init:rounds=0", "v_init: rounds must be 1 or more, not 0"),
        ("v_init:rounds=some", "v_init: rounds takes a number, not 'some'"),
        ("v_init:rounds=1.5", "v_init: rounds must be a whole number, not 1.5"),
        ("v_init:neurons=maybe", "v_init: neurons is there or not; write it without '=maybe'"),
        ("gain:0", "gain: the factor must be above 0, not 0"),
        (3, "a corrector is a text like 'v_init:4..32' or a value like VInit"),
    ],
)
def test_texts_that_cannot_be_are_refused(text: Any, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        sw.correct(conversion(), X, text)
    assert why in str(caught.value)


def test_a_conversion_remembers_what_it_was_corrected_for(tmp_path: Path) -> None:
    before = conversion()
    after = sw.correct(before, X, ["gain:2", "v_init:4..8"], samples=30, seed=3)
    assert [one.name for one in after.corrections] == ["gain", "v_init"]
    assert dict(after.corrections[1].settings) == {
        "timesteps": "4..8",
        "encoder": "constant",
        "samples": 30,
        "seed": 3,
    }
    assert set(after.changed) == {node.name for node in after.spiking.of_type(IF)}
    assert not before.corrections
    sw.save(after, tmp_path / "spiking.safetensors")
    again = sw.load(tmp_path / "spiking.safetensors")
    assert again == after
    assert again.corrections == after.corrections


def test_samples_that_a_correction_saw_count_as_samples_of_calibration(tmp_path: Path) -> None:
    other = X + 1
    before = conversion()
    after = sw.correct(before, other, "v_init:4", samples=7)
    seen = sw.correct(before, X, "v_init:4").calibration
    assert len(after.calibration.digests) == len(X)
    assert len(after.calibration.corrected) == 7
    assert not len(seen.corrected)  # all of them were calibration's already
    digests = sample_digests(as_dataset(other, GRAPH.inputs))
    assert before.calibration.shared_with(digests) == 0
    assert after.calibration.shared_with(digests) == 7
    sw.save(after, tmp_path / "spiking.safetensors")
    assert sw.load(tmp_path / "spiking.safetensors").calibration == after.calibration


def test_where_nothing_is_said_the_timesteps_are_those_of_the_method_else_a_range() -> None:
    def tuned(text: str, **options: Any) -> str:
        return str(dict(sw.correct(conversion(), X, text, samples=4, **options).corrections[0].settings)["timesteps"])

    assert tuned("v_init") == "4..32"
    assert tuned("v_init", timesteps=8) == "8"
    assert tuned("v_init", timesteps="2..4") == "2..4"
    assert tuned("v_init:3", timesteps=8) == "3"


def test_what_cannot_be_corrected_is_refused() -> None:
    with pytest.raises(SettingsError, match="a conversion is corrected, as convert"):
        sw.correct(conversion().spiking, X, "v_init")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there are no samples to correct with"):
        sw.correct(conversion(), X[:0], "v_init")


def test_a_run_far_from_what_was_corrected_for_says_so() -> None:
    made = sw.correct(conversion(), X, "v_init:8..16", samples=8)

    def remarks(timesteps: int, network: sw.Conversion = made, **options: Any) -> list[str]:
        found = sw.simulate(network, OTHERS, timesteps, quiet=True, **options).warnings
        measured = sw.measure(network, OTHERS, timesteps, quiet=True, **options).warnings
        both = [[text for text in texts if "correction" in text] for texts in (found, measured)]
        assert both[0] == both[1]
        return both[0]

    far = "the correction v_init was made for {}, and this run has {}: correct the network for such runs"
    for near in (4, 8, 16, 32):
        assert not remarks(near)
    assert remarks(3) == [far.format("T = 8..16", "T = 3")]
    assert remarks(33) == [far.format("T = 8..16", "T = 33")]
    other = "T = 8..16 and the encoder constant", "T = 40 and poisson"
    assert remarks(40, encoder="poisson") == [far.format(*other)]
    assert remarks(8, encoder="poisson") == [far.format("the encoder constant", "poisson")]
    assert not remarks(100, sw.correct(conversion(), X, "gain:2"))


def test_convert_and_compare_correct_what_they_make() -> None:
    by_hand = sw.correct(conversion(), X, "v_init:4", samples=256)
    assert conversion(correct="v_init:4") == by_hand
    seen: list[tuple[str, int, int]] = []
    chain = ["gain:2", "v_init:4"]
    comparison = sw.compare(
        GRAPH, X[:30], X[30:], ["max", "percentile:99"], 4, correct=chain, progress=lambda *told: seen.append(told)
    )
    assert list(comparison.measures) == ["max + gain + v_init", "percentile:99 + gain + v_init"]
    assert comparison.settings["correct"] == "gain:2 + v_init:4"
    assert ("correcting by v_init:4", 3, 3) in seen
    one = comparison["max + gain + v_init"].conversion
    assert [str(each).partition(":")[0] for each in one.corrections] == ["gain", "v_init"]


@pytest.mark.parametrize("text", ["gain:2", "bursts:4"])
def test_where_no_population_spikes_that_is_said(text: str) -> None:
    b = Builder(0, (3,))
    b.linear(2)
    with pytest.raises(SettingsError, match="no population spikes; leave it out"):
        sw.convert(b.graph(), b.samples(10), "max", correct=text)


def test_samples_of_another_shape_are_refused() -> None:
    b = Builder(0, (3,))
    b.linear(2)
    b.relu()
    conversion = sw.convert(b.graph(), b.samples(10), "max")
    for wrong in (np.zeros((5, 4), np.float32), np.zeros((5, 2, 3), np.float32)):
        with pytest.raises(DataError, match=r"the network takes samples of shape \(3,\), the data has"):
            sw.correct(conversion, wrong, "v_init:4")
        with pytest.raises(DataError, match=r"the network takes samples of shape \(3,\), the data has"):
            sw.readout_start(conversion, wrong)


def test_corrections_without_samples_are_refused() -> None:
    statistics = sw.calibrate(sw.prepare(GRAPH)[0], X, "max")
    for source in (statistics, statistics.scales("max")):
        with pytest.raises(SettingsError, match="the correction v_init needs samples: give convert data"):
            sw.convert(GRAPH, source, correct="v_init")
    with pytest.raises(SettingsError, match="the correction v_init needs samples: give compare data"):
        sw.compare(GRAPH, statistics, X, "max", correct="v_init")


def test_correctors_of_one_length_share_a_walk() -> None:
    told: list[tuple[str, int, int]] = []
    chain = ["v_init:4", "bias:4", "gain:2", "v_init:8", "bias:4..8"]
    with pytest.raises(SettingsError, match="the gain comes first"):
        sw.correct(conversion(), X, chain, progress=lambda *each: told.append(each))
    assert not told  # before anything is done
    sw.correct(conversion(), X, [chain[2], *chain[:2], *chain[3:]], progress=lambda *each: told.append(each))
    assert list(dict.fromkeys(what for what, _, _ in told)) == [
        "correcting by v_init:4, bias:4",
        "correcting by v_init:8, bias:4..8",
    ]


def test_a_layer_meets_what_all_correctors_have_made_of_those_before_it() -> None:
    together = sw.correct(conversion(), X, ["v_init:4", "bias:4"])
    names = [node.name for node in together.spiking.of_type(IF)]
    assert [str(one) for one in together.corrections] == [
        "v_init:timesteps=4,encoder=constant,samples=40,seed=0",
        "bias:timesteps=4,encoder=constant,samples=40,seed=0",
    ]
    # the first population as in walks of their own; the second one by the first as it is in the end
    apart = sw.correct(sw.correct(conversion(), X, "v_init:4"), X, "bias:4")
    for label in ("v_init", "threshold"):
        first, same = (getattr(each.spiking[names[0]], label) for each in (together, apart))
        np.testing.assert_array_equal(first, same)
    upstream = [
        node for node in together.spiking if node.name == names[0] or node.name in before_it(together, names[0])
    ]
    second = conversion().with_spiking(conversion().spiking.replaced(*upstream))
    given = Given(second, as_dataset(X, second.spiking.inputs), Timesteps(4, 4))
    for layer in given.walk():
        if layer.name == names[1]:
            (alone,) = VInit().layer(layer, given)
            made = together.spiking[names[1]]
            assert isinstance(alone, IF)
            assert isinstance(made, IF)
            np.testing.assert_array_equal(alone.v_init, made.v_init)


def before_it(conversion: sw.Conversion, name: str) -> set[str]:
    """The names of all that stands before a population."""
    found: set[str] = set()
    waiting = list(conversion.spiking[name].inputs)
    while waiting:
        found.add(waiting.pop())
        waiting += [source for one in found for source in conversion.spiking[one].inputs if source not in found]
    return found
