"""Settings of cores that a conversion does not have: stored with the integers, and simulated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from spikewright.chips.known.speck2f import CHIP
from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, Readout
from spikewright.chips.quantise import sent_at
from spikewright.chips.spike_settings import by_layer, events_worth, with_settings
from spikewright.errors import SettingsError


@cache
def chain() -> ChipNetwork:
    """Two layers one behind the other, of which the second is read."""
    one = ChipLayer("one", ("input",), (1, 2, 2), np.ones((1, 1, 1, 1)), v_init=0.5, destinations=(Destination("two"),))
    two = ChipLayer("two", ("one",), (1, 2, 2), np.full((1, 1, 1, 1), 0.25))
    network = (ChipInput("input", (1, 2, 2), (Destination("one"),)),), (one, two), (Readout("output", "two", (0,)),)
    return ChipNetwork(*network)


def test_what_stands_behind_is_multiplied_so_that_means_stay() -> None:
    found = with_settings(chain(), CHIP, decimator={"one": 4}, threshold_scale={"one": 1.5, "two": 2})
    one, two = found.layers
    assert (one.decimator, one.threshold, one.v_init, one.weights.item()) == (4, 1.5, 0.75, 1)
    assert (two.decimator, two.threshold, two.weights.item()) == (1, 2, 0.25 * 4 * 1.5)
    assert found.readout[0].spike_values == (2,)


def test_weights_behind_stay_where_means_need_not() -> None:
    found = with_settings(chain(), CHIP, decimator={"one": 4}, threshold_scale={"one": 1.5, "two": 2}, keep_means=False)
    one, two = found.layers
    assert (one.decimator, one.threshold, two.threshold, two.weights.item()) == (4, 1.5, 2, 0.25)
    assert found.readout[0].spike_values == ()


def test_resets() -> None:
    assert {layer.reset for layer in with_settings(chain(), CHIP, return_to_zero=True).layers} == {"zero"}
    assert {layer.reset for layer in with_settings(chain(), CHIP).layers} == {"subtract"}
    zero = with_settings(chain(), CHIP, return_to_zero=True)
    assert {layer.reset for layer in with_settings(zero, CHIP).layers} == {"zero"}
    assert {layer.reset for layer in with_settings(zero, CHIP, return_to_zero=False).layers} == {"subtract"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decimator": 64}, "layer 'one': speck2f has no decimator of 64; there are 1, 2, 4, 8, 16, 32, 128, 256, 512"),
        ({"decimator": {"three": 2}}, "decimator: there is no layer 'three'; there are"),
        ({"decimator": 2.5}, "decimator must be a whole number, not 2.5"),
        ({"threshold_scale": 0}, "layer 'one': threshold_scale must be a positive number, not 0"),
        ({"threshold_scale": 1e300}, "layer 'one': threshold_scale must be 1/32,768 to 32,768, as thresholds"),
        ({"threshold_scale": 1e-300}, "layer 'one': threshold_scale must be 1/32,768 to 32,768"),
        ({"threshold_scale": {"two": float("nan")}}, "layer 'two': threshold_scale must be a positive number"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        with_settings(chain(), CHIP, **settings)


def test_senders_that_share_weights_stand_for_the_same() -> None:
    one = ChipLayer("one", ("input",), (1, 2, 2), np.ones((1, 1, 1, 1)), destinations=(Destination("two"),))
    two = ChipLayer("two", ("input", "one"), (1, 2, 2), np.ones((1, 1, 1, 1)))
    arrivals = (Destination("one"), Destination("two"))
    network = ChipNetwork((ChipInput("input", (1, 2, 2), arrivals),), (one, two))
    with pytest.raises(SettingsError, match="'input' and 'one' arrive at the same weights"):
        events_worth(network, {"one": 2})
    with pytest.raises(SettingsError, match=r"stand for 0\.5 and 1 times what they did"):
        sent_at(network, 2)
    same = events_worth(network, {"one": 2, "input": 2})
    assert [layer.weights.item() for layer in same.layers] == [2, 2]


def test_options_are_numbers_for_all_or_by_layer() -> None:
    assert by_layer("--decimator", "4") == 4
    assert by_layer("--decimator", "conv.1=4, a=b=2") == {"conv.1": 4, "a=b": 2}
    for text in ("", "conv1", "=4", "conv1=", "conv1=x", "a=1,a=2", "a=1,"):
        with pytest.raises(SettingsError, match="--decimator takes a number for all layers"):
            by_layer("--decimator", text)


def test_they_are_stored_and_simulated(tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3), nn.ReLU())
    x = np.random.default_rng(0).random((8, 1, 8, 8)).astype(np.float32)
    conversion = sw.convert(sw.load(module.eval(), shape=(1, 8, 8)), x, readout="count")
    x = np.random.default_rng(1).random((8, 1, 8, 8)).astype(np.float32)
    first, last = (node.name for node in conversion.spiking.populations)
    trains = sw.PictureTrains(timesteps=32)
    usual = sw.measure_chip(sw.quantise(conversion, "speck2f"), x, trains)
    made = sw.quantise(conversion, "speck2f", decimator={first: 4}, return_to_zero=True, threshold_scale={last: 2})
    sw.save_quantised(made, tmp_path / "chip.safetensors")
    read = sw.load_quantised(tmp_path / "chip.safetensors")
    assert (read.network[first].decimator, read.network[last].decimator) == (4, 1)
    assert {layer.reset for layer in read.network.layers} == {"zero"}
    assert read.summary()["layers"][first]["decimator"] == 4
    assert read.summary()["layers"][first]["return_to_zero"] is True
    measured = sw.measure_chip(read, x, trains)
    assert measured.layers[first].sent == pytest.approx(measured.layers[first].fired / 4, abs=1)
    assert measured.layers[first].fired <= usual.layers[first].fired
    trains = sw.PictureTrains(timesteps=128)
    before = sw.measure_chip(sw.quantise(conversion, "speck2f"), x, trains).answers["output"].ravel()
    for settings in ({"decimator": {first: 4}}, {"threshold_scale": {first: 2}}, {"threshold_scale": {last: 2}}):
        found = sw.measure_chip(sw.quantise(conversion, "speck2f", **settings), x, trains).answers["output"]
        assert np.corrcoef(found.ravel(), before)[0, 1] > 0.9
        assert np.polyfit(before, found.ravel(), 1)[0] == pytest.approx(1, abs=0.25)  # 1/4 if nothing was taken times 4
