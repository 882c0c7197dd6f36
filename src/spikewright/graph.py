"""The one graph that both the analog and the spiking network are: frozen, named, in topological order."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from dataclasses import replace as dataclass_replace
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.connections import Connections
from spikewright.errors import GraphError
from spikewright.moves import moved, scale_moved, table_of, times_moved
from spikewright.scales import across_channels, channel_scale

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
Array = NDArray[Any]
Place = Callable[[Array], "Tensor"]
"""Puts a numpy array on the device, and in the precision, of the run at hand."""

MOST_VALUES = 2**31
"""No tensor of a network has more values for one sample: what claims to is damaged, or was made to fill the memory."""


def check_size(where: object, shape: Shape) -> None:
    """Refuse shapes that no memory could hold, before anything is made of them.

    Raises:
        GraphError: for more than ``MOST_VALUES`` values a sample.
    """
    if prod(shape) > MOST_VALUES:
        raise GraphError(f"{where}: {shape} is more than 2^31 values for one sample, which no network has")


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """One primitive: its parameters are its fields, and its file says everything about it.

    Arrays are kept as read-only float32. Shapes are per sample and channels first: no batch axis.

    Attributes:
        name: unique in its graph.
        inputs: the names of the nodes it reads, in order.
    """

    name: str
    inputs: tuple[str, ...] = ()

    arity: ClassVar[int | None] = 1
    """How many inputs it takes; None for one or more."""
    weighted: ClassVar[bool] = False
    """Whether it has weights that can take a scale in and give a scale out."""
    population: ClassVar[bool] = False
    """Whether it is made of spiking neurons."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, f.name, self._frozen(f.name, value))
        if self.arity is not None and len(self.inputs) != self.arity:
            raise GraphError(f"{self}: takes {self.arity} input(s), was given {len(self.inputs)}")
        if self.arity is None and not self.inputs:
            raise GraphError(f"{self}: needs at least one input")

    def _frozen(self, label: str, value: Array) -> Array:
        """A read-only float32 copy, refused if it holds anything that is not a finite number."""
        own = value.base is None and not value.flags.writeable and value.flags.c_contiguous
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            array = value if own and value.dtype == np.float32 else np.array(value, dtype=np.float32, order="C")
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise GraphError(
                f"{self}: {label}{list(where)} is {array[where]}, not a finite float32; "
                "the trained weights are damaged: train or export the network again"
            )
        array.setflags(write=False)
        return array

    def __str__(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), {f.name: getattr(self, f.name) for f in fields(self)})

    @property
    def type(self) -> str:
        return type(self).__name__

    @property
    def arrays(self) -> dict[str, Array]:
        """Its array fields by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @property
    def settings(self) -> dict[str, Any]:
        """Its fields other than arrays, name and inputs: what a table or a file header shows."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        hidden = {"name", "inputs", *self.arrays}
        return {name: value for name, value in values.items() if name not in hidden}

    @property
    def parameters(self) -> int:
        """How many trained numbers it holds."""
        return sum(array.size for array in self.arrays.values())

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclass_replace(self, **changes)

    @abstractmethod
    def infer_shape(self, *inputs: Shape) -> Shape:
        """The shape of its output, per sample.

        Raises:
            GraphError: when the input shapes do not fit.
        """

    def shape_after(self, *inputs: Shape) -> Shape:
        """``infer_shape``, checked, and worked out once: graphs are edited often, and most of their nodes stay.

        Raises:
            GraphError: when the input shapes do not fit, or the output would be empty or absurdly large.
        """
        known: tuple[tuple[Shape, ...], Shape] | None = self.__dict__.get("_shape_after")
        if known is None or known[0] != inputs:
            shape = tuple(int(n) for n in self.infer_shape(*inputs))
            if any(n < 1 for n in shape):
                given = ", ".join(map(str, inputs))
                raise GraphError(f"{self}: its output would be empty, {shape}, for an input of {given}")
            check_size(self, shape)
            known = (inputs, shape)
            object.__setattr__(self, "_shape_after", known)
        return known[1]

    @abstractmethod
    def bind(self, place: Place) -> Callable[..., Tensor]:
        """Its forward function on batches, with its arrays put in place once."""

    # How its values hang together: a node moves them, or connects them, or adds up its inputs, or makes spikes of them.

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Which value of its inputs stands at each place of its output; None for a node that does more than move.

        Args:
            numbers: for each input an array in its shape: every value is called by a number of its own, 0 or more.

        Returns:
            in the shape of the output, the number of the value that stands there, −1 where there is always zero.
        """
        return None

    def connections(self, *inputs: Shape) -> Connections | None:
        """What connects its input to its output; None for a node that only moves values, or adds them up."""
        return None

    def moving(self, *inputs: Shape) -> NDArray[np.int64] | None:
        """``moves`` for inputs of some shapes, with their values numbered one after the other."""
        return table_of(self.moves, inputs)

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates for one sample of the analog network (zero for what only moves values)."""
        made = self.connections(*inputs) if self.weighted else None
        return 0 if made is None else int(made.fan_out().sum())

    def fan_out(self, *inputs: Shape) -> tuple[NDArray[np.int64], ...]:
        """How many connections leave each neuron of each input, in the shape of that input; borders are exact.

        Of a node that only moves values: to how many places each goes.
        """
        made, table = self.connections(*inputs), self.moving(*inputs)
        if made is not None:
            return (made.fan_out(),)
        return tuple(np.ones(shape, np.int64) for shape in inputs) if table is None else times_moved(table, inputs)

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The events that arrive at each of its outputs when each input neuron sends the given number.

        The operator with every connection's weight set to one. ``counts`` are per sample, without batch axis.
        """
        shapes = [count.shape for count in counts]
        made, table = self.connections(*shapes), self.moving(*shapes)
        if made is not None:
            return made.arriving(counts[0])
        if table is None:
            raise GraphError(f"{self}: no events pass through a {self.type}")
        return moved(table, counts)

    def carry_scale(self, *scales: Array) -> Array | None:
        """The scale of its output, given the scale of each input (same shape as the values themselves).

        What moves values moves their scales, a pool passes on that of its channel; None for what takes its own scale.
        """
        table = self.moving(*(scale.shape for scale in scales))
        if table is not None:
            return scale_moved(table, scales)
        made = self.connections(*(scale.shape for scale in scales)) if scales else None
        if made is None or not made.pools:
            return None
        return across_channels(channel_scale(self, scales[0]), made.outputs)

    def rescale(self, before: Array, after: Array) -> Self:
        """The same operator between a normalised input and a normalised output: ``W·before/after``, ``b/after``.

        Args:
            before: what one unit of each normalised input value stands for, in the shape of the input.
            after: the same for the output.
        """
        raise GraphError(f"{self}: a {self.type} has no weights that could be scaled")

    def followed_by(self, scale: Array, shift: Array) -> Self:
        """The same operator with ``scale · y + shift`` of each output channel behind it, in one."""
        raise GraphError(f"{self}: a {self.type} has no weights that could take in what follows")

    def preceded_by(self, scale: Array, shift: Array, shape: Shape) -> Self:
        """The same operator with ``scale · x + shift`` of each input channel before it, in one.

        Args:
            scale: of each input channel, ``(channels,)``.
            shift: the same.
            shape: of its input.
        """
        raise GraphError(f"{self}: a {self.type} has no weights that could take in what comes before")


class SampleShapes(dict[str, Shape]):
    """The shape of a sample of each input, by name.

    Attributes:
        channels: where the trained network has the channels of each, as its ``Input`` says.
    """

    channels: Mapping[str, str] = MappingProxyType({})


N = TypeVar("N", bound=Node)


@dataclass(frozen=True, eq=False)
class Graph:
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

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.nodes, dict(self.meta))

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
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
        return tuple(node for node in self.nodes if isinstance(node, types))

    def sources(self, node: Node | str) -> tuple[Node, ...]:
        """The nodes that a node reads."""
        found = self[node] if isinstance(node, str) else node
        return tuple(self[name] for name in found.inputs)

    def input_shapes(self, node: Node | str) -> tuple[Shape, ...]:
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

    @property
    def inputs(self) -> SampleShapes:
        """The shape of a sample of each input, by name, in order."""
        found = [node for node in self.nodes if not node.inputs]
        shapes = SampleShapes({node.name: self.shapes[node.name] for node in found})
        shapes.channels = {node.name: str(getattr(node, "channels", "first")) for node in found}
        return shapes

    @property
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
        return sum(node.parameters for node in self.nodes)

    def macs(self, node: Node | str) -> int:
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

    def needed(self) -> Graph:
        """Without the nodes that no output depends on; inputs stay."""
        wanted: set[str] = set()
        for node in reversed(self.nodes):
            if not node.inputs or node.type == "Output" or node.name in wanted:
                wanted |= {node.name, *node.inputs}
        return self.with_nodes(node for node in self.nodes if node.name in wanted)

    def fresh_name(self, wish: str) -> str:
        """A name that no node has yet."""
        if wish not in self:
            return wish
        return next(f"{wish}_{k}" for k in range(2, len(self.nodes) + 3) if f"{wish}_{k}" not in self)


def _made(kind: type[N], values: Mapping[str, Any]) -> N:
    """A node copied or unpickled: made anew, so that what holds of every node holds of it."""
    return kind(**values)


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
