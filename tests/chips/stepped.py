"""What a network of cores computes in steps, by plain loops: for tests that a rewrite keeps the function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import ChipLayer, ChipNetwork

Values = NDArray[np.float64]


def arriving(network: ChipNetwork, layer: ChipLayer, sent: Mapping[str, Values]) -> Values:
    """What arrives at a layer, behind pools and shifts of channels, ``input_shape``."""
    found = np.zeros(layer.input_shape)
    for sender, destination in network.arriving(layer.name):
        values, pool = sent[sender.name].reshape(sender.output_shape), destination.pool
        for c, y, x in zip(*np.nonzero(values), strict=True):
            if y // pool < found.shape[1] and x // pool < found.shape[2]:
                found[c + destination.feature_shift, y // pool, x // pool] += values[c, y, x]
    return found


def current(layer: ChipLayer, events: Values) -> Values:
    """The convolution of a layer, bias included, ``output_shape``."""
    (top, left), (down, right) = layer.padding, layer.stride
    padded = np.pad(events, ((0, 0), (top, top), (left, left)))
    found = np.zeros(layer.output_shape)
    side = layer.kernel
    for y in range(found.shape[1]):
        for x in range(found.shape[2]):
            seen = padded[:, y * down : y * down + side, x * right : x * right + side]
            found[:, y, x] = np.tensordot(layer.weights, seen, axes=3)
    return found if layer.bias is None else found + layer.bias[:, None, None]


def inputs_of(network: ChipNetwork, samples: Mapping[str, Values]) -> dict[str, Values]:
    """Samples as the chip's inputs take them, in events."""
    found = {}
    for own in network.inputs:
        flat = samples[own.name].reshape(-1)
        places = np.arange(flat.size) if own.places is None else np.array(own.places)
        found[own.name] = flat[places].reshape(own.shape) / own.event_value
    return found


def stepped(
    network: ChipNetwork, samples: Mapping[str, Values], timesteps: int, caps: Mapping[str, int | None]
) -> dict[str, Values]:
    """Spikes by layer, ``(timesteps, *output_shape)``, for a constant sample."""
    potentials: dict[str, Any] = {layer.name: np.zeros(layer.output_shape) + layer.v_init for layer in network.layers}
    spikes = {layer.name: np.zeros((timesteps, *layer.output_shape)) for layer in network.layers}
    for t in range(timesteps):
        sent = inputs_of(network, samples)
        for layer in network.layers:
            v = potentials[layer.name] + current(layer, arriving(network, layer, sent))
            cap = caps.get(layer.name, 1)
            n = np.clip(np.floor(v / layer.threshold), 0, np.inf if cap is None else cap)
            v = v - n * layer.threshold if layer.reset == "subtract" else np.where(n > 0, 0.0, v)
            potentials[layer.name] = v if layer.v_min is None else np.maximum(v, layer.v_min)
            spikes[layer.name][t] = sent[layer.name] = n
    return spikes
