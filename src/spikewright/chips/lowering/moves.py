"""What only moves values: flattening, reordering, padding, joining channels."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.lowering.axes import sliding
from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.refusal import Refused
from spikewright.chips.lowering.window import Axis, Window, map_of, over_all
from spikewright.connections.products import channel_map
from spikewright.graph import Graph, Node
from spikewright.nodes import Concat, Pad, Take

CONCATENATION = "concatenation as a shift of channels"


def behind_moves(graph: Graph, node: Node, branch: Branch) -> tuple[Branch, ...]:
    """The branch, reading what is moved.

    Raises:
        Refused: where no window sees the values where they were.
    """
    shapes = graph.input_shapes(node)
    table = node.moving(*shapes)
    if table is None:
        raise Refused("it is no sum of events", "train without it")
    done = (CONCATENATION,) if isinstance(node, Concat) and len(node.inputs) > 1 else ()
    found, first = [], 0
    for source, shape in zip(node.inputs, shapes, strict=True):
        own = (table >= first) & (table < first + prod(shape))
        places = np.where(own, table - first, -1).ravel()
        window = _moved(node, branch, places, graph.shapes[node.name], shape)
        found.append(branch.reading(source, window, *done))
        first += prod(shape)
    return tuple(found)


def _moved(
    node: Node, branch: Branch, places: NDArray[np.int64], shape: tuple[int, ...], source: tuple[int, ...]
) -> Window:
    """The window that sees the values where they were."""
    window, own, before = branch.window, map_of(shape), map_of(source)
    channels = channel_map(places, own, before)
    if channels is not None:
        return _of_channels(window, channels, before[0])
    if isinstance(node, Pad) and len(shape) > 1 and not any(node.padding[0]):
        lows = [0] * (3 - len(shape)) + [low for low, _ in node.padding[1:]]
        rows, columns = (
            axis.behind(Axis(inputs, axis.inputs, low=low))
            for axis, inputs, low in zip((window.rows, window.columns), before[1:], lows, strict=True)
        )
        if rows is not None and columns is not None:
            return replace(window, rows=rows, columns=columns)
    if isinstance(node, Take) and len(shape) <= 3:
        axes = [np.eye(n)[list(read)] if read else None for read, n in zip(node.positions, source, strict=True)]
        regular = sliding(source[0], source[1:], axes[1:])
        if regular is not None:
            channels = np.asarray(node.positions[0] or range(source[0]))
            return _of_channels(window, channels, source[0]).behind(regular)
    matrix = window.matrix if branch.pool == 1 else None
    if matrix is None:
        raise Refused(
            "it moves values to other places, and events keep theirs",
            "let a dense layer follow it, or leave it away",
        )
    moved = np.zeros((len(matrix), prod(source)))
    there = places >= 0
    np.add.at(moved.T, places[there], matrix.T[there])
    return over_all(moved, source)


def _of_channels(window: Window, channels: NDArray[np.int64], sources: int) -> Window:
    if window.channelwise and np.array_equal(channels, np.arange(sources)):
        return window
    kernel = window.dense
    made = np.zeros((len(kernel), sources, *kernel.shape[2:]))
    for k, channel in enumerate(channels):
        if channel >= 0:
            made[:, channel] += kernel[:, k]
    return Window(made, window.rows, window.columns)
