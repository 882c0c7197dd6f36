"""Inputs as maps of events: which axis is which, and where each value of a sample goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.chips.lowering.window import map_of
from spikewright.graph import Graph, Node
from spikewright.nodes import Flatten, Input, Permute, Reshape


@dataclass(frozen=True)
class View:
    """An input as a chip sees it.

    Attributes:
        input: the node.
        shape: ``(channels, rows, columns)`` of its events.
        places: for every value of that shape, in C order, which value of a sample it is; None for the same order.
    """

    input: Input
    shape: tuple[int, int, int]
    places: tuple[int, ...] | None


def views_of(graph: Graph, node: Input, chip: Speck) -> Mapping[str, View]:
    """The nodes that stand for an input: itself, or what only puts all of its values in another order.

    A flattened image that no kernel of the chip sees whole is a row of channels, where there are enough of them.

    Raises:
        Refused: for an input of more than two axes beside the channels.
    """
    readers = [graph[name] for name in graph.consumers[node.name]]
    if readers and all(_orders(graph, reader, chip) for reader in readers):
        found = {}
        for reader in readers:
            table = reader.moving(graph.shapes[node.name])
            same = table is None or np.array_equal(table.ravel(), np.arange(table.size))
            places = None if same or table is None else tuple(table.ravel().tolist())
            found[reader.name] = View(node, map_of(graph.shapes[reader.name]), places)
        if len({(view.shape, view.places) for view in found.values()}) == 1:
            return found
    return {node.name: View(node, map_of(graph.shapes[node.name]), None)}


def _orders(graph: Graph, reader: Node, chip: Speck) -> bool:
    """Whether a reader of an input stands for it."""
    shape = graph.shapes[reader.inputs[0]] if reader.inputs else ()
    if isinstance(reader, Flatten):
        return max(shape[1:], default=1) > chip.kernel_max and prod(shape) <= chip.features_max
    return isinstance(reader, Permute | Reshape)


def in_order(samples: NDArray[np.float64], places: tuple[int, ...] | None) -> NDArray[np.float64]:
    """``(N, values)`` of samples in the order of a chip's input."""
    return samples if places is None else samples[:, np.array(places)]
