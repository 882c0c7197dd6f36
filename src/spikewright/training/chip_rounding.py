"""Training to a chip's integers: the network runs with the numbers that it will have there.

Weights, biases and thresholds are rounded in each call as ``quantise`` rounds them without calibration data: by one
factor a layer, the largest by which all fit their words. Gradients go straight through the rounding, as if there were
none (Bengio et al. 2013, arXiv 1308.3432). Initial potentials, whose words have 16 bits, are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.integers import integers_of
from spikewright.chips.lowering import lower
from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.errors import SettingsError
from spikewright.graph import Node
from spikewright.training.cores import speck

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.training.spiking_module import SpikingModule

Place = tuple[str, str]


@dataclass(frozen=True, eq=False)
class _Source:
    """Where numbers of a layer of the chip come from: some of a node, each times a number.

    Attributes:
        place: the node, and its field.
        at: which numbers of the layer they are, in C order.
        of: which numbers of the field they are, in C order.
        times: what each is multiplied by.
    """

    place: Place
    at: NDArray[np.int64]
    of: NDArray[np.int64]
    times: NDArray[np.float64]


class ChipRounding:
    """The parameters of a module as a chip will have them; it stands in for them (``module.stand_ins``) in each call.

    Args:
        module: of a network that the chip computes.
        chip: or its name.
        bias_bits: of biases; those of the chip unless given.

    Attributes:
        chip: whose words the numbers fit.

    Raises:
        UnsupportedModelError: with everything that no core of the chip computes.
        SettingsError: for a chip without integer cores, thresholds that are trained, or weights that stand in sums with
            others there.
    """

    def __init__(self, module: SpikingModule, chip: Speck | str, bias_bits: int | None = None) -> None:
        found = speck(chip)
        if any(label == "threshold" for _, label in module.trained):
            raise SettingsError("a chip has thresholds in its weights: train weights to its integers, not thresholds")
        self.chip, self.bias_bits, self._graph = found, bias_bits, module.graph
        self._network = lower(module.source, found).checked(found)
        self._weights: dict[str, list[_Source]] = {layer.name: [] for layer in self._network.layers}
        self._biases: dict[str, list[_Source]] = {layer.name: [] for layer in self._network.layers}
        for place in module.trained:
            self._trace(place)
        first = {place: module.graph[place[0]].arrays[place[1]].astype(np.float64) for place in module.trained}
        self._fixed = {layer.name: _bias(layer) - self._learned(layer, first) for layer in self._network.layers}

    def __call__(self, parameters: Mapping[Place, Tensor]) -> dict[Place, Tensor]:
        """What stands for the parameters: in value what the chip has, in gradient themselves."""
        import torch

        values = {place: value.detach().cpu().double().numpy() for place, value in parameters.items()}
        layers = tuple(self._layer(layer, values) for layer in self._network.layers)
        exact = ChipNetwork(self._network.inputs, layers, self._network.readout)
        rounded = integers_of(exact, self.chip, bias_bits=self.bias_bits)
        there = {place: value.copy() for place, value in values.items()}
        found: dict[Place, Tensor] = {}
        like = next(iter(parameters.values()))
        for before, after, loss in zip(exact.layers, rounded.network.layers, rounded.losses, strict=True):
            for source in self._weights[before.name]:
                own = after.weights.flat[source.at] / loss.factor
                there[source.place].flat[source.of] = own / source.times
            for source in self._biases[before.name][:1]:
                off = (_bias(after) / loss.factor - _bias(before))[source.at]
                there[source.place].flat[source.of] += off / source.times
            node = self._graph.by_name[before.name]
            threshold = node.arrays["threshold"] * (after.threshold / (loss.factor * before.threshold))
            found[before.name, "threshold"] = torch.as_tensor(threshold, dtype=like.dtype, device=like.device)
        return found | {place: _straight(parameters[place], value) for place, value in there.items()}

    def _layer(self, layer: ChipLayer, values: Mapping[Place, NDArray[np.float64]]) -> ChipLayer:
        """A layer of floats with the numbers that the parameters have now."""
        weights = np.array(layer.weights)
        for source in self._weights[layer.name]:
            weights.flat[source.at] = values[source.place].flat[source.of] * source.times
        bias = self._fixed[layer.name] + self._learned(layer, values)
        return layer.replace(weights=weights, bias=bias if bias.any() else None)

    def _learned(self, layer: ChipLayer, values: Mapping[Place, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The part of a layer's bias that is trained."""
        found = np.zeros(len(layer.weights))
        for source in self._biases[layer.name]:
            found[source.at] += values[source.place].flat[source.of] * source.times
        return found

    def _trace(self, place: Place) -> None:
        """Find where numbers stand on the chip: lowered as ones, then as their own numbers, they say it themselves.

        Raises:
            SettingsError: for weights that stand there in sums with others.
        """
        node = self._graph[place[0]]
        shape = node.arrays[place[1]].shape
        size = int(np.prod(shape))
        numbers = np.arange(1, size + 1, dtype=np.float64).reshape(shape)
        nothing, ones, counted = (self._lowered(node, place[1], one) for one in (0 * numbers, 0 * numbers + 1, numbers))
        into = self._biases if place[1] == "bias" else self._weights
        for name in nothing:
            times = ones[name] - nothing[name]
            at = np.flatnonzero(times)
            if not len(at):
                continue
            of = (counted[name] - nothing[name])[at] / times[at] - 1
            whole = np.round(of).astype(np.int64)
            if np.abs(of - whole).max() > 0.01 or not 0 <= whole.min() <= whole.max() < size:
                raise SettingsError(
                    f"{node}: on the chip its weights stand in sums with others, so that rounded ones cannot be told "
                    "apart: train without the chip's integers"
                )
            into[name].append(_Source(place, at, whole, times[at]))

    def _lowered(self, node: Node, label: str, values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The weights or biases of all layers of the chip where those of one node are others, each in one row."""
        lowered = lower(self._graph.replaced(node.replace(**{label: values})), self.chip).checked(self.chip)
        return {
            layer.name: _bias(layer) if label == "bias" else layer.weights.ravel().astype(np.float64)
            for layer in lowered.layers
        }


def _bias(layer: ChipLayer) -> NDArray[np.float64]:
    """``(outputs,)``: the bias of a layer, zeros where it has none."""
    return np.zeros(len(layer.weights)) if layer.bias is None else layer.bias.astype(np.float64)


def _straight(parameter: Tensor, value: NDArray[np.float64]) -> Tensor:
    """A value whose gradient goes to the parameter as it is."""
    import torch

    wide = torch.as_tensor(value, dtype=parameter.dtype, device=parameter.device)
    return parameter + (wide - parameter).detach()
