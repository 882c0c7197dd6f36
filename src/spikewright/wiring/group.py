"""Groups of neurons: what the wires of a network start and end at.

Which they are follows from what every node says of itself: an input and an output of the network, a population, and
where two connecting operators meet without neurons between them, what stands there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import Add, MaxPool, Output, ReLU
from spikewright.text import shape_text

Kind = Literal["input", "spiking", "pool", "relay", "output"]
Pools = Literal["groups", "folded"]
BECOME_NEURONS = (ReLU, MaxPool)
"""What the neurons of a trained network are: conversion puts a population in the place of each."""


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
        """How many there are."""
        return prod(self.shape)

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {shape_text(self.shape)}, {self.neurons:,} neurons)"


def has_neurons(node: Node) -> bool:
    """Whether a node is a group of neurons of the network: spiking ones, or in a trained one what becomes them."""
    return node.population or isinstance(node, BECOME_NEURONS)


def found_groups(graph: Graph, pools: Pools, unfolded: Collection[str] = ()) -> dict[str, Group]:
    """The groups of a spiking graph by name, in the order of its nodes.

    Args:
        graph: it.
        pools: whether pools are groups or part of the projections around them.
        unfolded: pools that are groups in any case.
    """
    kinds: dict[str, Kind] = {}
    connecting, pooling = _operators(graph)
    for node in graph:
        if not node.inputs:
            kinds[node.name] = "input"
        elif isinstance(node, Output):
            kinds[node.name] = "output"
        elif node.population:
            kinds[node.name] = "spiking"
        elif node.name in pooling and (pools == "groups" or node.name in unfolded):
            kinds[node.name] = "pool"
    folded = pooling - kinds.keys()
    values = _made_by_layer(graph, kinds, connecting)
    leads = _leads_to_layer(graph, kinds, connecting - folded, values)
    decided = kinds.keys() | folded
    for node in graph:
        if node.name in leads and node.name not in decided:
            layer = node.name in connecting
            if layer or (isinstance(node, Add) and any(values[name] for name in node.inputs)):
                kinds[node.name] = "relay"
    return {name: Group(name, kinds[name], _shape(graph, graph[name])) for name in graph.by_name if name in kinds}


def _operators(graph: Graph) -> tuple[set[str], set[str]]:
    """The nodes that connect, and those of them that are pools: that add up each channel by itself."""
    connecting, pooling = set(), set()
    for node in graph:
        made = node.connections(*graph.input_shapes(node)) if node.inputs else None
        if made is not None:
            connecting.add(node.name)
            if made.pools and not node.population:
                pooling.add(node.name)
    return connecting, pooling


def _shape(graph: Graph, node: Node) -> Shape:
    """The shape of a group; of an output that of what it reads, since an answer may have no axes."""
    return graph.input_shapes(node)[0] if isinstance(node, Output) else graph.shapes[node.name]


def _leads_to_layer(
    graph: Graph, kinds: Mapping[str, Kind], layers: Collection[str], values: Mapping[str, bool]
) -> set[str]:
    """The nodes whose values reach a layer without passing neurons or a sum that can stand in between."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        for name in graph.consumers[node.name]:
            reader = graph[name]
            if name in layers:
                found.add(node.name)
            elif name in found and name not in kinds:
                stands = isinstance(reader, Add) and any(values[i] for i in reader.inputs)
                if not stands:
                    found.add(node.name)
    return found


def _made_by_layer(graph: Graph, kinds: Mapping[str, Kind], connecting: Collection[str]) -> dict[str, bool]:
    """Whether a value was made by a connecting operator since the last neurons or pools."""
    found: dict[str, bool] = {}
    for node in graph:
        made = node.name in connecting or any(found[name] for name in node.inputs)
        found[node.name] = made and node.name not in kinds
    return found
