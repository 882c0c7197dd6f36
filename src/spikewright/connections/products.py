"""Products: a pool and the layer behind it, or before it, as one operator, with the pairs that meet merged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spikewright.connections.connections import Array, Connections, Taps, one_to_one


def folded(first: Connections, moves: Array | None, second: Connections) -> tuple[Connections, Array | None] | None:
    """The product of two operators, at least one of them a pool; None where it is not of the form that both have.

    Args:
        first: reads the source.
        moves: for each input of ``second`` which output of ``first`` it is, −1 for none; None where all stay in place.
        second: reads the first.

    Returns:
        the product, and for each of its input channels which input channel of ``first`` it is (None for the same).
    """
    if first.pools:
        if moves is None and not second.axes:
            second = _over_a_map(second, first.outputs)
        channels = None if moves is None else channel_map(moves, second.inputs, first.outputs)
        if second.inputs[1:] != first.outputs[1:] or (moves is not None and channels is None):
            return None
        inner = [_matrix(taps, _factors(first, a), n) for a, (taps, n) in _axes(first)]
        outer = [_entries(second, a, n) for a, (_, n) in _axes(second)]
        found = [_product(np.einsum("omk,mi->oik", after, before)) for after, before in zip(outer, inner, strict=True)]
        made = replace(second, inputs=(second.inputs[0], *first.inputs[1:]), factors=None)
        return _mixed(made, found), channels
    if second.pools and moves is None and first.gain is None and first.factors is None and first.axes:
        outer = [_matrix(taps, _factors(second, a), n) for a, (taps, n) in _axes(second)]
        inner = [_entries(first, a, n) for a, (_, n) in _axes(first)]
        found = [_product(np.einsum("om,mik->oik", after, before)) for after, before in zip(outer, inner, strict=True)]
        return _mixed(replace(first, outputs=second.outputs), found), None
    return None


def channel_map(moves: Array, reads: tuple[int, ...], source: tuple[int, ...]) -> NDArray[np.int64] | None:
    """Which channel each channel is, −1 for none, where channels move as a whole; None where they do not.

    Args:
        moves: for each value read which value of the source it is.
        reads: the shape of what is read.
        source: the shape of the source.
    """
    if reads[1:] != source[1:]:
        return None
    table = moves.reshape(reads[0], -1)
    first = table[:, 0] // table.shape[1]
    channels = np.where(table[:, 0] < 0, -1, first)
    expected = np.where(channels[:, None] < 0, -1, channels[:, None] * table.shape[1] + np.arange(table.shape[1]))
    return channels if np.array_equal(table, expected) else None


def along_axis(matrix: NDArray[np.float64]) -> tuple[Taps, NDArray[np.float64]]:
    """Taps and mixes of one axis along which each output is a sum of inputs, by weights ``(outputs, inputs)``."""
    return _product(matrix[:, :, None])


def _axes(one: Connections) -> list[tuple[int, tuple[Taps, int]]]:
    return list(enumerate(zip(one.axes, one.inputs[1:], strict=True)))


def _factors(one: Connections, axis: int) -> NDArray[np.float64] | None:
    return None if one.factors is None else one.factors[axis]


def _over_a_map(row: Connections, shape: tuple[int, ...]) -> Connections:
    """A layer of a flattened map as one that sees the map: dense ones in one window over all of it."""
    if row.kernel is None:
        return one_to_one(shape, None if row.gain is None else row.gain.reshape(shape))
    axes = tuple(np.arange(n)[None, :] for n in shape[1:])
    kernel = row.kernel.reshape(1, row.outputs[0], *shape)
    return replace(row, inputs=shape, outputs=(row.outputs[0], *(1 for _ in axes)), axes=axes, kernel=kernel)


def _matrix(taps: Taps, factors: NDArray[np.float64] | None, length: int) -> NDArray[np.float64]:
    """``(outputs, inputs)``: the weight between two positions of one axis of a pool."""
    found = np.zeros((len(taps), length))
    for tap in taps.T:
        reached = np.flatnonzero(tap >= 0)
        found[reached, tap[reached]] += 1.0
    return found if factors is None else found * factors[:, None]


def _entries(one: Connections, axis: int, length: int) -> NDArray[np.float64]:
    """``(outputs, inputs, entries of the kernel)`` along one axis."""
    taps, mixes = one.axes[axis], one.entries(axis)
    found = np.zeros((len(taps), length, mixes.shape[2]))
    for k, tap in enumerate(taps.T):
        reached = np.flatnonzero(tap >= 0)
        found[reached, tap[reached]] += mixes[reached, k]
    return found


def _product(pairs: NDArray[np.float64]) -> tuple[Taps, NDArray[np.float64]]:
    """Taps and mixes of one axis from ``(outputs, inputs, entries)``: one tap for each input that is reached."""
    reached = (pairs != 0).any(axis=2)
    width = max(int(reached.sum(axis=1).max()), 1)
    order = np.argsort(~reached, axis=1, kind="stable")[:, :width]
    there = np.take_along_axis(reached, order, axis=1)
    return np.where(there, order, -1), np.take_along_axis(pairs, order[:, :, None], axis=1)


def _mixed(made: Connections, found: list[tuple[Taps, NDArray[np.float64]]]) -> Connections:
    return replace(made, axes=tuple(taps for taps, _ in found), mixes=tuple(mixes for _, mixes in found))
