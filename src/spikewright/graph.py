"""The one graph that both the analog and the spiking network are: frozen, named, in topological order."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from spikewright.errors import GraphError
from spikewright.node import MOST_VALUES, Array, Node, Shape, ToTensor, check_size
from spikewright.tabular import Table, Tabular, pictures
from spikewright.text import free_name, listed, shape_text, short

__all__ = ["MOST_VALUES", "Array", "Graph", "Node", "SampleShapes", "Shape", "ToTensor", "check_size"]

N = TypeVar("N", bound=Node)


class SampleShapes(dict[str, Shape]):
    """The shape of a sample of each input, by name.

    Attributes:
        channels: where the trained network has the channels of each, as its ``Input`` says.
    """

    channels: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Graph(Tabular):
    """A network: nodes in topological order, with the shapes that follow from them.

    Args:
        nodes: in any order; they are put in topological order, otherwise as given.
        meta: JSON-like facts about where the graph comes from and what was done to it.

    Raises:
        GraphError: for a name used twice, an input that does not exist, a cycle, shapes that do not fit.
    """

    nodes: tuple[Node, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __init__(self, nodes: Iterable[Node], meta: Mapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "nodes", _topological(tuple(nodes)))
        object.__setattr__(self, "meta", MappingProxyType(dict(meta or {})))
        _ = self.shapes

    def __repr__(self) -> str:
        places = [f"{node.name} {shape_text(self.shapes[node.name])}" for node in self.nodes if not node.inputs]
        answers = [f"{node.name} {shape_text(self.shapes[node.name])}" for node in self.nodes if node.type == "Output"]
        kind = f"spiking, {len(self.populations)} populations, " if self.populations else ""
        ends = f"{listed(places)} to {listed(answers)}"
        return f"Graph({kind}{len(self.nodes)} nodes, {ends}, {short(self.parameters)} parameters)"

    def _table(self) -> Table:
        """A row a node."""
        titles = ("node", "type", "inputs", "shape", "parameters", "MACs")
        rows = [
            (n.name, n.type, ", ".join(n.inputs), shape_text(self.shapes[n.name]), n.parameters, self.macs(n))
            for n in self.nodes
        ]
        return Table.of_rows(titles, rows, [repr(self)])

    def _repr_html_(self) -> str:
        """Its picture."""
        return pictures()["graph"](self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.nodes, dict(self.meta))

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by their names."""
        return MappingProxyType({node.name: node for node in self.nodes})

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Per-sample output shape of every node."""
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = node.shape_after(*(shapes[i] for i in node.inputs))
        return MappingProxyType(shapes)

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """Who reads each node, in topological order; twice if it is read twice."""
        readers: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node.name)
        return MappingProxyType({name: tuple(r) for name, r in readers.items()})

    def __getitem__(self, name: str) -> Node:
        try:
            return self.by_name[name]
        except KeyError:
            raise GraphError(f"no node '{name}' in the graph; it has {', '.join(self.by_name)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def of_type(self, *types: type[N]) -> tuple[N, ...]:
        """The nodes of some types, in order."""
        found = self._of_types.get(types)
        if found is None:
            found = self._of_types[types] = tuple(node for node in self.nodes if isinstance(node, types))
        return found

    @cached_property
    def _of_types(self) -> dict[tuple[type, ...], tuple[Any, ...]]:
        """What ``of_type`` found, by what it was asked for: runs ask the same again and again."""
        return {}

    def sources(self, node: Node | str) -> tuple[Node, ...]:
        """The nodes that a node reads."""
        found = self[node] if isinstance(node, str) else node
        return tuple(self[name] for name in found.inputs)

    def input_shapes(self, node: Node | str) -> tuple[Shape, ...]:
        """The shapes per sample of what a node reads, in the order of its inputs."""
        found = self[node] if isinstance(node, str) else node
        return tuple(self.shapes[name] for name in found.inputs)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when its structure, its settings or its weights do."""
        digest = hashlib.sha256()
        for node in self.nodes:
            digest.update(json.dumps([node.type, node.name, node.inputs, node.settings], default=float).encode())
            for name, array in sorted(node.arrays.items()):
                digest.update(name.encode() + str(array.shape).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def inputs(self) -> SampleShapes:
        """The shape of a sample of each input, by name, in order."""
        found = [node for node in self.nodes if not node.inputs]
        shapes = SampleShapes({node.name: self.shapes[node.name] for node in found})
        shapes.channels = {node.name: str(getattr(node, "channels", "first")) for node in found}
        return shapes

    @cached_property
    def sample_shape(self) -> Shape:
        """The shape of one sample of data: that of the one input, or one row with all inputs side by side."""
        shapes = list(self.inputs.values())
        return shapes[0] if len(shapes) == 1 else (sum(prod(shape) for shape in shapes),)

    @property
    def populations(self) -> tuple[Node, ...]:
        """Its groups of spiking neurons, in order."""
        return tuple(node for node in self.nodes if node.population)

    @property
    def parameters(self) -> int:
        """The number of weights and biases of all nodes."""
        return sum(node.parameters for node in self.nodes)

    def macs(self, node: Node | str) -> int:
        """The multiply-accumulates of a node for one sample."""
        found = self[node] if isinstance(node, str) else node
        return found.macs(*self.input_shapes(found))

    # Editing: every call gives a new graph.

    def with_nodes(self, nodes: Iterable[Node], **meta: Any) -> Graph:
        """Other nodes, the same meta but for what is given."""
        return Graph(nodes, {**self.meta, **meta})

    def replaced(self, *nodes: Node) -> Graph:
        """Each given node put in the place of the one with its name."""
        new = {node.name: node for node in nodes}
        for name in new:
            _ = self[name]
        return self.with_nodes(new.get(node.name, node) for node in self.nodes)

    def without(self, *names: str) -> Graph:
        """Some one-input nodes taken out, and their readers given what they read."""
        gone = {name: self[name].inputs[0] for name in names}

        def survivor(name: str) -> str:
            while name in gone:
                name = gone[name]
            return name

        return self.with_nodes(
            node.replace(inputs=tuple(survivor(i) for i in node.inputs)) if gone.keys() & node.inputs else node
            for node in self.nodes
            if node.name not in gone
        )

    def inserted(self, node: Node, reader: str) -> Graph:
        """A one-input node put on the edge between the node it reads and ``reader``."""
        found = self[reader]
        source = node.inputs[0]
        rewired = found.replace(inputs=tuple(node.name if i == source else i for i in found.inputs))
        return self.with_nodes([*(rewired if n.name == reader else n for n in self.nodes), node])

    def swapped(self, name: str) -> Graph:
        """A one-input node in front of the node that it reads, whose only reader it is; its readers then read that."""
        node = self[name]
        source = self[node.inputs[0]]
        readers = [
            self[reader].replace(inputs=tuple(source.name if i == name else i for i in self[reader].inputs))
            for reader in dict.fromkeys(self.consumers[name])
        ]
        return self.replaced(node.replace(inputs=source.inputs), source.replace(inputs=(name,)), *readers)

    def needed(self) -> Graph:
        """Without the nodes that no output depends on; inputs stay."""
        wanted: set[str] = set()
        for node in reversed(self.nodes):
            if not node.inputs or node.type == "Output" or node.name in wanted:
                wanted |= {node.name, *node.inputs}
        return self.with_nodes(node for node in self.nodes if node.name in wanted)

    def fresh_name(self, wanted: str) -> str:
        """A name that no node has yet."""
        return free_name(wanted, self)


def _topological(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes ordered so that each stands after what it reads, otherwise as they were given."""
    names = [node.name for node in nodes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise GraphError(f"two nodes have the name '{twice[0]}'; names must be unique")
    known = dict(zip(names, nodes, strict=True))
    for node in nodes:
        for name in node.inputs:
            if name not in known:
                raise GraphError(f"{node}: reads '{name}', which does not exist")
    done: dict[str, Node] = {}
    for root in nodes:
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [known[i] for i in node.inputs if i not in done]
            if node.name in done:
                stack.pop()
            elif not waiting:
                done[node.name] = stack.pop()
            elif len(stack) > len(nodes):
                raise GraphError(f"{node}: stands in a cycle; only feed-forward networks can be converted")
            else:
                stack.append(waiting[0])
    return tuple(done.values())
