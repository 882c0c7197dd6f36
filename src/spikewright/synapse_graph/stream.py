"""The synapse graph of a spiking network: a stream that is never whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.connections import Array
from spikewright.conversion import spiking_graph
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.rates import Rates, mean_values
from spikewright.settings import whole
from spikewright.synapse_graph.blocks import COLUMNS, SynapseBlock, blocks
from spikewright.synapse_graph.parts import ProjectionPart, parts_of
from spikewright.wiring import Group, Path, Pools, Projection, groups_and_paths, named

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 1 << 24
"""Synapses of one part, about: how long a stretch is computed, written and, after an interruption, redone as one."""


@dataclass(frozen=True, eq=False)
class SynapseStream:
    """Every synapse of a network, in an order that depends on nothing but the network and ``part_rows``.

    Attributes:
        graph: spiking.
        rates: of its neurons; None for weights alone.
        pools: whether pools are groups of neurons or folded into the projections around them.
        pool_weight: of synapses into pools that are groups: 1, or "mean" for what the pool computes.
        part_rows: about how many synapses a part has.
    """

    graph: Graph
    rates: Rates | None = None
    pools: Pools = "groups"
    pool_weight: Literal[1, "mean"] = 1
    part_rows: int = PART_ROWS
    groups: Mapping[str, Group] = field(init=False)
    projections: tuple[Projection, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.pools not in ("groups", "folded"):
            raise SettingsError(f"pools must be 'groups' or 'folded', not {self.pools!r}")
        if self.pool_weight not in (1, "mean"):
            raise SettingsError(f"pool_weight must be 1 or 'mean', not {self.pool_weight!r}")
        object.__setattr__(self, "graph", spiking_graph(self.graph))
        object.__setattr__(self, "part_rows", whole("part_rows", self.part_rows))
        groups, paths = groups_and_paths(self.graph, self.pools)
        if self.pool_weight == 1:
            paths = tuple(_neutral(path) if path.dest.kind == "pool" else path for path in paths)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "projections", named(paths))
        if self.rates is not None:
            self.rates.checked(self.graph)

    def __len__(self) -> int:
        return sum(projection.synapses for projection in self.projections)

    def __getitem__(self, name: str) -> Projection:
        for projection in self.projections:
            if projection.name == name:
                return projection
        known = ", ".join(f"'{p.name}'" for p in self.projections)
        raise SettingsError(f"no projection '{name}'; there are {known}")

    @cached_property
    def mean_values(self) -> Mapping[str, Array] | None:
        """What each neuron of each group sends in a timestep, by group, flat, float32; None without rates."""
        if self.rates is None:
            return None
        senders = {projection.path.source.name for projection in self.projections}
        found = mean_values(self.graph, self.rates, senders)
        return {name: found[name].astype(np.float32).reshape(-1) for name in self.groups if name in senders}

    @cached_property
    def mean_sizes(self) -> Mapping[str, Array] | None:
        """How much travels from each neuron of each group in a timestep, whatever its sign; as ``mean_values``."""
        means = self.mean_values
        if means is None or self.rates is None:
            return None
        both = {name: np.asarray(sizes, np.float32).reshape(-1) for name, sizes in self.rates.sent.items()}
        return {name: both.get(name, np.abs(values)) for name, values in means.items()}

    @cached_property
    def rates_key(self) -> str | None:
        """A fingerprint of the rates; None without any."""
        if self.rates is None:
            return None
        digest = hashlib.sha256()
        for name, values in (*sorted(self.rates.values.items()), *sorted(self.rates.sent.items())):
            digest.update(name.encode() + np.ascontiguousarray(values, np.float64).tobytes())
        return digest.hexdigest()

    def parts(self, projection: Projection) -> tuple[ProjectionPart, ...]:
        """The parts that a projection is listed in, each for itself."""
        return parts_of(projection, self.part_rows)

    def blocks(self, projection: Projection, part: ProjectionPart) -> Iterator[SynapseBlock]:
        """The synapses of a part as rectangles, without repeating what repeats."""
        means = self.mean_values
        return blocks(projection, part, None if means is None else means[projection.path.source.name])

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch and every file."""
        pa = pyarrow()
        group = pa.dictionary(pa.int32(), pa.string())
        empty = () if self.rates is not None else ("edge",)
        fields = [pa.field("source_group", group, nullable=False), pa.field("dest_group", group, nullable=False)]
        fields += [pa.field(name, pa.from_numpy_dtype(self.type_of(name)), nullable=name in empty) for name in COLUMNS]
        return pa.schema(fields)

    def type_of(self, column: str) -> np.dtype[Any]:
        """The type of a column: float32 for edge and weight, else the least that holds every index."""
        if column in ("edge", "weight"):
            return np.dtype(np.float32)
        longest = max(max(group.shape) for group in self.groups.values())
        four = max((n.shape[1] * n.shape[2] for n in self.groups.values() if len(n.shape) > 3), default=0)
        return np.dtype(np.uint16 if max(longest, four) <= 1 << 16 else np.uint32)

    def batches(
        self, projection: Projection | str | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Arrow record batches, each of one projection, in order.

        Args:
            projection: one of ``projections`` or its name; None for all, one after the other.
            start: the first row of those; what lies before is skipped without being enumerated.
            stop: the row after the last; None for the end.
        """
        chosen = self.projections if projection is None else (self._one(projection),)
        if start < 0 or (stop is not None and stop < start):
            raise SettingsError(f"rows {start} to {stop} are not a range")
        at = 0
        for one in chosen:
            if stop is not None and at >= stop:
                return
            if at + one.synapses <= start:
                at += one.synapses
                continue
            for part in self.parts(one):
                if at + part.rows <= start or (stop is not None and at >= stop):
                    at += part.rows
                    continue
                for block in self.blocks(one, part):
                    low = max(start - at, 0)
                    high = block.rows if stop is None else min(stop - at, block.rows)
                    at += block.rows
                    if low < high:
                        batch = self.batch(one, block)
                        yield batch if (low, high) == (0, block.rows) else batch.slice(low, high - low)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def _one(self, projection: Projection | str) -> Projection:
        return self[projection] if isinstance(projection, str) else projection

    def batch(self, projection: Projection, block: SynapseBlock) -> pa.RecordBatch:
        """A block as a record batch."""
        pa = pyarrow()
        names = list(self.groups)
        arrays = []
        for group in (projection.path.source, projection.path.dest):
            number = np.full(block.rows, names.index(group.name), np.int32)
            arrays.append(pa.DictionaryArray.from_arrays(number, pa.array(names)))
        for name in COLUMNS:
            if name in block.columns:
                values = block.columns[name].astype(self.type_of(name), copy=False)
                arrays.append(pa.array(np.ascontiguousarray(np.broadcast_to(values, block.shape)).reshape(-1)))
            else:
                arrays.append(pa.nulls(block.rows, pa.float32()))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _neutral(path: Path) -> Path:
    """With weight one for every synapse of a pool."""
    return replace(path, connections=replace(path.connections, factors=None))
