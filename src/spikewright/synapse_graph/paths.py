"""From a spiking graph to groups of neurons and the projections between them.

A projection is one path: from a source group through operators that only move values, through one operator that
connects, through moves again, into a destination group. Where two connecting operators follow each other without
neurons between them, what lies between becomes a group of its own: a pool, or a relay, which has values instead of
spikes. Pools are folded into their neighbours instead if that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from spikewright.connections import Array, Connections, one_to_one
from spikewright.errors import GraphError
from spikewright.graph import Graph, Node, Shape
from spikewright.moves import NOWHERE
from spikewright.nodes import AdaptiveAvgPool, Add, Input, Output, ReLU, SpikeMaxPool, SumPool
from spikewright.synapse_graph.folding import folded

Kind = Literal["input", "spiking", "pool", "relay", "output"]
Pools = Literal["groups", "folded"]
POOLS = (SumPool, AdaptiveAvgPool)  # AvgPool is a SumPool


@dataclass(frozen=True)
class Group:
    """Neurons that synapses start and end at.

    Attributes:
        name: of the node.
        kind: "spiking" neurons; an "input" or "output" of the network; a "pool"; or a "relay": the sum of a layer's
            synapses on its way to the next layer, which no neuron makes spikes of. Pools and relays hold values.
        shape: channels first.
    """

    name: str
    kind: Kind
    shape: Shape

    @property
    def neurons(self) -> int:
        return prod(self.shape)


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


def groups_and_paths(graph: Graph, pools: Pools = "groups") -> tuple[dict[str, Group], tuple[Path, ...]]:
    """Every group of a spiking graph by name, and every path between two, by destination.

    Raises:
        GraphError: for a graph that is not a spiking network.
    """
    for node in graph.of_type(ReLU):
        raise GraphError(f"{node}: has no spikes; convert the network first")
    if not graph.populations:
        raise GraphError("the network has no spiking populations; convert it first")
    stay: set[str] = set()
    while True:  # what cannot be folded stays a group, and then others may need to be groups too
        groups = _groups(graph, pools, stay)
        try:
            return groups, tuple(path for name in groups for path in _Walk(graph, groups, name).paths())
        except _NotFolded as problem:
            if problem.names <= stay:
                raise GraphError(f"two layers without neurons between them lead to {problem}") from problem
            stay |= problem.names


class _NotFolded(Exception):
    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = set(names)


def _groups(graph: Graph, pools: Pools, stay: set[str]) -> dict[str, Group]:
    kinds: dict[str, Kind] = {}
    for node in graph:
        if isinstance(node, Input):
            kinds[node.name] = "input"
        elif isinstance(node, Output):
            kinds[node.name] = "output"
        elif node.population:
            kinds[node.name] = "spiking"
        elif isinstance(node, POOLS) and (pools == "groups" or node.name in stay):
            kinds[node.name] = "pool"
    connecting = {node.name for node in graph if _connects(graph, node)}
    leads = _leads_to_layer(graph, kinds, connecting)
    values = _is_made_by_layer(graph, kinds, connecting)
    for node in graph:
        weighted = node.name in connecting and node.name not in kinds and not isinstance(node, POOLS)
        a_sum = isinstance(node, Add) and any(values[name] for name in node.inputs)
        if node.name in leads and (weighted or a_sum):
            kinds[node.name] = "relay"
    return {
        node.name: Group(node.name, kinds[node.name], _neurons(graph, node)) for node in graph if node.name in kinds
    }


def _neurons(graph: Graph, node: Node) -> Shape:
    """The shape of a group; of an output that of what it reads, since an answer may have no axes."""
    return graph.input_shapes(node)[0] if isinstance(node, Output) else graph.shapes[node.name]


def _leads_to_layer(graph: Graph, kinds: Mapping[str, Kind], connecting: set[str]) -> set[str]:
    """The nodes whose values reach a connecting operator without passing neurons or a sum that can stand in between."""
    values = _is_made_by_layer(graph, kinds, connecting)
    found: set[str] = set()
    for node in reversed(graph.nodes):
        for name in graph.consumers[node.name]:
            reader = graph[name]
            folds = isinstance(reader, POOLS) and name not in kinds
            if name in connecting and not folds:
                found.add(node.name)
            elif name in found and name not in kinds:
                stands = isinstance(reader, Add) and any(values[i] for i in reader.inputs)
                if not stands:
                    found.add(node.name)
    return found


def _is_made_by_layer(graph: Graph, kinds: Mapping[str, Kind], connecting: set[str]) -> dict[str, bool]:
    """Whether a value was made by a connecting operator since the last neurons or pools."""
    found: dict[str, bool] = {}
    for node in graph:
        made = node.name in connecting or any(found[name] for name in node.inputs)
        found[node.name] = made and node.name not in kinds
    return found


def _connects(graph: Graph, node: Node) -> bool:
    return bool(node.inputs) and node.connections(*graph.input_shapes(node)) is not None


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
            pooling = isinstance(self.graph[through[0]], SpikeMaxPool)  # a maximum of means is not a mean
            if pair is None or pooling:
                raise _NotFolded(*(n for n in (name, *through) if isinstance(self.graph[n], POOLS)))
            product, channels = pair
            before = None if channels is None else _channels_of(channels, product.inputs, shapes[0])
            yield from self._from(node.inputs[0], before, (name, *through), product, after)


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
