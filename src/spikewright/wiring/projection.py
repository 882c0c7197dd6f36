"""Projections: how many synapses one has, which neurons they join and what they weigh, without listing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Array, Connections
from spikewright.connections.products import channel_map
from spikewright.graph import Graph
from spikewright.text import brief
from spikewright.wiring.group import Pools
from spikewright.wiring.path import Path, groups_and_paths

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses along one path.

    Attributes:
        name: its own, made of source, what lies between, and destination.
        path: between two groups.
    """

    name: str
    path: Path

    __repr__ = brief

    @property
    def connections(self) -> Connections:
        """What connects inputs to outputs along its path."""
        return self.path.connections

    @cached_property
    def open_channels(self) -> tuple[Array, Array] | None:
        """The groups and the channels of each that any source neuron reaches; None where those are not a block.

        A branch of a Concat reaches some channels of what reads it: all of a channel or nothing.
        """
        groups, (inputs, _) = self.connections.groups, self.connections.channels
        if self.path.before is None:
            return np.arange(groups), np.arange(inputs)
        there = (self.path.before >= 0).reshape(groups, inputs, -1)
        reached = np.asarray(there.any(axis=2))
        of_groups, of_channels = np.asarray(reached.any(axis=1)), np.asarray(reached.any(axis=0))
        block = np.outer(of_groups, of_channels)
        if not (np.array_equal(there.all(axis=2), block) and np.array_equal(reached, block)):
            return None
        return np.flatnonzero(of_groups), np.flatnonzero(of_channels)

    @cached_property
    def source_channels(self) -> Array | None:
        """The source's channel behind each channel that is read, −1 for none; None where not just channels move."""
        reads, source = self.connections.inputs, self.path.source.shape
        if self.path.before is None:
            return np.arange(reads[0]) if reads == source else None
        return channel_map(self.path.before, reads, source)

    @cached_property
    def weights(self) -> int:
        """How many numbers hold the weights of all synapses: those of the kernel that any source neuron meets.

        All positions of a map share them. A pool has none; of one to one it is one a channel, where each has one.
        """
        made = self.connections
        if made.kernel is None:
            if made.gain is None:
                return 0
            of_channels = made.gain.reshape(len(made.gain), -1)
            return len(of_channels) if (of_channels == of_channels[:, :1]).all() else of_channels.size
        if self.open_channels is None:
            return made.kernel.size
        groups, channels = self.open_channels
        return made.kernel[0, :, 0].size * len(groups) * len(channels)

    # Counting. Along every axis counts multiply, so an outer product of small matrices says all.

    @cached_property
    def _reaches(self) -> tuple[NDArray[np.int64], ...]:
        return self.connections.pairs

    def _present(self) -> NDArray[np.int64]:
        """``(groups, *spatial inputs)``: how many channels there have a source neuron."""
        made, (channels, _) = self.connections, self.connections.channels
        if self.path.before is None:
            return np.full((made.groups, *made.inputs[1:]), channels, np.int64)
        there = (self.path.before >= 0).reshape(made.groups, channels, *made.inputs[1:])
        return np.asarray(there.sum(axis=1), np.int64)

    @cached_property
    def arriving(self) -> NDArray[np.int64]:
        """``(groups, *spatial outputs)``: how many synapses end at each output."""
        if self.path.before is None:  # the same for every group: counted once
            of_axes = [reach.sum(axis=1) for reach in self._reaches]
            found = np.asarray(self.connections.channels[0], np.int64)
            for vector in of_axes:
                found = found[..., None] * vector
            return np.broadcast_to(found, (self.connections.groups, *found.shape))
        return _through(self._present(), self._reaches)

    @cached_property
    def leaving(self) -> NDArray[np.int64]:
        """``(groups, *spatial outputs)``: how many neurons of the destination the outputs there are."""
        made, (_, filters) = self.connections, self.connections.channels
        if self.path.after is None:
            return np.broadcast_to(np.int64(filters), (made.groups, *made.outputs[1:]))
        there = (self.path.after >= 0).sum(axis=1).reshape(made.groups, filters, *made.outputs[1:])
        return np.asarray(there.sum(axis=1), np.int64)

    @cached_property
    def synapses(self) -> int:
        """How many there are, exactly."""
        return int((self.arriving * self.leaving).sum())

    def fan_in(self) -> NDArray[np.int64]:
        """``(neurons of the destination,)``: how many synapses end at each."""
        made, (_, filters) = self.connections, self.connections.channels
        each = np.broadcast_to(self.arriving[:, None], (made.groups, filters, *made.outputs[1:])).reshape(-1)
        if self.path.after is None:
            return each
        found = np.zeros(self.path.dest.neurons, np.int64)
        of, column = np.nonzero(self.path.after >= 0)
        np.add.at(found, self.path.after[of, column], each[of])
        return found

    def fan_out(self) -> NDArray[np.int64]:
        """``(neurons of the source,)``: how many synapses start at each."""
        made, (channels, _) = self.connections, self.connections.channels
        back = _through(self.leaving, tuple(reach.T for reach in self._reaches))
        each = np.broadcast_to(back[:, None], (made.groups, channels, *made.inputs[1:])).reshape(-1)
        if self.path.before is None:
            return each
        there = self.path.before >= 0
        return np.bincount(self.path.before[there], each[there], self.path.source.neurons).astype(np.int64)

    def total(self, values: Array) -> float | None:
        """The sum over all synapses of the source's value times the weight; None where only the list of them can say.

        Args:
            values: ``(neurons of the source,)``.
        """
        after = self.path.after
        if after is not None and len(np.unique((after >= 0).sum(axis=1))) > 1:
            return None
        copies = 1 if after is None else int((after[0] >= 0).sum())
        read = values.astype(np.float64) if self.path.before is None else _gathered(values, self.path.before)
        found = self.connections.total(read.reshape(self.connections.inputs))
        return None if found is None else copies * found

    def __str__(self) -> str:
        through = ", ".join(self.path.through) or "one to one"
        counts = f"{self.synapses:,} synapses, {self.weights:,} weights"
        return f"{self.path.source} to {self.path.dest} through {through}: {counts}"


def _through(counts: NDArray[np.int64], matrices: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """``(groups, *spatial)`` counts along every axis; floats carry them, exact to 2⁵³ and fast."""
    if not matrices:
        return counts
    same = all(stride == 0 for stride in counts.strides)  # one number everywhere
    if same:
        found = np.asarray(counts.flat[0], np.float64)
        for matrix in matrices:
            found = found[..., None] * matrix.sum(axis=1)
        return np.broadcast_to(found.astype(np.int64), (len(counts), *found.shape))
    moved: Vector = counts.astype(np.float64)
    for axis, matrix in enumerate(matrices, start=1):
        moved = np.moveaxis(np.tensordot(moved, matrix.astype(np.float64), axes=(axis, 1)), -1, axis)
    return np.rint(moved).astype(np.int64)


def _gathered(rates: Array, which: Array) -> Vector:
    return np.where(which < 0, 0.0, rates[np.maximum(which, 0)].astype(np.float64))


def named(paths: Sequence[Path]) -> tuple[Projection, ...]:
    """Projections with names that say what they are, each its own."""
    found: dict[str, Projection] = {}
    for path in paths:
        between = [name for name in path.through if name not in (path.source.name, path.dest.name)]
        stem = name = " > ".join([path.source.name, *between, path.dest.name])
        number = 1
        while name in found:
            number += 1
            name = f"{stem} ({number})"
        found[name] = Projection(name, path)
    return tuple(found.values())


def projections(graph: Graph, pools: Pools = "groups") -> tuple[Projection, ...]:
    """Every projection of a spiking graph, by destination.

    Args:
        graph: a spiking graph.
        pools: as for ``groups_and_paths``.

    Raises:
        GraphError: for a graph that is not a spiking network.
    """
    return named(groups_and_paths(graph, pools)[1])
