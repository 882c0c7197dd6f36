"""Operators that only move values, whatever they are called: read off what they do with numbered values.

A framework, or numpy in its place, is given numbers for values. Where each of them turns up says all: along each axis
positions are taken, axes are split, put in another order and joined again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.causes import Cause
from spikewright.connections.moves import NOWHERE
from spikewright.frontends.common.constants import factor_and_shift
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, reshaped
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Shape
from spikewright.nodes import ChannelAffine, Flatten, Pad, Permute, Reshape, Take
from spikewright.nodes._window import Padding
from spikewright.text import shape_text

Numbers = NDArray[np.int64]
T = TypeVar("T")
SAMPLES = 2
"""Samples of a batch of numbered values: what turns up in another sample was mixed."""
MOST_PLACES = 2**18
"""How many places may be listed one by one, where no axis can be taken by itself."""
BORDERS = {"reflect": "reflect", "symmetric": "symmetric", "edge": "edge", "replicate": "edge", "wrap": "wrap"}
BORDERS["circular"] = "wrap"
"""Borders that repeat what is inside, by the frameworks' words for them, as numpy calls them."""


def numbered(shape: Shape) -> Numbers:
    """A batch of numbered values: each one of all samples has a number of its own, from 1 on; 0 is no value."""
    return np.arange(1, SAMPLES * prod(shape) + 1).reshape(SAMPLES, *shape)


def table_of(moved: Any, shape: Shape) -> Numbers:
    """The number of the value that stands at each place of a sample, ``NOWHERE`` for zero.

    Args:
        moved: what became of ``numbered(shape)``.
        shape: of a sample.

    Raises:
        Refusal: where samples mix, or values that are no longer whole.
    """
    found = np.asarray(moved)
    if found.ndim < 1 or len(found) != SAMPLES:
        raise Refusal(Cause.BATCH_AXIS)
    first, second = found.astype(np.int64)
    count = prod(shape)
    apart = np.where(first > 0, first + count, 0)
    if (found[0] != first).any() or first.min(initial=0) < 0 or first.max(initial=0) > count or (second != apart).any():
        raise Refusal(Cause.BATCH_AXIS)
    return np.where(first > 0, first - 1, NOWHERE)


def moved_by(function: Callable[[Numbers], Any], shape: Shape) -> list[NodePlan]:
    """The nodes that do with a sample what a function does with batches."""
    check_constants(SAMPLES * prod(shape))
    return gathered(shape, table_of(function(numbered(shape)), shape))


def gathered(shape: Shape, table: Numbers) -> list[NodePlan]:
    """The nodes that put each value of a sample where a table says.

    Args:
        shape: of a sample.
        table: as of ``table_of``.

    Raises:
        Refusal: where it leaves nothing, or moves too many values along no axis of their own.
    """
    if not table.size:
        raise Refusal(f"it leaves nothing of samples of {shape}")
    nowhere = table == NOWHERE
    if nowhere.any():
        if table.shape != shape or (table[~nowhere] != np.arange(table.size).reshape(shape)[~nowhere]).any():
            raise Refusal("it moves some values and puts zeros in the place of others; do one after the other")
        return [NodePlan(ChannelAffine, "", {"scale": np.where(nowhere, 0.0, 1.0), "bias": np.zeros(shape[:1])})]
    plans = _by_axes(shape, table)
    if plans is None:
        if table.size > MOST_PLACES:
            raise Refusal(f"it moves {table.size:,} values along no axis of their own, too many to list")
        listed = tuple(int(n) for n in table.ravel())
        plans = [NodePlan(Flatten), NodePlan(Take, "", {"positions": (listed,)}), *_shaped(table.shape)]
    return named(plans)


def named(plans: list[NodePlan]) -> list[NodePlan]:
    """Plans of which the last has the operator's own name, and each other one a part that says what it is."""
    parts = {Take: "taken", Permute: "moved", Reshape: "split", Flatten: "row"}
    *first, last = plans
    kept = [NodePlan(p.kind, p.part or parts.get(p.kind, p.kind.__name__.lower()), p.fields) for p in first]
    return [*kept, NodePlan(last.kind, "", last.fields)]


def _by_axes(shape: Shape, table: Numbers) -> list[NodePlan] | None:
    """Positions taken along each axis, axes split and put in order; None where axes hang together."""
    wide = [axis for axis, n in enumerate(table.shape) if n > 1]
    places = [np.asarray(found).reshape(table.shape) for found in np.unravel_index(table.ravel(), shape)]
    along = [[axis for axis in wide if _varies(found, axis)] for found in places]
    used = [axis for axes in along for axis in axes]
    if len(used) != len(set(used)) or not shape:
        return None
    for axis in wide:  # along what is left, values are only repeated: with the axis before it
        if axis not in used:
            next((axes for axes in along if axis - 1 in axes), along[0]).append(axis)
    positions = []
    for n, found, axes in zip(shape, places, along, strict=True):
        axes.sort()
        read = found[tuple(slice(None) if axis in axes else 0 for axis in range(table.ndim))].ravel()
        positions.append(() if np.array_equal(read, np.arange(n)) else tuple(int(k) for k in read))
    plans = [NodePlan(Take, "", {"positions": tuple(positions)})] if any(positions) else []
    taken = tuple(len(read) or n for read, n in zip(positions, shape, strict=True))
    order = [axis for axes in along for axis in axes]
    split = tuple(table.shape[axis] for axis in order)
    if order != sorted(order):
        plans += [] if split == taken else _shaped(split)
        plans.append(NodePlan(Permute, "", {"axes": tuple(order.index(axis) for axis in sorted(order))}))
        taken = tuple(table.shape[axis] for axis in sorted(order))
    plans += [] if taken == table.shape else _shaped(table.shape)
    return plans or _shaped(table.shape)


def _varies(places: Numbers, axis: int) -> bool:
    return bool((places != places.take([0], axis)).any())


def _shaped(shape: Shape) -> list[NodePlan]:
    return [reshaped(shape)]


def bordered(shape: Shape, padding: Padding, mode: str) -> list[NodePlan]:
    """The node that puts what is inside, repeated, around a sample; a side below zero is taken away.

    Args:
        shape: of a sample.
        padding: of every axis of it.
        mode: one of ``BORDERS``.

    Raises:
        Refusal: for another mode, or a border that is wider than what it repeats.
    """
    if mode not in BORDERS:
        raise Refusal(f"it pads by {mode!r}; known are {', '.join(BORDERS)} and numbers")
    positions = []
    for n, (low, high) in zip(shape, padding, strict=True):
        widest = {"reflect": n - 1, "edge": max(low, high)}.get(BORDERS[mode], n)
        if max(low, high) > widest:
            raise Refusal(f"it repeats {max(low, high)} positions of {n}, which that border does not have")
        check_constants(n + max(low, 0) + max(high, 0))
        wide = np.pad(np.arange(n), (max(low, 0), max(high, 0)), mode=BORDERS[mode])  # type: ignore[call-overload]
        kept = wide[max(-low, 0) : len(wide) - max(-high, 0)]
        positions.append(() if low == high == 0 else tuple(int(k) for k in kept))
    return [NodePlan(Take, "", {"positions": tuple(positions)})]


def padded(shape: Shape, padding: Padding, value: float) -> list[NodePlan]:
    """The nodes that put a number around a sample: zeros first, which one shift a place makes that number."""
    plans = [NodePlan(Pad, "", {"padding": padding})]
    if value == 0:
        return plans
    if not np.isfinite(np.float32(value)):
        raise Refusal(Cause.NOT_FINITE)
    after = tuple(n + low + high for n, (low, high) in zip(shape, padding, strict=True))
    check_constants(max(prod(after), 0))
    inside = tuple(slice(max(low, 0), n - max(high, 0)) for n, (low, high) in zip(after, padding, strict=True))
    shift = np.full(after, value)
    shift[inside] = 0
    return [
        NodePlan(Pad, "border", plans[0].fields),
        NodePlan(ChannelAffine, "", {"scale": np.ones(after[:1]), "bias": shift}),
    ]


def with_constants(given: Sequence[T | Array], kind: type[T]) -> list[tuple[T, list[Array], list[Array]]]:
    """What is joined, each value with the constants that are joined before and after it.

    Args:
        given: values, one at least, and constants, in their order.
        kind: of values.
    """
    found: list[tuple[T, list[Array], list[Array]]] = []
    first: list[Array] = []
    for one in given:
        if isinstance(one, kind):
            found.append((one, [] if found else first, []))
        else:
            (found[-1][2] if found else first).append(np.asarray(one))
    return found


def beside(shape: Shape, axis: int, before: Sequence[Array], after: Sequence[Array]) -> list[NodePlan]:
    """The nodes that join a sample with constants: zeros first, which one shift a place makes those numbers.

    Args:
        shape: of the sample.
        axis: along which.
        before: constants as a sample has its axes.
        after: the same.

    Raises:
        Refusal: for constants of another shape, or that are not finite.
    """
    for one in (*before, *after):
        if (*one.shape[:axis], *one.shape[axis + 1 :]) != (*shape[:axis], *shape[axis + 1 :]):
            raise Refusal(f"it joins a constant of shape {shape_text(one.shape)} with samples of {shape_text(shape)}")
    low, high = (sum(one.shape[axis] for one in some) for some in (before, after))
    padding = tuple((low, high) if k == axis else (0, 0) for k in range(len(shape)))
    if not any(one.any() for one in (*before, *after)):
        return padded(shape, padding, 0)
    check_constants(prod(n + sum(sides) for n, sides in zip(shape, padding, strict=True)))
    shift = np.concatenate([*before, np.zeros(shape), *after], axis=axis)
    border = NodePlan(Pad, "border", {"padding": padding})
    return [border, NodePlan(ChannelAffine, "constants", factor_and_shift(1, shift, shift.shape))]


def tapped(shape: Shape, windows: dict[int, list[list[int]]]) -> tuple[list[NodePlan], Shape]:
    """The values of windows side by side, so that a pool whose windows touch sees them.

    Args:
        shape: of a sample.
        windows: by axis, the positions of each window; shorter ones repeat their last position.

    Returns:
        the nodes, and the lengths of windows by axis in order.
    """
    positions: list[tuple[int, ...]] = [()] * len(shape)
    lengths = []
    for axis, found in sorted(windows.items()):
        longest = max(map(len, found))
        lengths.append(longest)
        positions[axis] = tuple(w[min(k, len(w) - 1)] for w in found for k in range(longest))
    return [NodePlan(Take, "windows", {"positions": tuple(positions)})], tuple(lengths)
