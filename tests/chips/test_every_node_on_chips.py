"""Every node type in front of a core: the same network there, spike for spike, or one line that says what would do."""

from __future__ import annotations

import numpy as np
import pytest
from lowering_cases import SPECK, same_spikes

import spikewright as sw
from every_node import each, to_be_spikes
from spikewright.chips.known import chips
from spikewright.chips.lowering import lower
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.errors import Problem, UnsupportedModelError
from spikewright.graph import Graph

ON_NO_CORE = {
    ("AdaptiveAvgPool", 0, False),
    ("AvgPool", 1, False),
    ("ChannelAffine", 0, False),
    ("Concat", 1, False),
    ("ConvTranspose", 0, False),
    ("ConvTranspose", 0, True),
    ("ConvTranspose", 1, False),
    ("GlobalAvgPool", 0, False),
    *((name, 0, dense) for name in ("GlobalMaxPool", "LIF", "MaxPool", "SpikeMaxPool") for dense in (False, True)),
    *((name, way, False) for name, way in [("Pad", 0), ("Pad", 1), ("Permute", 0), ("Permute", 1), ("Reshape", 0)]),
    *(
        (name, way, False)
        for name, way in [("Resample", 0), ("Resample", 1), ("Take", 0), ("Take", 3), ("Upsample", 0)]
    ),
}
"""What a core of the Speck cannot compute: everything else is the same network there, spike for spike."""


def line(problem: Problem, graph: Graph) -> None:
    """It names a node of the network, and says what would do."""
    text = str(problem)
    assert "\n" not in text
    assert any(f"'{node.name}'" in text for node in graph)
    assert len(text.split(": ")) >= 3 or "; " in text or "convert " in text, text


@each
def test_on_a_core(name: str, way: int, dense: bool) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    lowered = lower(conversion, SPECK)
    assert bool(lowered.problems) == ((name, way, dense) in ON_NO_CORE)
    for problem in lowered.problems:
        line(problem, conversion.spiking)
    if not lowered.problems:
        same_spikes(conversion.spiking, lowered.checked(SPECK), x)


@each
def test_every_chip_says_whether_it_fits(name: str, way: int, dense: bool) -> None:
    conversion, _ = to_be_spikes(name, way, dense)
    for chip in chips():
        fit = sw.check(conversion, chip)
        assert fit.fits <= (not fit.problems)
        for problem in fit.problems:
            assert "\n" not in str(problem)


@each
def test_as_a_chips_integers(name: str, way: int, dense: bool) -> None:
    conversion, x = to_be_spikes(name, way, dense)
    if (name, way, dense) in ON_NO_CORE:
        with pytest.raises(UnsupportedModelError) as caught:
            sw.quantise(conversion, "speck2f")
        assert len(str(caught.value).splitlines()) == 1
        return
    measured = sw.measure_chip(
        sw.quantise(conversion, "speck2f"), (x, np.zeros(len(x), int)), PictureTrains(4), allow_overlap=True
    )
    assert set(measured.layers) == {node.name for node in conversion.spiking.populations}
