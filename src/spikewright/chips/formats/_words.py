"""The integers of a network in words of the chip, under names that every language takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikewright.chips.chip import Speck
from spikewright.chips.known import chip as known_chip
from spikewright.chips.network import ChipLayer
from spikewright.chips.quantise import Quantised
from spikewright.errors import SettingsError
from spikewright.graph import Array
from spikewright.provenance import PROVENANCE, descriptions
from spikewright.text import free_name


@dataclass(frozen=True, eq=False)
class LayerWords:
    """The numbers of a layer, each in a word of whole bytes.

    Attributes:
        name: its own, of letters, digits and underscores, other than that of any other layer.
        layer: what it is of.
        weights: ``(out, in, kernel, kernel)``.
        bias: ``(out,)``; zeros where there is none.
        v_init: ``(out, height, width)``.
        threshold: of all its neurons.
        v_min: the lowest potential; that of the word where nobody asked for one.
    """

    name: str
    layer: ChipLayer
    weights: Array
    bias: Array
    v_init: Array
    threshold: Array
    v_min: Array

    @property
    def arrays(self) -> Mapping[str, Array]:
        """All of them by name."""
        return {label: getattr(self, label) for label in ("weights", "bias", "threshold", "v_min", "v_init")}

    @property
    def settings(self) -> dict[str, Any]:
        """What else somebody needs to compute it, as plain JSON-like values."""
        layer = self.layer
        return {
            "name": layer.name,
            "sources": list(layer.sources),
            "input_shape": list(layer.input_shape),
            "output_shape": list(layer.output_shape),
            "stride": list(layer.stride),
            "padding": list(layer.padding),
            "return_to_zero": layer.reset == "zero",
            "decimator": layer.decimator,
            "destinations": [
                {"layer": to.layer, "pool": to.pool, "feature_shift": to.feature_shift} for to in layer.destinations
            ],
        }


def chip_of(quantised: Quantised) -> Speck:
    """The chip that a network was quantised for.

    Raises:
        SettingsError: for one that is not known here, or has no cores.
    """
    found = known_chip(quantised.chip)
    if not isinstance(found, Speck):
        raise SettingsError(f"{found} has no cores of integer neurons that are known well enough: take a Speck")
    return found


def words_of(quantised: Quantised) -> tuple[LayerWords, ...]:
    """The numbers of every layer, in order.

    Args:
        quantised: of integers.

    Raises:
        SettingsError: for a chip that is not known here, or numbers that are too large for its words.
    """
    chip, names, found = chip_of(quantised), set[str](), []
    kernel, state = _word(chip.kernel_bits), _word(chip.neuron_bits)
    bias, threshold = _word(chip.bias_bits), _word(chip.threshold_bits)
    for layer in quantised.network.layers:
        name = re.sub(r"\W", "_", layer.name, flags=re.ASCII).lower() or "layer"
        name = free_name(f"layer_{name}" if name[0].isdigit() else name, names)
        names.add(name)
        lowest = -(2 ** (chip.neuron_bits - 1)) if layer.v_min is None else layer.v_min
        found.append(
            LayerWords(
                name,
                layer,
                _as(layer, "weights", layer.weights, kernel),
                _as(layer, "bias", np.zeros(len(layer.weights)) if layer.bias is None else layer.bias, bias),
                _as(layer, "v_init", np.broadcast_to(layer.v_init, layer.output_shape), state),
                _as(layer, "threshold", np.array(layer.threshold), threshold),
                _as(layer, "v_min", np.array(lowest), state),
            )
        )
    return tuple(found)


def outside(quantised: Quantised) -> dict[str, Any]:
    """What comes in, what is read, and how it was made, as plain JSON-like values."""
    network = quantised.network
    return {
        "chip": quantised.chip,
        "rate": quantised.rate,
        "ticks_per_step": quantised.ticks,
        PROVENANCE: descriptions(quantised.remembered),
        "inputs": [
            {
                "name": own.name,
                "shape": list(own.shape),
                "event_value": own.event_value,
                "places": None if own.places is None else list(own.places),
                "destinations": [
                    {"layer": to.layer, "pool": to.pool, "feature_shift": to.feature_shift} for to in own.destinations
                ],
            }
            for own in network.inputs
        ],
        "readout": [
            {
                "output": read.output,
                "layer": read.layer,
                "neurons": list(read.neurons),
                "spike_values": list(read.spike_values),
            }
            for read in network.readout
        ],
    }


def _word(bits: int) -> np.dtype[Any]:
    return np.dtype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32)


def _as(layer: ChipLayer, label: str, values: Any, word: np.dtype[Any]) -> Array:
    made = np.asarray(values).astype(word)
    if (made != values).any():
        raise SettingsError(f"{layer}: its {label} do not fit words of {8 * word.itemsize} bits; quantise it again")
    return made
