"""Neurons of all populations, and of some by name or pattern: as values and as text."""

from __future__ import annotations

import pytest

import spikewright as sw
from networks import Builder, pools
from spikewright.conversion import Neurons, NeuronsByPopulation
from spikewright.errors import SettingsError, UnsupportedModelError
from spikewright.nodes import IF, SpikeMaxPool

OTHERS = Neurons("zero", None, 0.0, -1.0, 0.9, "exp_max", 8)


def test_texts_come_back() -> None:
    for one in (Neurons(), OTHERS, Neurons(max_spikes=3), Neurons(v_init=1e-3)):
        assert Neurons.parse(str(one)) == one
    assert str(OTHERS) == "reset=zero,spikes=multi,v_init=0.0,v_min=-1.0,leak=0.9,max_pool=exp_max,horizon=8"
    assert str(Neurons()) == ""
    for by in (
        NeuronsByPopulation(),
        NeuronsByPopulation(OTHERS, (("conv*", Neurons()), ("a.b/c:0", Neurons(max_spikes=2)))),
        NeuronsByPopulation(Neurons(), (("x", Neurons()),)),
    ):
        assert NeuronsByPopulation.parse(str(by)) == by


def test_the_last_pattern_that_fits_counts() -> None:
    by = NeuronsByPopulation.parse("spikes=2; conv*: spikes=3; conv1: reset=zero")
    assert by.of("fc") == Neurons(max_spikes=2)
    assert by.of("conv2") == Neurons(max_spikes=3)
    assert by.of("conv1") == Neurons(max_spikes=2, reset="zero")
    assert NeuronsByPopulation(Neurons(), (("[a]", OTHERS),)).of("[a]") == OTHERS  # a name as it is
    assert NeuronsByPopulation(Neurons(), {"a": OTHERS}).of("a") == OTHERS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spike=3", "neurons: unknown setting 'spike=3'; there are reset=, spikes=, v_init="),
        ("conv*: spikes", "neurons: unknown setting 'spikes'"),
        ("spikes=3,spikes=4", "neurons: spikes is given twice"),
        ("spikes=0", "neurons: spikes takes single, multi, or a cap like 3, not '0'"),
        ("v_init=a", "neurons: v_init takes a number, not 'a'"),
        ("horizon=1.5", "neurons: horizon takes a whole number"),
        ("reset=soft", "Neurons: reset must be 'subtract' or 'zero', not 'soft'"),
        (": spikes=3", "needs a name and settings; write conv\\*: spikes=3"),
        ("a: ; b: spikes=2", "neurons: 'a:' needs a name and settings"),
        ("a: spikes=3; a: spikes=2", "neurons: 'a: spikes=2' is given twice"),
    ],
)
def test_texts_that_say_nothing(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NeuronsByPopulation.parse(text)


def test_each_population_has_its_own() -> None:
    b = pools(1)
    x = b.samples(6)
    names = [node.name for node in sw.convert(b.graph(), x, "max").spiking.of_type(IF)]
    text = f"v_init=0; {names[0]}: spikes=3; pool*: max_pool=avg_max"
    conversion = sw.convert(b.graph(), x, "max", neurons=text)
    assert [node.max_spikes for node in conversion.spiking.of_type(IF)] == [3, *[1] * (len(names) - 1)]
    assert all(float(node.v_init) == 0 for node in conversion.spiking.of_type(IF))
    assert {pool.policy for pool in conversion.spiking.of_type(SpikeMaxPool)} == {"avg_max"}
    assert conversion.neurons == NeuronsByPopulation.parse(text)


def test_a_pattern_that_nothing_fits_is_refused_before_data_are_read() -> None:
    b = pools(1)
    with pytest.raises(SettingsError, match=r"neurons: no population is called 'fc\*'; there are "):
        sw.convert(b.graph(), None, "max", neurons="fc*: spikes=3")
    with pytest.raises(SettingsError, match=r"neurons must be Neurons, their text .* or NeuronsByPopulation.* not int"):
        sw.convert(b.graph(), b.samples(2), "max", neurons=3)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="exceptions are patterns of names, each with its Neurons"):
        NeuronsByPopulation(Neurons(), (("a", 3),))  # type: ignore[arg-type]
    blind = Builder(0, (1, 4, 4))
    blind.conv(2)
    blind.max_pool()
    with pytest.raises(UnsupportedModelError, match="fir_max lets spikes through, and it sees none"):
        sw.convert(blind.graph(), blind.samples(2), "max", neurons="*: max_pool=fir_max")
