"""What a partition of the neurons cuts: edges between its parts, and spikes that are handed to other parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.files import shown
from spikewright.synapse_graph.fan_outs import FanOuts, GroupFanOuts, Numbers, channels_fastest, fan_out_sizes, offsets
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.vertices import Vertices
from spikewright.text import short

Partition = Sequence[int] | NDArray[np.integer[Any]] | Mapping[str, Any] | Path | str
LARGEST_PART = 1 << 31


@dataclass(frozen=True)
class Cut:
    """What lies between the parts of a partition.

    A chip sends a spike once to every core that has a neuron it reaches, and that core hands it on: so what travels is
    the multicast cut, of which the edge cut counts each spike as often as it has destinations there.

    Attributes:
        parts: how many have neurons.
        largest: neurons of the largest.
        edges: pairs of neurons of different parts that synapses join.
        multicast: for each neuron how many other parts it reaches, summed: the connectivity of a hypergraph's cut.
        edge_events: the same as ``edges``, each as often as its source sends in a timestep; None without rates.
        multicast_events: the same as ``multicast``, for spikes in a timestep; None without rates.
    """

    parts: int
    largest: int
    edges: int
    multicast: int
    edge_events: float | None
    multicast_events: float | None

    def __str__(self) -> str:
        edges, multicast = (
            f"{count:,}" if events is None else f"{count:,} ({short(events)} events a step)"
            for count, events in ((self.edges, self.edge_events), (self.multicast, self.multicast_events))
        )
        parts = f"{self.parts:,} part{'' if self.parts == 1 else 's'} of {self.largest:,} neurons or fewer"
        return f"cut into {parts}: edges {edges}, multicast {multicast}"


def cut(synapses: SynapseStream, partition: Partition) -> Cut:
    """What a partition cuts, found without listing a synapse.

    Args:
        synapses: the graph.
        partition: the part of each neuron, those of all groups counted through as formats do, the channel fastest; or
            by group one part or those of its neurons in its shape; or a file with a part a line, as partitioners
            write it.

    Raises:
        DataError: for a partition that does not fit, or is not made of whole numbers of 0 or more.
    """
    parts = parts_of_neurons(synapses, partition)
    named, parts = np.unique(parts, return_inverse=True)
    sizes = synapses.mean_sizes
    edges = multicast = 0
    edge_events = multicast_events = 0.0
    for name, leaving in fan_out_sizes(synapses).items():
        made = GroupFanOuts.of(synapses, name)
        weights = None if sizes is None else channels_fastest(sizes[name].astype(np.float64), made.group.shape)
        for some in made.between(0, len(leaving)):
            crossing, reached = _crossing(some, parts, len(named))
            edges += int(crossing.sum())
            multicast += int(reached.sum())
            if weights is not None:
                at = some.first - made.first
                each = weights[at : at + len(crossing)]
                edge_events += float(each @ crossing)
                multicast_events += float(each @ reached)
    events = (None, None) if sizes is None else (edge_events, multicast_events)
    return Cut(len(named), int(np.bincount(parts).max(initial=0)), edges, multicast, *events)


def _crossing(fan_outs: FanOuts, parts: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """Of each neuron how many of its destinations are in other parts, and in how many other parts they are."""
    run = np.repeat(np.arange(len(fan_outs.lengths)), fan_outs.lengths)
    own = parts[fan_outs.first : fan_outs.first + len(run)]
    crossing, reached, keys = _of_runs(fan_outs, parts, count, run, own)
    if fan_outs.own is None:
        return crossing, reached
    alone = np.arange(len(run))
    more, others, found = _of_runs(fan_outs.own, parts, count, alone, own)
    neuron, part = np.divmod(found, count)
    again = (part != own[neuron]) & _within(run[neuron] * count + part, keys)
    return crossing + more, reached + others - np.bincount(neuron[again], minlength=len(run))


def _of_runs(
    fan_outs: FanOuts, parts: Numbers, count: int, run: Numbers, own: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """The same of destinations that runs share, and which parts each run reaches: ``run · count + part``, ascending."""
    runs = len(fan_outs.lengths)
    keys, times = _counted(np.repeat(np.arange(runs), fan_outs.counts) * count + parts[fan_outs.dests], runs * count)
    different = np.bincount(keys // count, minlength=runs)
    at = run * count + own
    here = _within(at, keys)
    within = np.where(here, times[np.minimum(np.searchsorted(keys, at), len(keys) - 1)], 0) if len(keys) else here * 0
    return fan_outs.counts[run] - within, different[run] - here, keys


def _counted(keys: Numbers, beyond: int) -> tuple[Numbers, Numbers]:
    """Which numbers there are, ascending, and how often each."""
    if beyond <= 4 * len(keys) + (1 << 16):
        times = np.bincount(keys, minlength=beyond)
        there = np.flatnonzero(times)
        return there, times[there]
    found, times = np.unique(keys, return_counts=True)
    return found, times


def _within(numbers: Numbers, ascending: Numbers) -> NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(len(numbers), bool)
    found: NDArray[np.bool_] = ascending[np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)] == numbers
    return found


def parts_of_neurons(synapses: SynapseStream, partition: Partition) -> Numbers:
    """The part of each neuron, in the order of their numbers; arguments and errors as ``cut``."""
    if isinstance(partition, Mapping):
        return _by_group(synapses, partition)
    given = _read(Path(partition)) if isinstance(partition, str | Path) else _whole(partition, "the partition")
    neurons, positions = (Vertices(synapses, grouped).total for grouped in (False, True))
    if given.shape == (neurons,):
        return given
    if given.shape == (positions,):  # of a graph whose channels were grouped
        return np.asarray(given[Vertices(synapses, True).numbers(np.arange(neurons))])
    where = f"{shown(partition)}: " if isinstance(partition, str | Path) else ""
    raise DataError(
        f"{where}a partition has a part for each of {neurons:,} neurons (or of {positions:,} positions, where .hgr was "
        f"grouped), not {given.size:,}; give that of this very graph, with the same pools"
    )


def _by_group(synapses: SynapseStream, partition: Mapping[str, Any]) -> Numbers:
    unknown = partition.keys() ^ synapses.groups.keys()
    for name in sorted(unknown):
        which = "has no group" if name in partition else "says nothing of the group"
        raise DataError(f"the partition {which} '{name}'; there are {', '.join(synapses.groups)}")
    found = np.zeros(sum(group.neurons for group in synapses.groups.values()), np.int64)
    for name, first in offsets(synapses).items():
        group, given = synapses.groups[name], _whole(partition[name], f"the partition of '{name}'")
        if given.shape not in ((), group.shape):
            raise DataError(f"the partition of '{name}' has the shape {given.shape}, its neurons {group.shape}")
        found[first : first + group.neurons] = channels_fastest(np.broadcast_to(given, group.shape), group.shape)
    return found


def _whole(values: Any, what: str) -> Numbers:
    given = np.asarray(values)
    if given.dtype.kind not in "iu" or (given.size and (given.min() < 0 or given.max() >= LARGEST_PART)):
        raise DataError(f"{what} is made of whole numbers, 0 or more, a part for each neuron")
    return given.astype(np.int64)


def _read(path: Path) -> Numbers:
    """A part a line, as hMETIS, KaHyPar and METIS write partitions."""
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such file; it has a part a line, as partitioners write it")
    try:
        words = path.read_bytes().split()
        if not all(word.isdigit() and len(word) < 10 for word in words):
            raise ValueError
    except (OSError, ValueError):
        raise DataError(f"{shown(path)}: a partition has a whole number, 0 or more, a line, and nothing else") from None
    return np.array(words, dtype="S10").astype(np.int64)
