"""Synaptic operations: what is sent times the connections it travels, counted by the connection map, borders exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Graph, Node


@dataclass(frozen=True)
class SynOps:
    """Synaptic operations of one layer of connections, for what was counted.

    Attributes:
        spikes: synaptic operations that spikes caused: accumulates.
        relayed: synaptic operations of values that a layer without neurons handed on: multiply-accumulates.
        input_connections: connections from an analog input: multiply-accumulates of every timestep.
    """

    spikes: float
    relayed: float
    input_connections: int

    @property
    def total(self) -> float:
        """All but those of an analog input."""
        return self.spikes + self.relayed


def synops(
    graph: Graph,
    counts: Mapping[str, NDArray[np.float64]],
    nonzero: Mapping[str, NDArray[np.float64]] | None = None,
    timesteps: int = 1,
) -> dict[str, SynOps]:
    """Synaptic operations of every layer with connections.

    Spikes pass pooling, flattening, sums of spikes and the like without cost, and count at the layer they arrive at:
    each for every neuron there that it reaches. What a layer without neurons hands on, alone or in a sum with
    spikes, is another thing: one value a neuron and timestep, whatever went into it (a relay). It counts once for
    every connection it travels, in the timesteps in which it is not zero; so no layer counts more values than it has
    connections times timesteps. Gathering the spikes of a max-pooling window counts too.

    Args:
        graph: a spiking graph.
        counts: spikes of each population in its shape, of either sign (``Run.sent``), of one sample, or summed or
            averaged over many; also of an Input whose values are events. Inputs without counts are analog.
        nonzero: by weighted node, in the shape of its input and the unit of ``counts``: in how many timesteps each
            value was not zero, as a run records it. What it lacks counts in every timestep.
        timesteps: T, for what ``nonzero`` lacks.

    Returns:
        by node name, in the unit of ``counts``.
    """
    nonzero = nonzero or {}
    spikes: dict[str, NDArray[np.float64]] = {}
    analog: dict[str, NDArray[np.bool_]] = {}
    """Where the values come from analog inputs, through nothing that has weights."""
    relays: dict[str, NDArray[np.bool_]] = {}
    """Where a layer without neurons has a part in the value."""
    found = {}
    for node in graph:
        name, shape = node.name, graph.shapes[node.name]
        nothing, nowhere = np.zeros(shape), np.zeros(shape, bool)
        made = node.connections(*graph.input_shapes(node)) if node.inputs else None
        gathers = node.population and made is not None
        if made is not None and (node.weighted or gathers):
            (source,), fan_out = node.inputs, made.fan_out()
            sent, value, relayed = spikes[source], analog[source], relays[source]
            active = np.asarray(nonzero.get(name, np.full(value.shape, float(timesteps))))
            found[name] = SynOps(
                spikes=float((sent * fan_out)[~value & ~relayed].sum()),
                relayed=float((active * fan_out)[relayed].sum()),
                input_connections=int(fan_out[value & ~relayed].sum()),
            )
        if name in counts and not gathers:
            spikes[name], analog[name], relays[name] = np.asarray(counts[name], np.float64), nowhere, nowhere
        elif not node.inputs:
            spikes[name], analog[name], relays[name] = nothing, ~nowhere, nowhere
        elif gathers:
            analog[name], relays[name] = (reached(node, where) for where in (analog, relays))
            spikes[name] = np.asarray(counts.get(name, nothing), np.float64)
        elif node.population:
            spikes[name], analog[name], relays[name] = nothing, nowhere, nowhere
        elif node.weighted:
            spikes[name], analog[name], relays[name] = nothing, nowhere, ~nowhere
        else:
            spikes[name] = node.events(*(spikes[i] for i in node.inputs))
            analog[name], relays[name] = (reached(node, where) for where in (analog, relays))
    return found


def reached(node: Node, marked: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The outputs of a node that anything marked among its inputs reaches."""
    return node.events(*(marked[name].astype(np.float64) for name in node.inputs)) > 0
