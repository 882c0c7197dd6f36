"""Chips of other kinds: Xylo by numbers of neurons and synapses, Akida by shapes of layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import spikewright as sw
from networks import Builder
from spikewright.chips.chip import Chip
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output


def dense(*widths: int, inputs: int = 16) -> Graph:
    b = Builder(0, (inputs,))
    for k, width in enumerate(widths):
        b.linear(width)
        if k < len(widths) - 1:
            b.relu()
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


def convolutions(channels: int, kernel: int, stride: int, inputs: int = 3, side: int = 32) -> Graph:
    b = Builder(0, (inputs, side, side))
    b.conv(8, 3)
    b.relu()
    b.conv(channels, kernel, stride)
    b.relu()
    b.flatten()
    b.linear(4)
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


def test_a_small_network_fits_a_xylo() -> None:
    fit = sw.check(dense(60, 8), "xylo_audio_2")
    assert fit.fits
    assert "Spikewright quantises nothing for it" in str(fit)
    assert sw.check(dense(60, 32), "xylo_audio_3").fits


@pytest.mark.parametrize(
    ("chip", "widths", "inputs", "message"),
    [
        ("xylo_audio_2", (60, 9), 16, "9 output neurons are more than 8: answer with fewer values"),
        ("xylo_audio_2", (60, 8), 17, "17 inputs are more than 16"),
        ("xylo_audio_2", (1001, 8), 16, "1,001 hidden neurons are more than 1,000"),
        ("xylo_audio_2", (64, 8), 16, "output_spikes: 64 synapses end at a neuron, more than 63"),
        ("xylo_audio_2", (60, 65, 8), 16, "relu2: 65 synapses leave a neuron, more than 64"),
        ("xylo_audio_3", (129, 32), 16, "129 neurons that read inputs are more than 128"),
        ("xylo_imu", (400, 100, 16), 16, "500 hidden neurons are more than 496"),
        ("xylo_audio_2", (8,), 16, "a layer of neurons alone is too few"),
    ],
)
def test_limits_of_xylo(chip: str, widths: tuple[int, ...], inputs: int, message: str) -> None:
    fit = sw.check(dense(*widths, inputs=inputs), chip)
    assert not fit.fits
    assert message in "\n".join(fit.broken)


def test_answers_of_a_xylo_are_spikes() -> None:
    b = Builder(0, (16,))
    b.linear(20)
    b.relu()
    b.linear(4)
    graph = Graph([*b.nodes, Output(name="output", inputs=(b.at,))])
    x = np.abs(b.samples(20))
    assert "convert with --readout count" in sw.check(sw.convert(graph, x), "xylo_audio_3").broken[0]
    assert sw.check(sw.convert(graph, x, readout="count"), "xylo_audio_3").fits


def test_shapes_of_akida() -> None:
    assert sw.check(convolutions(8, 3, 2), "akida_1_0").fits
    assert "4 are more" not in str(sw.check(convolutions(8, 3, 2), "akida_2_0"))
    pooled = Builder(0, (3, 32, 32))
    pooled.conv(8)
    pooled.relu()
    pooled.avg_pool()
    pooled.conv(8, padding=((0, 0), (1, 1)))
    pooled.relu()
    averages = Graph([*pooled.nodes, Output(name="output", inputs=(pooled.at,))])
    for graph, chip, message in (
        (averages, "akida_1_0", "only maxima are pooled, and means of whole maps"),
        (averages, "akida_2_0", "its padding is not 'same', which every layer but the first has"),
        (convolutions(8, 5, 2), "akida_1_0", "a stride of 2 needs a kernel of 3, not 5"),
        (convolutions(8, 4, 1), "akida_2_0", "a kernel of 4 is none of 1, 3, 5, 7"),
        (convolutions(8, 3, 1, inputs=2), "akida_1_0", "reads 2 channels, not 1, 3"),
        (convolutions(8, 3, 1, side=32), "akida_2_0", "reads 8,192 values, more than 2,048: pool before it"),
    ):
        fit = sw.check(graph, chip)
        assert not fit.fits
        assert message in "\n".join(fit.broken)


def test_what_is_not_checked_is_refused() -> None:
    with pytest.raises(SettingsError, match="chip 'xylo_imu': only numbers and shapes are checked"):
        sw.check(dense(60, 8), "xylo_imu", synops_limit=1e6)

    @dataclass(frozen=True, kw_only=True)
    class Other(Chip):
        pass

    with pytest.raises(SettingsError, match="nobody says how a Other is checked"):
        sw.check(dense(60, 8), Other(name="mine"))
