"""What operators that only move values do, as a table: for each output value, which input value it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Numbers = NDArray[np.int64]
NOWHERE = -1
"""Stands in a table where the output is zero, whatever comes in."""


def table_of(moves: Callable[..., Numbers | None], shapes: Sequence[Shape]) -> Numbers | None:
    """The table of an operator, in the shape of its output: its inputs' values are numbered one after the other.

    Args:
        moves: gives the numbers in their new places, or None for an operator that does more.
        shapes: of its inputs.
    """
    numbers, first = [], 0
    for shape in shapes:
        numbers.append(np.arange(first, first + prod(shape)).reshape(shape))
        first += prod(shape)
    return moves(*numbers)


def moved(table: Numbers, values: Sequence[NDArray[Any]], nothing: float = 0) -> NDArray[Any]:
    """Values of each input, in its shape, in their new places, with ``nothing`` where none comes."""
    flat = np.concatenate([value.reshape(-1) for value in values])
    return np.where(table == NOWHERE, nothing, flat[np.maximum(table, 0)])


def times_moved(table: Numbers, shapes: Sequence[Shape]) -> tuple[Numbers, ...]:
    """How many places each value of each input goes to, in the shape of the input."""
    sizes = [prod(shape) for shape in shapes]
    found = np.bincount(table[table != NOWHERE], minlength=sum(sizes))
    parts = np.split(found, np.cumsum(sizes)[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def scale_moved(table: Numbers, scales: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Scales in their new places; what is always zero may have any, and takes one of its channel."""
    channels = table.shape[0] if table.ndim else 1
    known = moved(table, scales).reshape(channels, -1)
    there = (table != NOWHERE).reshape(channels, -1)
    if there.all():
        return known.reshape(table.shape)
    channel = np.take_along_axis(known, there.argmax(axis=1)[:, None], axis=1)
    channel = np.where(there.any(axis=1)[:, None], channel, 1)
    return np.where(there, known, channel).reshape(table.shape)
