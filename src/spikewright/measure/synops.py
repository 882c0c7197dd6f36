"""Synaptic operations: spikes times the connections they travel, counted by the connection map, borders exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Graph
from spikewright.nodes import SpikeMaxPool


@dataclass(frozen=True)
class SynOps:
    """Of one layer of connections, for what was counted.

    Attributes:
        spikes: synaptic operations that spikes caused.
        input_connections: connections from an analog input: multiply-accumulates of every timestep.
    """

    spikes: float
    input_connections: int


def synops(graph: Graph, counts: Mapping[str, NDArray[np.float64]]) -> dict[str, SynOps]:
    """Synaptic operations of every layer with connections.

    A spike passes pooling, flattening and the like without cost and counts at the layer it arrives at: for every
    neuron there that it reaches. Where two layers follow each other without neurons between them, each event of
    the first is one event for the second. Gathering the spikes of a max-pooling window counts too.

    Args:
        graph: a spiking graph.
        counts: spikes of each population in its shape, of one sample, or summed or averaged over many; also of
            an Input whose values are events. Inputs without counts are analog.

    Returns:
        by node name, in the unit of ``counts``.
    """
    spikes: dict[str, NDArray[np.float64]] = {}
    analog: dict[str, NDArray[np.float64]] = {}
    found = {}
    for node in graph:
        name, shape = node.name, graph.shapes[node.name]
        given = [spikes[i] for i in node.inputs], [analog[i] for i in node.inputs]
        if node.weighted or isinstance(node, SpikeMaxPool):
            (fan_out,) = node.fan_out(*graph.input_shapes(node))
            found[name] = SynOps(float((given[0][0] * fan_out).sum()), int((given[1][0] * fan_out).sum()))
        if name in counts:
            spikes[name], analog[name] = np.asarray(counts[name], np.float64), np.zeros(shape)
        elif not node.inputs:
            spikes[name], analog[name] = np.zeros(shape), np.ones(shape)
        elif node.population:
            spikes[name], analog[name] = np.zeros(shape), np.zeros(shape)
        else:
            spikes[name], analog[name] = node.events(*given[0]), node.events(*given[1])
    return found
