"""Whether networks fit: the fact table's networks, every limit, and changes with which they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brute_chip import random_layers
from hypothesis import given
from hypothesis import strategies as st
from lowering_cases import SPECK, average_pool, converted, dense_layer

import spikewright as sw
from networks import Builder
from spikewright.chips.fit import check
from spikewright.chips.known import chip
from spikewright.chips.limits import broken
from spikewright.chips.mapping import most_placed
from spikewright.chips.sizes import Sizes
from spikewright.chips.suggestions import changes, fitting_cores
from spikewright.chips.value import Fit
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output

FACTS = json.loads((Path(__file__).parent / "speck.json").read_text())
NONE = ((0, 0), (0, 0))


def trained(*blocks: tuple[Any, ...], shape: tuple[int, ...] = (1, 28, 28)) -> Graph:
    """A network from words: ("conv", channels, kernel, padding), ("pool", side), ("linear", outputs)."""
    b = Builder(0, shape)
    for kind, *numbers in blocks:
        if kind == "conv":
            channels, kernel, padding = numbers
            b.conv(channels, kernel, padding=((padding, padding),) * 2)
            b.relu()
        elif kind == "pool":
            b.avg_pool(numbers[0])
        else:
            if len(b.shape) > 1:
                b.flatten()
            b.linear(numbers[0])
            if (kind, *numbers) != tuple(blocks[-1]):
                b.relu()
    return Graph([*b.nodes, Output(name="output", inputs=(b.at,))])


LENET = (("conv", 20, 5, 0), ("pool", 2), ("conv", 32, 5, 0), ("pool", 2), ("conv", 128, 3, 0), ("pool", 2))
NETWORKS = {
    FACTS["networks"][0]["name"]: (*LENET, ("linear", 500), ("linear", 10)),
    FACTS["networks"][1]["name"]: (
        *(("conv", 32, 3, 0), ("pool", 2), ("conv", 32, 3, 0), ("pool", 2), ("conv", 32, 3, 0), ("pool", 2)),
        ("linear", 10),
    ),
}


@pytest.mark.parametrize("facts", FACTS["networks"], ids=lambda facts: facts["name"][:9])
def test_networks_of_the_fact_table_fit(facts: dict[str, Any]) -> None:
    fit = check(trained(*NETWORKS[facts["name"]]))
    assert fit.fits
    assert [layer.kernel_words for layer in fit.layers] == facts["kernel"]
    assert [layer.neuron_words for layer in fit.layers] == facts["neuron"]
    assert "not converted yet" in fit.remarks[0]
    for layer in fit.layers:
        assert layer.core in layer.cores


def test_the_busiest_layers_stand_on_the_cores_that_compute_in_parallel() -> None:
    fit = check(trained(*NETWORKS[FACTS["networks"][0]["name"]]))
    busiest = max(fit.layers, key=lambda layer: layer.macs if 0 in layer.cores else 0)
    assert busiest.core in (0, 1)


def test_a_fit_prints_and_is_json() -> None:
    fit = check(converted(average_pool)[0], dt=1e-3)
    assert fit.fits
    assert str(fit).splitlines()[0] == "speck2f: it fits"
    assert "relu2 (2×8×8 to 4×8×8, kernel 3): 128 kernel, 256 neuron, 4 bias words: core 0" in str(fit)
    assert "2 layers have biases: the slow clock must tick at 1,000 Hz; without it they do nothing" in str(fit)
    summary = json.loads(json.dumps(fit.summary()))
    assert summary["fits"] is True
    assert summary["clock_hz"] == 1000
    assert summary["layers"][0]["core"] == fit.cores["relu2"] == 0
    assert summary["layers"][1]["rewrites"] == ["average pool as a sum pool, weights divided"]


@pytest.mark.parametrize("dt", [0.2, 1e-5])
def test_a_step_that_no_clock_has_is_refused(dt: float) -> None:
    with pytest.raises(SettingsError, match=r"ticks 10 to 10000 times a second, so that a step lasts 0.0001 to"):
        check(converted(average_pool)[0], dt=dt)


def said(*blocks: tuple[Any, ...], shape: tuple[int, ...] = (1, 28, 28), on: str = "speck2f") -> str:
    fit = check(trained(*blocks, shape=shape), on)
    assert not fit.fits
    return str(fit)


def test_every_limit_is_said_with_what_would_fit() -> None:
    text = said(("conv", 64, 3, 1), ("conv", 65, 3, 1), ("linear", 5), shape=(2, 8, 8))
    assert "its 131,072 kernel words are more than any core has (65,536)" in text
    assert "relu4 would fit with 64 channels (core 6)" in text
    assert "or 32 input channels" in text
    text = said(("conv", 2, 17, 0), ("linear", 5))
    assert "its kernel of 17x17 is larger than 16x16" in text
    assert "would fit with a kernel of 15x15" in text
    text = said(("conv", 2, 3, 1), ("linear", 5), shape=(1, 128, 100))
    assert "its map of 128x100 before any pool is larger than 64x64" in text
    assert "would fit with stride 2" in text
    assert "or a pool of 2 before it" in text
    text = said(("conv", 16, 3, 1), ("linear", 5), shape=(1, 200, 10))
    assert "input 'input': its 200x10 pixels are more than 128x128" in text
    text = said(("conv", 2, 3, 8), ("linear", 5), shape=(1, 8, 8))
    assert "its padding of 8 is more than 7" in text
    text = said(("conv", 2048, 1, 0), ("pool", 4), ("linear", 5), shape=(1, 4, 4))
    assert "its 2,048 output channels are more than 1,024" in text
    text = said(*[("conv", 2, 3, 1)] * 9, ("linear", 5), shape=(1, 4, 4))
    assert "10 layers are more than the 9 cores of speck2f: take 1 away" in text


def test_layers_that_need_the_same_cores_are_named() -> None:
    wide = [("conv", 64, 3, 1)] * 4
    text = said(*wide, ("pool", 4), ("linear", 5), shape=(1, 4, 4))
    assert "3 layers (relu" in text
    assert "need 2 cores (5, 6)" in text


def test_a_chip_whose_cores_have_no_biases() -> None:
    text = said(("conv", 64, 3, 1), ("linear", 5), shape=(1, 30, 30), on="speck2cmini")
    assert "no core has its 1,024 kernel, 65,536 neuron and 64 bias words together" in text
    assert "or no bias (core 0)" in text


def test_a_layer_has_two_destinations() -> None:
    def fan(b: Builder) -> None:
        b.conv(4)
        start = b.relu()
        ends = []
        for _ in range(3):
            b.at = start
            b.conv(4)
            ends.append(b.relu())
        b.concat(*ends)
        b.flatten()
        b.linear(3)

    fit = check(converted(fan)[0])
    assert not fit.fits
    assert "relu2: it sends to 3 layers (relu4, relu6, relu8), and a core has 2 destinations" in str(fit)


def test_the_readout_of_the_chip_takes_channels() -> None:
    fit = check(converted(dense_layer)[0], chip_readout=True)
    assert fit.layers[-1].output_shape == (21, 1, 1)
    assert fit.layers[-1].rewrites[-1] == "channels of the last layer spread for the chip's readout"


def test_what_cannot_be_is_no_fit() -> None:
    def pooled(b: Builder) -> None:
        b.conv(4)
        b.relu()
        b.max_pool()
        b.conv(5)

    fit = check(converted(pooled)[0])
    assert not fit.fits
    assert fit.problems
    assert len(fit.layers) == 2
    assert "use average pooling" in str(fit)
    assert fit.summary()["problems"][0]["what"] == "max pooling"


@given(st.integers(0, 2**32 - 1))
def test_changes_that_are_named_fit(seed: int) -> None:
    layers = [Sizes.of(layer) for layer in random_layers(np.random.default_rng(seed))]
    fitting = [fitting_cores(one, SPECK.cores) if not broken(one, SPECK) else () for one in layers]
    lost = [k for k, core in enumerate(most_placed(fitting)) if core is None]
    for k in lost:
        for change in changes(layers, k, SPECK):
            assert change.text
            assert 0 <= change.core < 9


def test_a_user_sees_it_from_the_package() -> None:
    assert sw.check is check
    assert isinstance(sw.check(converted(average_pool)[0], chip("speck2e")), Fit)
