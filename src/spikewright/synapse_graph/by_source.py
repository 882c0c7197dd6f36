"""Synapses one by one in the order of their source neurons, for tables that have a line for each neuron."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikewright.connections import Array
from spikewright.synapse_graph.fan_outs import Numbers, fan_out_sizes, offsets, stretches
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import every_block, number

AT_ONCE = 1 << 22
"""Synapses that are in memory at a time, about; for each so many the projections of a group are gone through."""


def by_source(synapses: SynapseStream, name: str) -> Iterator[tuple[Numbers, Numbers, Array]]:
    """The synapses that leave a group, some neurons after the others.

    Args:
        synapses: the graph.
        name: of the group.

    Yields:
        numbers of source and of destination neurons, those of all groups counted through, and weights, by source.
    """
    first = offsets(synapses)
    leaving = [one for one in synapses.projections if one.path.source.name == name]
    for low, high, _ in stretches(fan_out_sizes(synapses)[name], AT_ONCE):
        sources, dests, weights = [], [], []
        for one in leaving:
            dest = one.path.dest
            for block in every_block(synapses, one):
                source = number(block, "source", one.path.source.shape)
                there = np.flatnonzero((source >= low) & (source < high))
                if len(there):
                    sources.append(source[there])
                    dests.append(number(block, "dest", dest.shape)[there] + first[dest.name])
                    weights.append(block.column("weight")[there])
        if sources:
            source = np.concatenate(sources)
            order = np.argsort(source, kind="stable")
            yield source[order] + first[name], np.concatenate(dests)[order], np.concatenate(weights)[order]
