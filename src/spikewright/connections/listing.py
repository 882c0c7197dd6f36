"""Connections one by one: for what needs each of them as such, in memory for all."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.connections.connections import Array, Connections
from spikewright.text import brief


@dataclass(frozen=True, eq=False)
class Listed:
    """Every connection of one operator, by input; those of one input by filter, then by output position.

    Attributes:
        inputs, outputs: of each the neurons it joins, by number in C order through their shapes.
        weights: of each, in float64.
    """

    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]
    weights: NDArray[np.float64]

    __repr__ = brief


def one_by_one(made: Connections) -> Listed:
    """Spell out the connections of an operator."""
    per_group, filters = made.channels
    positions, sources, weights = _pairs(made)
    group, channel, out = (a[..., None] for a in np.ix_(*map(np.arange, (made.groups, per_group, filters))))
    output = group * filters + out
    if made.gain is not None:
        weights = weights * made.gain.reshape(made.outputs[0], -1)[output, positions]
    before = (group * per_group + channel) * prod(made.inputs[1:]) + sources
    after = output * prod(made.outputs[1:]) + positions
    whole = (made.groups, per_group, filters, len(positions))
    before, after, weights = (np.broadcast_to(a, whole).ravel() for a in (before, after, weights))
    order = np.argsort(before, kind="stable")
    return Listed(before[order], after[order], weights[order])


def _pairs(made: Connections) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Every pair of an output position and an input position that it sees, and what the pair weighs.

    The weights are ``(groups, inputs of a group, filters, pairs)``, of length one where all are the same.
    """
    sources, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    shares = np.ones((1, 1, 1))
    for axis, taps in enumerate(made.axes):
        sources = _outer(sources * made.inputs[axis + 1], np.maximum(taps, 0), np.add)
        inside = _outer(inside, taps >= 0, np.logical_and)
        if made.mixes is None:
            each = np.ones(len(taps)) if made.factors is None else made.factors[axis]
            shares = _outer(shares, np.broadcast_to(each[:, None, None], (*taps.shape, 1)), np.multiply)
        else:
            shares = _outer(shares, made.entries(axis), np.multiply)
    positions, tap = np.nonzero(inside)
    share = shares[positions, tap]
    if made.kernel is None:
        weights = share.sum(axis=1)[None, None, None]
    else:
        kernel = made.kernel.reshape(*made.kernel.shape[:3], -1).swapaxes(1, 2).astype(np.float64)
        weights = kernel[..., tap] * share[:, 0] if made.mixes is None else kernel @ share.T
    return positions, sources[inside], weights


def _outer(a: Array, b: Array, how: np.ufunc) -> Array:
    """Two tables of outputs and taps (and entries) as one: of all pairs of outputs, of taps, and of entries."""
    if a.ndim == 2:
        return _outer(a[..., None], b[..., None], how)[..., 0]
    pairs: Array = how(a[:, None, :, None, :, None], b[None, :, None, :, None, :])
    return pairs.reshape(len(a) * len(b), a.shape[1] * b.shape[1], -1)
