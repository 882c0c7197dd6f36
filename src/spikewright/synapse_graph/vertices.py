"""Vertices of a hypergraph: neurons, or all neurons of one position of a map together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikewright.connections import Array
from spikewright.synapse_graph.fan_outs import FanOuts, Numbers, offsets, offsets_of
from spikewright.synapse_graph.stream import SynapseStream


@dataclass(frozen=True, eq=False)
class Vertices:
    """Which vertex each neuron is part of.

    Attributes:
        synapses: the graph.
        grouped: whether all channels of one position are one vertex, or each neuron is one.
    """

    synapses: SynapseStream
    grouped: bool

    @cached_property
    def _groups(self) -> tuple[Numbers, Numbers, Numbers]:
        """Of each group its first neuron, how many neurons make one of its vertices, and its first vertex."""
        groups = self.synapses.groups
        together = np.array([self.together(name) for name in groups])
        neurons = np.array([group.neurons for group in groups.values()])
        counts = neurons // together
        return np.cumsum(neurons) - neurons, together, np.cumsum(counts) - counts

    @cached_property
    def total(self) -> int:
        """How many there are."""
        return sum(self.count(name) for name in self.synapses.groups)

    def together(self, name: str) -> int:
        """How many neurons of a group are one vertex: neighbours, since their numbers count channels fastest."""
        return self.synapses.groups[name].shape[0] if self.grouped else 1

    def count(self, name: str) -> int:
        """How many vertices a group has."""
        return self.synapses.groups[name].neurons // self.together(name)

    def sums(self, values: Array, name: str) -> Array:
        """The values of a group's neurons, in their order, summed over each vertex."""
        return np.asarray(values.reshape(self.count(name), -1).sum(axis=1))

    def first(self, name: str) -> int:
        """The number of the first vertex of a group, from 0."""
        return int(self._groups[2][list(self.synapses.groups).index(name)])

    def numbers(self, neurons: Numbers) -> Numbers:
        """The vertices of neurons by number."""
        if not self.grouped:
            return neurons
        firsts, together, vertices = self._groups
        which = np.searchsorted(firsts, neurons, side="right") - 1
        return np.asarray(vertices[which] + (neurons - firsts[which]) // together[which])

    def fan_outs(self, fan_outs: FanOuts, name: str) -> FanOuts:
        """The same of vertices instead of neurons: each reaches what any of its neurons does.

        Args:
            fan_outs: of neurons of a group, with all those of a vertex together.
            name: of the group.
        """
        if not self.grouped:
            return fan_outs
        begin = (fan_outs.first - offsets(self.synapses)[name]) // self.together(name)
        beyond, count, pairs = self.total, 0, []
        for some in (fan_outs, fan_outs.own):
            if some is not None:
                vertex = self.numbers(some.neurons) - self.first(name) - begin
                pairs.append(np.repeat(vertex, some.counts) * beyond + self.numbers(some.dests))
                count = int(vertex[-1]) + 1
        owner, dests = np.divmod(np.unique(np.concatenate(pairs)), beyond)
        borders = offsets_of(np.bincount(owner, minlength=count))
        return FanOuts(self.first(name) + begin, np.ones(count, np.int64), borders, dests)
