"""Fan-outs: where the spikes of each neuron go, neuron by neuron, while the stream of synapses goes by projection.

What formats of hypergraphs and tables of connections need. All neurons of one position that see the same windows have
the same destinations, which are computed once for all of them: of a convolution the work is a channel's, not a
synapse's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Array, Taps
from spikewright.graph import Shape
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.wiring import Group, Projection

Numbers = NDArray[np.int64]
NEURONS = 1 << 18
"""Neurons that are looked at together."""
DESTINATIONS = 1 << 20
"""Destinations that are spelt out at once, at most, but for neurons with more of their own."""

KEPT = 2
"""Groups whose fan-outs are kept."""


@dataclass(frozen=True, eq=False)
class FanOuts:
    """The destinations of neurons that follow each other in one group; those with the same stand as one run.

    Attributes:
        first: number of the first neuron, those of all groups counted through.
        lengths: ``(runs,)`` how many neurons have the same destinations.
        offsets: ``(runs + 1,)`` where the destinations of each run start.
        dests: numbers of the destinations, each once for a run, those of a group ascending.
        own: further destinations of each neuron by itself, none of which its run has; None for no such.
    """

    first: int
    lengths: Numbers
    offsets: Numbers
    dests: Numbers
    own: FanOuts | None = None

    @property
    def counts(self) -> Numbers:
        """``(runs,)`` how many destinations each neuron of a run has."""
        return np.diff(self.offsets)

    @property
    def neurons(self) -> Numbers:
        """``(runs,)`` the number of the first neuron of each run."""
        return self.first + np.cumsum(self.lengths) - self.lengths


def offsets(synapses: SynapseStream) -> dict[str, int]:
    """Where the neurons of each group start when those of all groups are counted through."""
    ends = np.cumsum([0, *(group.neurons for group in synapses.groups.values())]).tolist()
    return dict(zip(synapses.groups, ends, strict=False))


def channels_fastest(values: Array, shape: Shape) -> Array:
    """Values of a group's neurons, flat with channels first, in the order in which neurons are numbered."""
    return np.moveaxis(values.reshape(shape), 0, -1).reshape(-1)


def fan_out_sizes(synapses: SynapseStream) -> dict[str, Numbers]:
    """How many synapses leave each neuron, in the order of their numbers, by group; of groups that send."""
    found: dict[str, Numbers] = {}
    for one in synapses.projections:
        source = one.path.source
        counts = channels_fastest(one.fan_out(), source.shape)
        found[source.name] = found[source.name] + counts if source.name in found else counts
    return {name: found[name] for name in synapses.groups if name in found}


def stretches(sizes: Numbers, rows: int) -> Iterator[tuple[int, int, int]]:
    """Cut neurons that follow each other into stretches of about so many synapses.

    Args:
        sizes: how many synapses each has.
        rows: of a stretch.

    Yields:
        first neuron, the one behind the last, and how many synapses they have.
    """
    ends = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        before = int(ends[low] - sizes[low])
        high = max(int(np.searchsorted(ends, before + rows, side="right")), low + 1)
        yield low, high, int(ends[high - 1]) - before
        low = high


def digits(first: int, count: int) -> Numbers:
    """How many digits each of the numbers ``first``, ``first + 1``, … has."""
    return np.searchsorted(10 ** np.arange(1, 18), np.arange(first, first + count), side="right") + 1


@dataclass(frozen=True, eq=False)
class GroupFanOuts:
    """The fan-outs of one group of neurons.

    Attributes:
        group: it.
        first: the number of its first neuron.
        reaches: one for each projection that starts there.
    """

    group: Group
    first: int
    reaches: tuple[Reach, ...]

    @classmethod
    def of(cls, synapses: SynapseStream, name: str) -> GroupFanOuts:
        """Those of a group by its name."""
        first = offsets(synapses)
        leaving = [one for one in synapses.projections if one.path.source.name == name]
        leaving.sort(key=lambda one: first[one.path.dest.name])
        return cls(
            synapses.groups[name],
            first[name],
            tuple(Reach(one, first[one.path.dest.name]) for one in leaving),
        )

    def between(self, low: int, high: int, together: int = 1) -> Iterator[FanOuts]:
        """Those of the neurons ``low`` to ``high − 1`` of the group, in order.

        Args:
            low: the first neuron, counted within the group.
            high: the one behind the last.
            together: so many neurons that follow each other, of all that are asked for, are yielded together, and no
                run goes on from some of them to the next.
        """
        step = max(NEURONS // together, 1) * together
        for start in range(low, high, step):
            yield from self._some(start, min(start + step, high), together)

    def _some(self, low: int, high: int, together: int) -> Iterator[FanOuts]:
        shared, own = self._shared_and_own
        keys = np.stack([reach.keys(low, high) for reach in shared], axis=1)
        changes = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))
        if together > 1:
            changes |= np.arange(low, high) % together == 0
        borders = np.append(np.flatnonzero(changes), high - low)
        whole = np.flatnonzero((borders + low) % together == 0) if together > 1 else np.arange(len(borders))
        if whole[-1] != len(borders) - 1:
            whole = np.append(whole, len(borders) - 1)
        step = max(DESTINATIONS // sum(reach.width for reach in shared), 1)
        run = 0
        while run < len(borders) - 1:
            at = np.searchsorted(whole, run + step, side="right") - 1
            last = int(whole[at]) if whole[at] > run else int(whole[at + 1])
            edges = borders[run : last + 1]
            first, behind = low + int(edges[0]), low + int(edges[-1])
            offsets, dests = self._merged(shared, keys[edges[:-1]])
            alone = None
            if own:
                found = self._merged(own, np.stack([reach.keys(first, behind) for reach in own], axis=1))
                alone = FanOuts(self.first + first, np.ones(behind - first, np.int64), *found)
            yield FanOuts(self.first + first, np.diff(edges), offsets, dests, alone)
            run = last

    @cached_property
    def _shared_and_own(self) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        """Those by which all channels of a position have the same destinations, and the others beside these."""
        shared = tuple(reach for reach in self.reaches if reach.single and reach.projection.connections.groups == 1)
        if not shared or not self._apart:
            return self.reaches, ()
        return shared, tuple(reach for reach in self.reaches if reach not in shared)

    def _merged(self, reaches: Sequence[Reach], keys: Numbers) -> tuple[Numbers, Numbers]:
        """Offsets and destinations of runs by their keys ``(runs, reaches)``."""
        found = [reach.destinations(keys[:, k]) for k, reach in enumerate(reaches)]
        if len(found) == 1 and reaches[0].single:
            return offsets_of(found[0][0]), found[0][1]
        offsets = offsets_of(np.sum([counts for counts, _ in found], axis=0))
        if self._apart:
            dests = np.empty(offsets[-1], np.int64)
            at = offsets[:-1].copy()
            for counts, some in found:
                dests[ranges(at, counts)] = some
                at += counts
            return offsets, dests
        owner = np.concatenate([np.repeat(np.arange(len(keys)), counts) for counts, _ in found])
        every = np.concatenate([some for _, some in found])
        beyond = int(every.max(initial=0)) + 1
        owner, dests = np.divmod(np.unique(owner * beyond + every), beyond)
        return offsets_of(np.bincount(owner, minlength=len(keys))), dests

    @cached_property
    def _apart(self) -> bool:
        """Whether no destination can be reached twice."""
        names = [reach.projection.path.dest.name for reach in self.reaches]
        return len(set(names)) == len(names) and all(reach.single for reach in self.reaches)


class LatestFanOuts:
    """The fan-outs of groups, of which only those asked for last are kept: their tables are as large as groups.

    Args:
        synapses: the graph.
    """

    def __init__(self, synapses: SynapseStream) -> None:
        self.synapses, self.kept, self.lock = synapses, dict[str, GroupFanOuts](), Lock()

    def of(self, name: str) -> GroupFanOuts:
        """Those of a group."""
        with self.lock:
            found = self.kept.pop(name, None)
            self.kept[name] = GroupFanOuts.of(self.synapses, name) if found is None else found
            while len(self.kept) > KEPT:
                self.kept.pop(next(iter(self.kept)))
            return self.kept[name]


class Reach:
    """Which destinations each source neuron of one projection reaches.

    Args:
        projection: it.
        first: the number of the first neuron of its destination.

    Attributes:
        single: whether each source neuron is read at one place at most, so that each destination is reached once.
        width: how many destinations a neuron has, at most.
    """

    def __init__(self, projection: Projection, first: int) -> None:
        self.projection = projection
        path, made = projection.path, projection.connections
        self.positions = prod(made.inputs[1:])
        self.seen_by = tuple(_seen_by(taps, n) for taps, n in zip(made.axes, made.inputs[1:], strict=True))
        self.table = _numbers_of_outputs(projection, first)
        self.readers: tuple[Numbers, Numbers] | None = None
        most = 1
        if path.before is not None:
            there = np.flatnonzero(path.before >= 0)
            order = there[np.argsort(path.before[there], kind="stable")]
            counts = np.bincount(path.before[there], minlength=path.source.neurons)
            self.readers = offsets_of(counts), order
            most = int(counts.max(initial=0))
        self.single = most <= 1
        self.width = max(most * prod(seen.shape[1] for seen in self.seen_by) * self.table[0, 0].size, 1)

    def keys(self, low: int, high: int) -> Numbers:
        """One number for each neuron ``low`` to ``high − 1``: the same for those with the same destinations.

        It is the place at which the neuron is read (group of channels, position), −1 for none; where neurons are read
        at several places it is the neuron itself.
        """
        shape = self.projection.path.source.shape
        position, channel = np.divmod(np.arange(low, high), shape[0])
        flat = channel * prod(shape[1:]) + position
        if not self.single:
            return flat
        if self.readers is not None:
            offsets, order = self.readers
            none = offsets[flat + 1] == offsets[flat]
            flat = np.where(none, -1, order[np.minimum(offsets[flat], len(order) - 1)]) if len(order) else flat * 0 - 1
        return self._places(flat)

    def _places(self, inputs: Numbers) -> Numbers:
        """Where inputs by number are read; −1 stays."""
        per_group = self.projection.connections.channels[0]
        channel, position = np.divmod(inputs, self.positions)
        return np.where(inputs < 0, -1, channel // per_group * self.positions + position)

    def destinations(self, keys: Numbers) -> tuple[Numbers, Numbers]:
        """How many destinations each key has ``(keys,)``, and all of them."""
        if self.single:
            return self._of_places(keys)
        assert self.readers is not None
        offsets, order = self.readers
        times = offsets[keys + 1] - offsets[keys]
        owner = np.repeat(np.arange(len(keys)), times)
        counts, dests = self._of_places(self._places(order[ranges(offsets[keys], times)]))
        return np.bincount(owner, counts, len(keys)).astype(np.int64), dests

    def _of_places(self, places: Numbers) -> tuple[Numbers, Numbers]:
        group, position = np.divmod(places, self.positions)
        made = self.projection.connections
        outputs = np.where(places < 0, -1, 0)[:, None]
        where = np.unravel_index(np.maximum(position, 0), made.inputs[1:]) if made.axes else ()
        for along, seen, length in zip(where, self.seen_by, made.outputs[1:], strict=True):
            more = seen[along]
            both = outputs[:, :, None] * length + more[:, None, :]
            outputs = np.where((outputs[:, :, None] < 0) | (more[:, None, :] < 0), -1, both).reshape(len(places), -1)
        dests = self.table[outputs, np.maximum(group, 0)[:, None]]
        there = (outputs >= 0)[:, :, None, None] & (dests >= 0)
        if there.all():
            return np.full(len(places), dests[0].size if len(dests) else 0), dests.reshape(-1)
        return there.reshape(len(places), -1).sum(axis=1), dests[there]


def _seen_by(taps: Taps, length: int) -> Numbers:
    """``(inputs, n)`` of one axis: the outputs that see each input, each once, ascending, filled up with −1."""
    output, tap = np.nonzero(taps >= 0)
    pairs = np.unique(taps[output, tap] * len(taps) + output)
    seen, by = np.divmod(pairs, len(taps))
    counts = np.bincount(seen, minlength=length)
    found = np.full((length, max(int(counts.max(initial=0)), 1)), -1, np.int64)
    found[seen, np.arange(len(seen)) - np.repeat(np.cumsum(counts) - counts, counts)] = by
    return found


def _numbers_of_outputs(projection: Projection, first: int) -> Numbers:
    """``(output positions, groups, filters, copies)``: the number of the neuron that an output is, −1 for none."""
    path, made = projection.path, projection.connections
    neurons = np.arange(prod(made.outputs))[:, None] if path.after is None else path.after
    channel, position = np.divmod(neurons, prod(path.dest.shape[1:]))
    numbers = np.where(neurons < 0, -1, first + position * path.dest.shape[0] + channel)
    by_channel = numbers.reshape(made.outputs[0], -1, numbers.shape[1]).swapaxes(0, 1)
    ordered: Numbers = np.ascontiguousarray(by_channel).reshape(len(by_channel), made.groups, -1, numbers.shape[1])
    return ordered


def ranges(begins: Numbers, counts: Numbers) -> Numbers:
    """The numbers from each of some beginnings on, so many of each, one behind the other."""
    found: Numbers = np.repeat(begins - (np.cumsum(counts) - counts), counts)
    found += np.arange(len(found))
    return found


def offsets_of(counts: Numbers) -> Numbers:
    """``(n + 1,)`` where each of some stretches starts that lie one behind the other."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
