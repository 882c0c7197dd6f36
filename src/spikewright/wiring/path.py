"""Paths: from a group of neurons to another, through what moves values and one operator that connects.

A path holds one operator: it goes from its source through operators that only move values, through one that connects,
through moves again, into its destination. Where two connecting operators follow each other without neurons between
them, what lies between is a group of its own: a pool, or a relay, which has values instead of spikes. Pools are folded
into their neighbours instead if that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from spikewright.connections import NOWHERE, Array, Connections, one_to_one
from spikewright.connections.products import folded
from spikewright.errors import GraphError
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import Add, ReLU
from spikewright.text import brief
from spikewright.wiring.group import Group, Pools, found_groups


@dataclass(frozen=True, eq=False)
class Path:
    """One way from a group to another.

    Attributes:
        source, dest: the groups.
        through: the nodes on the way that connect: none for a shortcut without weights, two where one was folded.
        connections: between what it reads and what it writes.
        before: for each input of the connections which neuron of the source it is, −1 for none; None for all in place.
        after: for each output of the connections which neurons of the destination it is, ``(outputs, n)``, filled up
            with −1; None for all in place.
    """

    source: Group
    dest: Group
    through: tuple[str, ...]
    connections: Connections
    before: Array | None
    after: Array | None

    __repr__ = brief


def groups_and_paths(graph: Graph, pools: Pools = "groups") -> tuple[dict[str, Group], tuple[Path, ...]]:
    """Every group of a spiking graph by name, and every path between two, by destination.

    Args:
        graph: a spiking graph.
        pools: "groups": pools are groups of neurons of their own; "folded": they become part of the path behind them,
            or before them, where that leads to neurons.

    Raises:
        GraphError: for a graph that is not a spiking network.
    """
    for node in graph.of_type(ReLU):
        raise GraphError(f"{node}: has no spikes; convert the network first")
    if not graph.populations:
        raise GraphError("the network has no spiking populations; convert it first")
    unfolded: set[str] = set()
    while True:  # what cannot be folded stays a group, and then others may need to be groups too
        found = found_groups(graph, pools, unfolded)
        try:
            return found, tuple(path for name in found for path in _Walk(graph, found, name).paths())
        except _NotFolded as problem:
            if problem.names <= unfolded:
                raise GraphError(f"two layers without neurons between them lead to {problem}") from problem
            unfolded |= problem.names


def groups(graph: Graph, pools: Pools = "groups") -> Mapping[str, Group]:
    """The groups of ``groups_and_paths``."""
    return groups_and_paths(graph, pools)[0]


def paths(graph: Graph, pools: Pools = "groups") -> tuple[Path, ...]:
    """The paths of ``groups_and_paths``."""
    return groups_and_paths(graph, pools)[1]


class _NotFolded(Exception):
    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = set(names)


class _Walk:
    """From one group backwards to every group that it hears."""

    def __init__(self, graph: Graph, groups: Mapping[str, Group], name: str) -> None:
        self.graph, self.groups = graph, groups
        self.dest = groups[name]

    def paths(self) -> Iterator[Path]:
        node = self.graph[self.dest.name]
        own = node.connections(*self.graph.input_shapes(node)) if node.inputs else None
        if own is not None:
            yield from self._from(node.inputs[0], None, (node.name,), own, None)
        elif isinstance(node, Add):
            for name in node.inputs:
                yield from self._from(name, None, (), None, None)
        elif node.inputs:
            yield from self._from(node.inputs[0], None, (), None, None)

    def _from(
        self, name: str, moves: Array | None, through: tuple[str, ...], made: Connections | None, after: Array | None
    ) -> Iterator[Path]:
        """All paths that end with what is known: ``moves`` from the output of ``name`` to what reads it."""
        node, shapes = self.graph[name], self.graph.input_shapes(name)
        if name in self.groups:
            if made is None:  # nothing but moves: one synapse for each neuron that arrives
                made = one_to_one(self.dest.shape)
            yield Path(self.groups[name], self.dest, through, made, moves, after)
            return
        connections = node.connections(*shapes)
        if connections is None:
            for k, source in enumerate(node.inputs):
                yield from self._from(source, _moved(node, shapes, k, moves), through, made, after)
        elif made is None:
            after = None if moves is None else _inverse(moves, prod(self.graph.shapes[name]))
            yield from self._from(node.inputs[0], None, (name,), connections, after)
        else:
            pair = folded(connections, moves, made)
            choosing = self.graph[through[0]].population  # a maximum of means is not a mean
            if pair is None or choosing:
                raise _NotFolded(*(n for n in (name, *through) if self._pools(n)))
            product, channels = pair
            before = None if channels is None else _channels_of(channels, product.inputs, shapes[0])
            yield from self._from(node.inputs[0], before, (name, *through), product, after)

    def _pools(self, name: str) -> bool:
        made = self.graph[name].connections(*self.graph.input_shapes(name))
        return made is not None and made.pools and not self.graph[name].population


def _moved(node: Node, shapes: tuple[Shape, ...], which: int, moves: Array | None) -> Array | None:
    """Which value of one input of a moving node each reader of its output gets; None for all in place."""
    if isinstance(node, Add):
        return moves
    places = node.moving(*shapes)
    if places is None:
        raise GraphError(f"{node}: no synapses pass through a {node.type}; convert the network first")
    first = sum(prod(shape) for shape in shapes[:which])
    own = (places >= first) & (places < first + prod(shapes[which]))
    table = np.where(own, places - first, NOWHERE).ravel()
    if moves is not None:
        table = np.where(moves < 0, -1, table[moves])
    return None if len(table) == prod(shapes[which]) and np.array_equal(table, np.arange(len(table))) else table


def _inverse(moves: Array, outputs: int) -> Array:
    """For each output which readers it has, ``(outputs, n)``, filled up with −1."""
    readers = np.flatnonzero(moves >= 0)
    readers = readers[np.argsort(moves[readers], kind="stable")]
    of = moves[readers]
    counts = np.bincount(of, minlength=outputs)
    found = np.full((outputs, max(int(counts.max(initial=0)), 1)), -1, np.int64)
    found[of, np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)] = readers
    return found


def _channels_of(channels: Array, reads: Shape, source: Shape) -> Array:
    """A map of channels as a map of values."""
    positions = prod(source[1:])
    found = channels[:, None] * positions + np.arange(positions)
    return np.where(channels[:, None] < 0, -1, found).reshape(prod(reads))
