"""What a synapse graph is like as a whole, without listing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.synapse_graph.cuts import Cut, Partition, cut
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.text import brief
from spikewright.wiring import Group, Projection

BINS = 40


@dataclass(frozen=True, eq=False)
class Degrees:
    """How many synapses the neurons of a group have on one side.

    Attributes:
        mean, low, high: over its neurons.
        counts, edges: a histogram: ``(n,)`` neurons and the ``(n + 1,)`` borders between.
    """

    mean: float
    low: int
    high: int
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]

    __repr__ = brief

    @classmethod
    def of(cls, degrees: NDArray[np.int64]) -> Degrees:
        """Mean, range and histogram of the degrees ``(n,)`` of a group."""
        low, high = int(degrees.min()), int(degrees.max())
        bins = min(BINS, high - low + 1)
        counts, edges = np.histogram(degrees, bins, (low - 0.5, high + 0.5))
        return cls(float(degrees.mean()), low, high, counts, edges)


@dataclass(frozen=True)
class Traffic:
    """What one projection carries.

    Attributes:
        synapses: how many.
        events: spikes that travel it in one timestep, of either sign, one for each synapse that one takes; of a source
            that holds values, those. None without rates.
        edge: the sum of its edges. None without rates.
    """

    synapses: int
    events: float | None
    edge: float | None


@dataclass(frozen=True, eq=False)
class Summary:
    """What is known of a whole graph of synapses.

    Attributes:
        groups: by name.
        fan_in, fan_out: of every group with synapses on that side.
        projections: by name.
        pairs: by (source group, destination group): all projections between the two together.
        cut: what a partition cuts; None where none was given.
    """

    groups: Mapping[str, Group]
    fan_in: Mapping[str, Degrees]
    fan_out: Mapping[str, Degrees]
    projections: Mapping[str, Traffic]
    pairs: Mapping[tuple[str, str], Traffic]
    cut: Cut | None = None

    __repr__ = brief

    def __str__(self) -> str:
        lines = [f"{self.neurons:,} neurons in {len(self.groups)} groups, {self.synapses:,} synapses"]
        lines += [f"{name}: {traffic.synapses:,}" for name, traffic in self.projections.items()]
        return "\n  ".join(lines if self.cut is None else [*lines, str(self.cut)])

    @property
    def neurons(self) -> int:
        """Neurons of all groups."""
        return sum(group.neurons for group in self.groups.values())

    @property
    def synapses(self) -> int:
        """Synapses of all projections."""
        return sum(traffic.synapses for traffic in self.projections.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""

        def degrees(one: Degrees | None) -> dict[str, Any] | None:
            return None if one is None else {"mean": one.mean, "min": one.low, "max": one.high}

        return {
            "neurons": self.neurons,
            "synapses": self.synapses,
            "groups": [
                {
                    "name": group.name,
                    "kind": group.kind,
                    "shape": list(group.shape),
                    "neurons": group.neurons,
                    "fan_in": degrees(self.fan_in.get(group.name)),
                    "fan_out": degrees(self.fan_out.get(group.name)),
                }
                for group in self.groups.values()
            ],
            "projections": [
                {"name": name, "synapses": one.synapses, "events_per_timestep": one.events, "edge": one.edge}
                for name, one in self.projections.items()
            ],
            "cut": None if self.cut is None else asdict(self.cut),
        }


def summarise(synapses: SynapseStream, partition: Partition | None = None) -> Summary:
    """Count and add up every projection, one at a time; ``partition`` as for ``cut``."""
    found = None if partition is None else cut(synapses, partition)
    fan_in: dict[str, NDArray[np.int64]] = {}
    fan_out: dict[str, NDArray[np.int64]] = {}
    projections: dict[str, Traffic] = {}
    pairs: dict[tuple[str, str], Traffic] = {}
    for one in synapses.projections:
        source, dest, out = one.path.source.name, one.path.dest.name, one.fan_out()
        _count(fan_in, dest, one.fan_in())
        _count(fan_out, source, out)
        traffic = projections[one.name] = Traffic(one.synapses, *_carried(synapses, one, out))
        pairs[source, dest] = _added(pairs.get((source, dest)), traffic)
    return Summary(
        synapses.groups,
        {name: Degrees.of(fan_in[name]) for name in synapses.groups if name in fan_in},
        {name: Degrees.of(fan_out[name]) for name in synapses.groups if name in fan_out},
        projections,
        pairs,
        found,
    )


def _count(found: dict[str, NDArray[np.int64]], name: str, degrees: NDArray[np.int64]) -> None:
    found[name] = found[name] + degrees if name in found else degrees


def _carried(
    synapses: SynapseStream, projection: Projection, fan_out: NDArray[np.int64]
) -> tuple[float, float] | tuple[None, None]:
    if synapses.mean_values is None or synapses.mean_sizes is None:
        return None, None
    rates = synapses.mean_values[projection.path.source.name]
    edge = projection.total(rates)
    if edge is None:  # few synapses, and no shorter way: a map that is cropped or pooled and scaled at once
        each: Sequence[float] = [
            float(block.column("edge").sum(dtype=np.float64))
            for part in synapses.parts(projection)
            for block in synapses.blocks(projection, part)
        ]
        edge = float(sum(each))
    sizes = synapses.mean_sizes[projection.path.source.name]
    return float((sizes.astype(np.float64) * fan_out).sum()), edge


def _added(before: Traffic | None, one: Traffic) -> Traffic:
    if before is None:
        return one
    known = before.events is not None and one.events is not None
    return Traffic(
        before.synapses + one.synapses,
        (before.events or 0.0) + (one.events or 0.0) if known else None,
        (before.edge or 0.0) + (one.edge or 0.0) if known else None,
    )
