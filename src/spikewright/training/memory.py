"""What a training step keeps for its way back, and where it is recomputed so that it fits a budget."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from math import prod

from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Output, SpikeMaxPool

BUDGET = 2 * 2**30
"""Bytes of activations that are kept for the way back, unless somebody says otherwise."""


MMAP_THRESHOLD, LARGE = -3, 4 * 2**20
"""A setting of glibc's ``mallopt``, and bytes from which on a tensor gets memory of its own."""


def give_memory_back() -> None:
    """Ask glibc to give the memory of large tensors back as soon as they are gone.

    It keeps it else for later ones, and seldom finds a place again that is aligned to a large page, so that a training
    step may take twice the memory that its tensors ever have. With another C library nothing happens.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE)


def kept_values(graph: Graph, nodes: Sequence[Node]) -> int:
    """How many values of one sample and one step the nodes keep for their way back: two of each neuron (potentials
    before the reset, spikes), three of each value that a max pool reads or makes, one of each other value."""
    kept = 0
    for node in nodes:
        own = prod(graph.shapes[node.name])
        if isinstance(node, SpikeMaxPool):
            kept += 3 * (own + sum(prod(shape) for shape in graph.input_shapes(node)))
        elif not isinstance(node, Output):
            kept += 2 * own if isinstance(node, IF) else own
    return kept


def parts_within(graph: Graph, values: int) -> tuple[tuple[Node, ...], ...]:
    """The nodes of a graph in parts that follow one another; all but what goes from part to part is recomputed.

    As few parts as keep no more than ``values``, the largest part counted with what lies between all parts; where none
    do, those that keep the least.

    Args:
        graph: a spiking graph.
        values: of one sample and one step that may be kept.
    """
    nodes = tuple(graph)
    populations = [k + 1 for k, node in enumerate(nodes) if node.population]
    best: tuple[tuple[Node, ...], ...] = (nodes,)
    least = kept_values(graph, nodes)
    for count in range(2, len(populations) + 1):
        if least <= values:
            break
        parts = _cut(graph, nodes, populations, count)
        kept = max(kept_values(graph, part) for part in parts) + _between(graph, parts)
        if kept < least:
            best, least = parts, kept
    return best


def _cut(graph: Graph, nodes: Sequence[Node], ends: Sequence[int], count: int) -> tuple[tuple[Node, ...], ...]:
    """Some parts that keep about as much, each but the last ending in a population."""
    share, parts, begin = kept_values(graph, nodes) / count, list[tuple[Node, ...]](), 0
    for end in ends:
        if kept_values(graph, nodes[begin:end]) >= share and end < len(nodes):
            parts.append(tuple(nodes[begin:end]))
            begin = end
    return (*parts, tuple(nodes[begin:]))


def _between(graph: Graph, parts: Sequence[Sequence[Node]]) -> int:
    """How many values of one sample and one step go from part to part."""
    part_of = {node.name: k for k, part in enumerate(parts) for node in part}
    found = 0
    for name, readers in graph.consumers.items():
        last = max((part_of[reader] for reader in readers), default=0)
        found += prod(graph.shapes[name]) * max(0, last - part_of[name])
    return found
