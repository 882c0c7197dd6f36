"""What a spike costs on the cores of a chip, where every layer of the chip has one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.bandwidth import operations
from spikewright.chips.chip import Speck
from spikewright.chips.fit import check
from spikewright.chips.known import chip as known_chip
from spikewright.chips.lowering import lower
from spikewright.conversion import Conversion, spiking_graph
from spikewright.errors import SettingsError
from spikewright.graph import Graph

CoreCosts = Mapping[int, Mapping[str, NDArray[np.float64]]]


def speck(chip: Speck | str) -> Speck:
    """A chip of cores of integer neurons.

    Raises:
        SettingsError: for one of another kind.
    """
    found = known_chip(chip)
    if not isinstance(found, Speck):
        raise SettingsError(f"{found} has no cores of integer neurons that are known well enough: take a Speck")
    return found


def core_costs(network: Graph | Conversion, chip: Speck | str) -> CoreCosts:
    """How many synaptic operations a spike of each neuron causes on each core of a chip, as ``check`` counts them.

    By the number of the core and the population, in its shape; cores as ``check`` gives them out. Cores that hear
    nothing but the input are not there: no training of neurons changes their work.

    Args:
        network: a conversion, or its spiking graph.
        chip: or its name.

    Raises:
        UnsupportedModelError: with everything that no core of the chip computes.
        SettingsError: for a chip of another kind, or a layer that no core is left for.
    """
    own, graph = speck(chip), spiking_graph(network)
    layers, cores = lower(network, own).checked(own), check(network, own).cores
    found: dict[int, dict[str, NDArray[np.float64]]] = {}
    for layer in layers.layers:
        if layer.name not in cores:
            raise SettingsError(f"'{layer.name}' has no core of {own}: limits of cores are for a network that fits")
        for sender, destination in layers.arriving(layer.name):
            if sender.name not in graph.by_name or not graph[sender.name].population:
                continue
            each = np.broadcast_to(operations(sender, destination, layer), sender.output_shape)
            costs = found.setdefault(cores[layer.name], {})
            shape = graph.shapes[sender.name]
            costs[sender.name] = costs.get(sender.name, np.zeros(shape)) + each.reshape(shape)
    return found
