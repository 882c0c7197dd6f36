"""What is read: the neurons that stand for every value of an output, and their channels where the chip reads them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.network import ChipNetwork, Readout
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, ChannelAffine, Output

SPREAD = "channels of the last layer spread for the chip's readout"


def read_neurons(graph: Graph, output: Output) -> Readout | None:
    """The neurons that an output counts, and what a spike of each stands for; None where it adds up currents."""
    node = graph[output.inputs[0]]
    neurons = np.arange(prod(graph.shapes[node.name]))
    values = np.ones(len(neurons))
    while not isinstance(node, IF):
        shapes = graph.input_shapes(node)
        if isinstance(node, ChannelAffine) and not node.bias.any() and (node.scale > 0).all():
            scales = node.scale.reshape(*node.scale.shape, *(1,) * (len(shapes[0]) - node.scale.ndim))
            values = values * np.broadcast_to(scales, shapes[0]).ravel()[neurons]
        else:
            table = node.moving(*shapes) if len(shapes) == 1 else None
            if table is None or (table < 0).any():
                return None
            neurons = table.ravel()[neurons]
        node = graph[node.inputs[0]]
    told = tuple(values.tolist()) if (values != 1).any() else ()
    return Readout(output.name, node.name, tuple(neurons.tolist()), told, graph.shapes[output.name])


def spread(network: ChipNetwork, chip: Speck) -> ChipNetwork:
    """The same network whose last layer can be read by the readout on the chip, which sees every fourth channel.

    Args:
        network: with one output, of one value a class.
        chip: says how far apart the channels are that its readout sees, and how many.

    Raises:
        SettingsError: where the readout cannot tell so many classes apart, or the layer has other readers.
    """
    if len(network.readout) != 1:
        raise SettingsError(f"the readout of {chip} reads one output; the network has {len(network.readout)}")
    read = network.readout[0]
    layer = network[read.layer]
    if len(read.neurons) > chip.readout_classes:
        has = f"tells {chip.readout_classes} classes apart" if chip.readout_classes else "cannot be used"
        raise SettingsError(
            f"the readout of {chip} {has}; the network has {len(read.neurons)}: count the events of the last layer"
        )
    if layer.destinations or layer.output_shape != (len(read.neurons), 1, 1):
        raise SettingsError(
            f"the readout of {chip} reads a last layer of one neuron a class; {layer} has {layer.output_shape}"
        )
    if len(set(read.spike_values)) > 1:
        raise SettingsError(
            f"the readout of {chip} compares counts, and spikes of the classes stand for different values: convert "
            "with one λ for the last layer, without 'channels'"
        )
    channels = chip.readout_spread * np.arange(len(read.neurons))
    wide = int(channels[-1]) + 1

    def spaced(values: NDArray[np.float64]) -> NDArray[np.float64]:
        made = np.zeros((wide, *values.shape[1:]), values.dtype)
        made[channels] = values[list(read.neurons)]
        return made

    made = layer.replace(
        weights=spaced(layer.weights),
        bias=None if layer.bias is None else spaced(layer.bias),
        v_init=spaced(layer.v_init) if isinstance(layer.v_init, np.ndarray) else layer.v_init,
    )
    layers = tuple(made if other is layer else other for other in network.layers)
    return ChipNetwork(network.inputs, layers, (replace(read, neurons=tuple(channels.tolist())),))
