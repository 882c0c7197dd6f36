"""Linear operators as the native core takes them: one function for each form that connections can have there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections
from spikewright.connections.listing import one_by_one
from spikewright.engines.event.joining import Source, joined, sources_of, summed
from spikewright.engines.event.view import View, channels_last
from spikewright.engines.event.windows import slides
from spikewright.graph import Shape

FEW = 16
"""Neurons that are added up as values where nothing else is: by events beyond that."""


@dataclass(frozen=True, eq=False)
class Term:
    """A part of what a layer receives: an operator on a view, or the view itself.

    Attributes:
        view: in the shape of the operator's input.
        operator: what it connects, or None.
    """

    view: View
    operator: Connections | None = None


def fits_grid(view: View, sources: list[Source]) -> bool:
    """Whether each neuron stands at one place of the view at most, and all of a layer with one factor.

    Then its spikes need only be moved, and the factor goes into the weights.
    """
    if (np.bincount(view.neurons[view.neurons >= 0]) > 1).any():
        return False
    used = view.neurons[view.neurons >= 0]
    factors = view.factors[view.neurons >= 0]
    each = (factors[(used >= s.first) & (used < s.first + s.size)] for s in sources_of(view, sources))
    return all(bool((own == own[0]).all()) for own in each)


def _remap(view: View, source: Source, order: NDArray[np.int64]) -> tuple[NDArray[np.int32], np.float32]:
    """Where each neuron of a layer stands, and its factor; ``order`` numbers the values of the view."""
    to = np.full(source.size, -1, np.int32)
    own = (view.neurons >= source.first) & (view.neurons < source.first + source.size)
    to[view.neurons[own] - source.first] = np.broadcast_to(order[..., None], view.neurons.shape)[own]
    return to, view.factors[own][0]


def add_term(plan: Any, target: int, term: Term, sources: list[Source], shape: Shape) -> None:
    """Give a layer of the plan one more term of what it receives; ``shape`` is the layer's."""
    operator = term.operator
    if operator is None:
        if not _add_scaling(plan, target, term.view, sources, shape):
            _add_sparse(plan, target, term.view, sources, None, shape)
    elif not has_fast_form(operator):
        _add_sparse(plan, target, term.view, sources, _matrix(operator), shape)
    elif not operator.axes:
        _add_dense(plan, target, operator, term.view, sources)
    else:
        _add_conv(plan, target, operator, term.view, sources, shape)


def has_fast_form(operator: Connections) -> bool:
    """Whether the native core takes an operator as a dense layer or a convolution, not connection by connection."""
    if operator.axes:
        return slides(operator) is not None
    return operator.kernel is not None and operator.groups == 1 and operator.gain is None


def three_axes(values: tuple[int, ...], fill: int) -> list[int]:
    """Settings of up to three axes as those of three, the last ones."""
    return [fill] * (3 - len(values)) + [int(v) for v in values]


def _add_conv(plan: Any, target: int, made: Connections, view: View, sources: list[Source], shape: Shape) -> None:
    windows, kernel = slides(made), made.kernel
    assert windows is not None
    assert kernel is not None
    lows = []
    for axis, (window, n) in enumerate(zip(windows, made.inputs[1:], strict=True)):
        grid = np.full((n - 1) * window.spread + 1, -1)
        grid[:: window.spread] = np.arange(n)[:: -1 if window.inputs_reversed else 1]
        end = window.stride * (shape[axis + 1] - 1) + window.dilation * (kernel.shape[axis + 3] - 1) - window.low + 1
        grid = grid[max(-window.low, 0) : end]  # what lies outside of every window takes no room
        lows.append(max(window.low, 0))
        if not np.array_equal(grid, np.arange(n)):
            view = view.chosen(axis + 1, grid)
        if window.kernel_reversed:
            kernel = np.flip(kernel, axis + 3)
    weight = np.moveaxis(kernel, 1, -1)  # (group, channel, *kernel, filter)
    channels, *spatial = view.shape
    order = np.moveaxis(np.arange(prod(view.shape)).reshape(*spatial, channels), -1, 0)
    for source in sources_of(view, sources):
        remap, factor = _remap(view, source, order)
        plan.conv(
            target,
            source.layer,
            remap,
            three_axes(tuple(spatial), 1),
            channels,
            three_axes(kernel.shape[3:], 1),
            three_axes(tuple(window.stride for window in windows), 1),
            three_axes(tuple(lows), 0),
            three_axes(tuple(window.dilation for window in windows), 1),
            three_axes(shape[1:], 1),
            made.groups,
            np.ascontiguousarray(weight * factor, np.float32),
        )


def _add_dense(plan: Any, target: int, made: Connections, view: View, sources: list[Source]) -> None:
    assert made.kernel is not None
    for source in sources_of(view, sources):
        # inputs are put in the order of the neurons that feed them, so that neighbours stay neighbours
        own = (view.neurons >= source.first) & (view.neurons < source.first + source.size)
        earliest = np.where(own, view.neurons, np.iinfo(np.int64).max).min(axis=-1)
        used = np.argsort(earliest, kind="stable")[: int(own.any(axis=-1).sum())]
        order = np.empty(len(earliest), np.int64)
        order[used] = np.arange(len(used))
        remap, factor = _remap(view, source, order)
        plan.dense(target, source.layer, remap, len(used), _transposed(made.kernel[0], used, factor))


def _transposed(weight: NDArray[np.float32], used: NDArray[np.int64], factor: np.float32) -> NDArray[np.float32]:
    """Some columns of a matrix as rows: piece by piece, since a large matrix does not fit in cache."""
    rows = np.empty((len(used), len(weight)), np.float32)
    for first in range(0, len(weight), 256):
        rows[:, first : first + 256] = (weight[first : first + 256, used] * factor).T
    return rows


def _add_scaling(plan: Any, target: int, view: View, sources: list[Source], shape: Shape) -> bool:
    """One to one with one factor a channel: a convolution of one channel each; False if it is not that."""
    weight = _factor_of_channels(view, shape)
    if weight is None or not is_one_layer(view, sources):
        return False
    (source,) = sources_of(view, sources)
    spatial, ones, zeros = three_axes(shape[1:], 1), [1] * 3, [0] * 3
    empty = np.zeros(0, np.int32)
    plan.conv(target, source.layer, empty, spatial, shape[0], ones, ones, zeros, ones, spatial, shape[0], weight)
    return True


def side_by_side(plan: Any, terms: tuple[Term, ...], sources: list[Source], shape: Shape) -> list[Term]:
    """Terms as they are or, where one without an operator would be added connection by connection, as one layer.

    Sums of many neurons stay what they are, unless the layer receives something else too, which is then added faster.
    """
    made = []
    for term in terms:
        view = term.view
        if term.operator is None and len(shape) <= 4 and view.shape == shape and (view.neurons >= 0).any():
            single = _factor_of_channels(view, shape) is not None
            if single and not is_one_layer(view, sources):
                view = joined(plan, view, sources)
            elif not single and (len(terms) > 1 or view.neurons.shape[-1] <= FEW):
                view = summed(plan, view, sources)
        made.append(Term(view, term.operator))
    return made


def _factor_of_channels(view: View, shape: Shape) -> NDArray[np.float32] | None:
    """What each channel of single neurons is multiplied by; None where that is not one number, or nothing is there."""
    if view.neurons.shape[-1] != 1 or len(shape) > 4 or view.shape != shape:
        return None
    there = view.neurons[..., 0].reshape(shape[0], -1) >= 0
    factors = view.factors[..., 0].reshape(shape[0], -1)
    own = factors[np.arange(shape[0]), there.argmax(axis=1)]
    same = there.any() and (factors == own[:, None])[there].all()
    return np.ascontiguousarray(own, np.float32) if same else None


def is_one_layer(view: View, sources: list[Source]) -> bool:
    """Whether single neurons are all of one layer, each at its own place."""
    found = sources_of(view, sources)
    if len(found) != 1 or found[0].size != prod(view.shape):
        return False
    own = found[0].first + np.arange(found[0].size)
    if found[0].copies is not None:
        own = np.where(found[0].copies < 0, -1, own)  # nothing ever comes from there
    return bool((channels_last(view.neurons[..., 0]) == own).all())


@dataclass(frozen=True, eq=False)
class _Matrix:
    """Rows by input value, columns by output in the engine's order."""

    start: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float32]


def _add_sparse(
    plan: Any, target: int, view: View, sources: list[Source], matrix: _Matrix | None, shape: Shape
) -> None:
    """Any linear operator, connection by connection; without a matrix, the view itself."""
    width = view.neurons.shape[-1]
    neurons, factors = view.neurons.reshape(-1, width), view.factors.reshape(-1, width)
    if matrix is None:
        column = np.moveaxis(np.arange(prod(shape)).reshape(*shape[1:], shape[0]), -1, 0).reshape(-1)
        matrix = _Matrix(np.arange(len(column) + 1), column, np.ones(len(column), np.float32))
    for source in sources_of(view, sources):
        at, k = np.nonzero((neurons >= source.first) & (neurons < source.first + source.size))
        pre = neurons[at, k] - source.first
        order = np.argsort(pre, kind="stable")
        at, k, pre = at[order], k[order], pre[order]
        length = (matrix.start[at + 1] - matrix.start[at]).astype(np.int64)
        ends = np.cumsum(length)
        entry = np.arange(int(ends[-1])) - np.repeat(ends - length, length) + np.repeat(matrix.start[at], length)
        value = matrix.value[entry] * np.repeat(factors[at, k], length)
        per_neuron = np.bincount(pre, weights=length, minlength=source.size).astype(np.int64)
        start = np.concatenate(([0], np.cumsum(per_neuron)))
        plan.sparse(target, source.layer, start, np.ascontiguousarray(matrix.column[entry], np.int64), value)


def _matrix(made: Connections) -> _Matrix:
    """Connections one by one, in the order of the inputs; outputs in the engine's order."""
    listed = one_by_one(made)
    channel, position = np.divmod(listed.outputs, prod(made.outputs[1:]))
    start = np.concatenate(([0], np.cumsum(np.bincount(listed.inputs, minlength=prod(made.inputs)))))
    return _Matrix(start, position * made.outputs[0] + channel, listed.weights.astype(np.float32))
