"""What layers of a chip hear and send on average, without simulating: rates through rectifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import ChipLayer, ChipNetwork, pooled
from spikewright.errors import DataError

Floats = NDArray[np.float64]
POSITIONS = 8192
"""So many positions of a layer are enough for the mean of an error: a fraction of a percent of it."""
BATCH = 16


@dataclass(frozen=True, eq=False)
class RateSamples:
    """What reached a layer at some positions.

    Attributes:
        patches: the rates under the kernel, ``(positions, in · kernel · kernel)``, in events a step.
    """

    patches: Floats

    def sent(self, layer: ChipLayer) -> Floats:
        """Rates of the layer at these positions, in thresholds a step: what is below zero is not sent.

        Returns:
            ``(positions, out)``.
        """
        currents = self.patches @ layer.weights.reshape(len(layer.weights), -1).T.astype(np.float64)
        if layer.bias is not None:
            currents = currents + layer.bias
        return np.maximum(currents, 0) / layer.threshold

    def error(self, layer: ChipLayer, other: ChipLayer) -> float:
        """The mean squared difference of what two layers send, as a share of the mean square of the first."""
        own = self.sent(layer)
        size = float(np.square(own).sum())
        return float(np.square(self.sent(other) - own).sum()) / size if size else 0.0


def rate_samples(
    network: ChipNetwork, pictures: Mapping[str, Any], positions: int = POSITIONS, seed: int = 0
) -> dict[str, RateSamples]:
    """What reaches every layer over calibration data, at positions that are drawn.

    Args:
        network: of floats.
        pictures: by input, ``(N, channels, rows, columns)``, in the unit of the trained network's input.
        positions: how many of each layer.
        seed: of the draw.

    Raises:
        DataError: for an input without pictures, or pictures of another shape.
    """
    import torch
    from torch.nn.functional import conv2d, unfold

    count = _count(network, pictures)
    random = np.random.default_rng(seed)
    kept: dict[str, list[Floats]] = {layer.name: [] for layer in network.layers}
    for begin in range(0, count, BATCH):
        rates: dict[str, Any] = {
            source.name: torch.from_numpy(
                np.asarray(pictures[source.name][begin : begin + BATCH], np.float64) / source.event_value
            )
            for source in network.inputs
        }
        for layer in network.layers:
            batch = len(next(iter(rates.values())))
            x = torch.zeros((batch, *layer.input_shape), dtype=torch.float64)
            for source, to in network.arriving(layer.name):
                channels, rows, columns = pooled(source.output_shape, to.pool)
                own = rates[source.name][:, :, : rows * to.pool, : columns * to.pool]
                own = own.reshape(batch, channels, rows, to.pool, columns, to.pool).sum((3, 5))
                x[:, to.feature_shift : to.feature_shift + channels] += own
            patches = unfold(x, layer.kernel, padding=layer.padding, stride=layer.stride)
            patches = patches.transpose(1, 2).reshape(-1, patches.shape[1])
            wanted = min(len(patches), -(-positions * batch // count))
            drawn = torch.from_numpy(random.choice(len(patches), wanted, replace=False))
            kept[layer.name].append(patches[drawn].numpy())
            bias = None if layer.bias is None else torch.from_numpy(np.array(layer.bias, np.float64))
            weights = torch.from_numpy(np.array(layer.weights, np.float64))
            currents = conv2d(x, weights, bias, stride=layer.stride, padding=layer.padding)
            rates[layer.name] = currents.clamp(min=0) / float(layer.threshold) / layer.decimator
    return {name: RateSamples(np.concatenate(parts)) for name, parts in kept.items()}


def _count(network: ChipNetwork, pictures: Mapping[str, Any]) -> int:
    counts = set()
    for source in network.inputs:
        given = np.shape(pictures.get(source.name, ()))
        if len(given) != 4 or given[1:] != source.shape or not given[0]:
            raise DataError(
                f"input '{source.name}' needs pictures (N, {', '.join(map(str, source.shape))}), not {given}"
            )
        counts.add(given[0])
    if len(counts) != 1:
        raise DataError(f"inputs have different numbers of pictures: {sorted(counts)}")
    return int(counts.pop())
