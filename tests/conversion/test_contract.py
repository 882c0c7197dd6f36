"""What the neurons of a network ask of who runs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import pools
from spikewright.conversion import Contract, contract_of
from spikewright.nodes import IF

LATENCY = "latency: T timesteps, whatever the depth"


def contract(neurons: str, **fields: Any) -> Contract:
    """Of a small network whose neurons are like that, with some fields of its first population changed."""
    b = pools(1)
    spiking = sw.convert(b.graph(), b.samples(6), "max", neurons=neurons).spiking
    first = spiking.of_type(IF)[0]
    channels = spiking.shapes[first.name][0]
    made = {label: np.zeros((4, channels) if label == "step_bias" else channels) for label in fields}
    return contract_of(spiking.replaced(first.replace(**made)))


@pytest.mark.parametrize(
    ("neurons", "names", "needs", "levels"),
    [
        ("", ("A",), ("0 or 1 spike a step", "the threshold is taken off for each spike"), 17),
        ("reset=zero", ("A",), ("0 or 1 spike a step", "the potential is set back after a spike"), 17),
        ("leak=0.9,v_min=-1", ("A",), ("the potential leaks", "the potential has a lower end"), 17),
        ("no_debt", ("A'",), ("the potential ends at zero from below until the first spike",), 17),
        (
            "signed",
            ("B",),
            ("−1, 0 or 1 a step; −1 only takes back what the neuron sent, so it remembers the sum",),
            17,
        ),
        ("spikes=4", ("B2",), ("up to 4 spikes a step",), 65),
        ("spikes=multi", ("B2",), ("any number of spikes a step",), None),
        (
            "signed,spikes=4",
            ("B2", "B"),
            ("up to 4 spikes a step, and as many of −1 that take back what was sent",),
            65,
        ),
    ],
)
def test_each_kind_of_neuron(neurons: str, names: tuple[str, ...], needs: tuple[str, ...], levels: int | None) -> None:
    found = contract(neurons)
    assert found.names == names
    assert set(needs) <= set(found.needs)
    assert found.levels(16) == levels
    assert str(found).startswith(f"{' and '.join(names)}: ")
    assert LATENCY in str(found)


def test_a_network_keeps_the_contracts_of_all_its_populations() -> None:
    found = contract("signed; relu6: signed=false", step_bias=True, fired_bias=True)
    assert set(found.names) == {"B", "A'"}
    assert "a bias for each step, from a table" in found.needs
    assert "a bias that acts once the neuron has fired" in found.needs
    assert str(contract("")) == (
        f"A: 0 or 1 spike a step; the threshold is taken off for each spike; {LATENCY}; T + 1 levels in T steps"
    )


def test_a_conversion_says_it() -> None:
    b = pools(1)
    conversion = sw.convert(b.graph(), b.samples(6), "max", neurons="spikes=4,no_debt")
    assert conversion.contract == contract("spikes=4,no_debt")
    assert f"contract: {conversion.contract}" in repr(conversion).replace("\n  ", "\n").splitlines()
    assert "4·T + 1 levels in T steps" in str(conversion.contract)
    assert conversion.contract.summary()["names"] == ["B2", "A'"]


def test_windows_count_by_the_network_s_depth() -> None:
    layered, few = contract("layered"), contract("few_spike")
    assert (layered.names, few.names) == (("C",), ("D",))
    assert layered.needs == ("all T steps are added up, then the count is sent, spread evenly over the next T",)
    assert layered.latency == few.latency == "a window for every population on the longest path, and one more"
    assert (layered.levels(8), few.levels(8)) == (9, 256)
    assert str(few).endswith("2^T levels in T steps")
