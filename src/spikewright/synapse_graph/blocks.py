"""Synapses in blocks: arrays that say where every synapse of a rectangle of positions, taps and channels leads.

Output positions that see the same taps make up rectangles; within one, source, destination and weight each depend on
some of the axes only. A column of a block has length one along the axes that it does not depend on, so that nothing is
repeated until it is written, and a writer that knows runs and repetitions never has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Array, Taps
from spikewright.graph import Shape
from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.wiring import Projection

ROWS = 1 << 19
"""Synapses of a block, at most, but for a single position of a layer with many channels."""
NEURON = ("row", "column", "channel")
COLUMNS = (*(f"source_{axis}" for axis in NEURON), *(f"dest_{axis}" for axis in NEURON), "edge", "weight")


@dataclass(frozen=True, eq=False)
class SynapseBlock:
    """Some synapses of one projection.

    Attributes:
        shape: their rectangle; the last axis is fastest.
        columns: by name, of as many axes, and of length one where nothing changes.
    """

    shape: Shape
    columns: dict[str, Array]

    @property
    def rows(self) -> int:
        """How many synapses it holds."""
        return prod(self.shape)

    def column(self, name: str) -> Array:
        """All values of a column, one for each synapse."""
        return np.ascontiguousarray(np.broadcast_to(self.columns[name], self.shape)).reshape(-1)


def blocks(
    projection: Projection, part: ProjectionPart, rates: Array | None, rows: int = ROWS
) -> Iterator[SynapseBlock]:
    """The synapses of a part, always in the same order.

    Args:
        projection: it.
        part: one of its parts.
        rates: of the source's neurons in float32, flat; None for no edges.
        rows: of a block, at most, where a block can be that small.
    """
    listing = _Listing(projection, part, rates)
    for tile in listing.tiles(rows):
        block = listing.block(tile)
        if block is not None:
            yield block


@dataclass(frozen=True, eq=False)
class _Tile:
    """A rectangle: of every axis some outputs and some taps, and of the channels some."""

    outputs: tuple[Array, ...]
    taps: tuple[Array, ...]
    groups: Array
    channels: Array
    key: tuple[object, ...]
    """The same for tiles whose weights are the same."""


@dataclass
class _Listing:
    projection: Projection
    part: ProjectionPart
    rates: Array | None
    kept: dict[tuple[object, ...], Array] = field(default_factory=dict)

    def tiles(self, rows: int) -> Iterator[_Tile]:
        made = self.projection.connections
        opened = self.projection.open_channels
        inputs, filters = made.channels
        groups, channels = opened if opened is not None else (np.arange(made.groups), np.arange(inputs))
        channels = channels[(channels >= self.part.low) & (channels < self.part.high)]
        axes = [_classes(taps) for taps in made.axes]
        if axes:
            axes[0] = [
                (outputs[(outputs >= self.part.first) & (outputs < self.part.last)], taps) for outputs, taps in axes[0]
            ]
        after = self.projection.path.after
        copies = 1 if after is None else after.shape[1]
        for number, chosen in enumerate(product(*axes)):
            outputs, taps = tuple(o for o, _ in chosen), tuple(t for _, t in chosen)
            inner = prod(len(t) for t in taps) * filters * copies
            sizes = [*(len(o) for o in outputs), len(groups), len(channels)]
            for cut in _cuts(sizes, max(rows // max(inner, 1), 1)):
                *along, of_groups, of_channels = cut
                yield _Tile(
                    tuple(o[piece] for o, piece in zip(outputs, along, strict=True)),
                    taps,
                    groups[of_groups],
                    channels[of_channels],
                    (number, of_groups.start, of_groups.stop, of_channels.start, of_channels.stop),
                )

    def block(self, tile: _Tile) -> SynapseBlock | None:
        path, made = self.projection.path, self.projection.connections
        n = len(made.axes)
        inputs, filters = made.channels
        axes = 2 * n + 4  # outputs, taps, groups, channels, filters, copies
        shape = (
            *(len(o) for o in tile.outputs),
            *(len(t) for t in tile.taps),
            len(tile.groups),
            len(tile.channels),
            filters,
            1 if path.after is None else path.after.shape[1],
        )
        if not prod(shape):
            return None
        positions = [_at(made.axes[a][np.ix_(tile.outputs[a], tile.taps[a])], axes, a, n + a) for a in range(n)]
        channel = _at(tile.groups[:, None] * inputs + tile.channels, axes, 2 * n, 2 * n + 1)
        target = [_at(tile.outputs[a], axes, a) for a in range(n)]
        filter_ = _at(tile.groups[:, None] * filters + np.arange(filters), axes, 2 * n, 2 * n + 2)
        reads = _flat(channel, positions, made.inputs)
        writes = _flat(filter_, target, made.outputs)
        source = reads if path.before is None else path.before[reads]
        dest = writes if path.after is None else _copies(path.after[writes])
        known = self.projection.source_channels
        if known is not None:
            before = _neuron(known[channel], positions, path.source.shape)
        else:
            before = neuron_of(source, path.source.shape)
        if path.after is None and made.outputs == path.dest.shape:
            after = _neuron(filter_, target, path.dest.shape)
        else:
            after = neuron_of(dest, path.dest.shape)
        columns = dict(zip(COLUMNS, (*before, *after), strict=False))
        weight = columns["weight"] = self._weight(tile, n)
        if self.rates is not None:
            edge = np.asarray(self.rates[source] * weight)
            columns["edge"] = np.add(edge, np.float32(0), out=edge)  # a silent neuron's edges are 0, never −0
        if (path.before is not None and int(source.min()) < 0) or (path.after is not None and int(dest.min()) < 0):
            there = np.broadcast_to((source >= 0) & (dest >= 0), shape)
            columns = {name: np.broadcast_to(column, shape)[there] for name, column in columns.items()}
            shape = (int(there.sum()),)
            if not shape[0]:
                return None
        return SynapseBlock(shape, columns)

    def _weight(self, tile: _Tile, n: int) -> Array:
        """Along outputs, taps, groups, channels, filters and copies; one object for all tiles that share it."""
        made = self.projection.connections
        if made.mixes is not None:
            weight: Array = self._mixed(tile, n)
        elif made.kernel is not None:
            weight = self._kernel(tile, n)
        else:
            weight = np.ones((1,) * (2 * n + 4), np.float32)
        for a, factors in enumerate(made.factors or ()):
            weight = weight * _at(factors[tile.outputs[a]], 2 * n + 4, a)
        if made.gain is not None:
            gain = made.gain.reshape(made.groups, made.channels[1], *made.gain.shape[1:])
            picked = gain[np.ix_(tile.groups, np.arange(made.channels[1]), *tile.outputs)]
            weight = weight * _at(np.moveaxis(picked, (0, 1), (-2, -1)), 2 * n + 4, *range(n), 2 * n, 2 * n + 2)
        return weight.astype(np.float32, copy=False)

    def _kernel(self, tile: _Tile, n: int) -> Array:
        """The entries of the kernel that a tile meets."""
        kernel = self.projection.connections.kernel
        assert kernel is not None
        if tile.key not in self.kept:
            if len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            picked = _picked(kernel, tile.groups, None, tile.channels, *tile.taps)
            ordered = np.ascontiguousarray(picked.transpose(*range(3, 3 + n), 0, 2, 1))
            self.kept[tile.key] = ordered.reshape((1,) * n + ordered.shape + (1,))
        return self.kept[tile.key]

    def _mixed(self, tile: _Tile, n: int) -> Array:
        """The sum over all entries of the kernel that lie on the way, for every pair of neurons that it joins."""
        made = self.projection.connections
        mixes = made.mixes or ()
        joined = np.ones((1, 1, 1))
        for a in range(n):
            one = mixes[a][np.ix_(tile.outputs[a], tile.taps[a])]
            joined = np.einsum("xyj,otk->xoytjk", joined, one)
            joined = joined.reshape(joined.shape[0] * joined.shape[1], -1, joined.shape[4] * joined.shape[5])
        if made.kernel is None:
            weight = np.broadcast_to(joined.sum(axis=2)[..., None, None, None], (*joined.shape[:2], 1, 1, 1))
        else:
            picked = made.kernel[np.ix_(tile.groups, np.arange(made.channels[1]), tile.channels)]
            ordered = picked.reshape(*picked.shape[:3], -1).transpose(3, 0, 2, 1).astype(np.float64)
            weight = np.tensordot(joined, ordered, axes=(2, 0))
        sizes = (*(len(o) for o in tile.outputs), *(len(t) for t in tile.taps))
        return weight.reshape(*sizes, *weight.shape[2:], 1)


KEPT = 12
"""How many kernels, cut to the taps inside the map, are kept at hand."""


def neuron_of(flat: Array, shape: Shape) -> tuple[Array, Array, Array]:
    """(row, column, channel) of neurons by number; what has no such axis is 0, and a third axis counts into the row."""
    channel, position = np.divmod(flat, prod(shape[1:]))
    if len(shape) < 3:
        return position, np.zeros((1,) * flat.ndim, np.int64), channel
    row, column = np.divmod(position, shape[-1])
    return row, column, channel


def _neuron(channel: Array, positions: Sequence[Array], shape: Shape) -> tuple[Array, Array, Array]:
    """The same from the position along every axis."""
    zero = np.zeros((1,) * channel.ndim, np.int64)
    if len(positions) < 2:
        return positions[0] if positions else zero, zero, channel
    row = positions[0]
    for position, length in zip(positions[1:-1], shape[2:-1], strict=True):
        row = row * length + position
    return row, positions[-1], channel


def _classes(taps: Taps) -> list[tuple[Array, Array]]:
    """The outputs of one axis that see the same taps, with those taps; by the first output of each."""
    kinds, first, which = np.unique(taps >= 0, axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    order = [k for k in np.argsort(first) if kinds[k].any()]
    return [(np.flatnonzero(which == k), np.flatnonzero(kinds[k])) for k in order]


def _cuts(sizes: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Slices along every axis so that at most so many entries are in each, in order, the last axis whole longest."""
    pieces: list[list[slice]] = []
    inner = prod(sizes)
    for length in sizes:
        inner //= max(length, 1)
        step = min(max(most // max(inner, 1), 1), max(length, 1))
        pieces.append([slice(start, min(start + step, length)) for start in range(0, length, step)])
    return product(*pieces)


def _at(values: NDArray[np.generic], axes: int, *where: int) -> Array:
    """An array with its axes put at some of so many."""
    shape = [1] * axes
    for axis, length in zip(where, values.shape, strict=True):
        shape[axis] = length
    return values.reshape(shape)


def _picked(values: Array, *which: Array | None) -> Array:
    """Some entries along every axis (all for None), without a copy where they lie in one piece."""
    for axis, entries in enumerate(which):
        if entries is not None:
            first, last = int(entries[0]), int(entries[-1])
            whole = last - first + 1 == len(entries)  # they rise
            values = values[(slice(None),) * axis + ((slice(first, last + 1) if whole else entries),)]
    return values


def _flat(channel: Array, positions: Sequence[Array], shape: Shape) -> Array:
    flat = channel
    for position, length in zip(positions, shape[1:], strict=True):
        flat = flat * length + position
    return flat


def _copies(targets: Array) -> Array:
    """The axis of the copies, which an index has put behind all others, in the place that is kept for it."""
    return np.moveaxis(targets, -1, -2)[..., 0]
