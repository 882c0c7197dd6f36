"""One call of a Keras layer as its rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import GraphError, Problem
from spikewright.frontends.common.choices import Choices, terms
from spikewright.frontends.common.constants import one_a_channel
from spikewright.frontends.common.names import Names
from spikewright.frontends.common.pieces import Pieces
from spikewright.frontends.common.refusals import Problems, Refusal
from spikewright.frontends.keras.names import cause_of
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import Add, Identity, Permute

if TYPE_CHECKING:
    from spikewright.frontends.keras.net import Layer


@dataclass(frozen=True)
class Value:
    """Something that depends on the input: the node that computes it, and how its axes lie.

    Attributes:
        node: its name; of no meaning once it is lost.
        shape: of a sample, in Keras' order of axes.
        order: for each of Keras' axes, which axis of the node it is.
        lost: whether something before it was refused; its shape may then be wrong.
    """

    node: str
    shape: Shape
    order: Shape
    lost: bool = False

    @property
    def node_shape(self) -> Shape:
        """The shape of a sample, in the node's order of axes."""
        return tuple(n for _, n in sorted(zip(self.order, self.shape, strict=True)))


def straight(rank: int) -> Shape:
    """Axes as Keras has them."""
    return tuple(range(rank))


def channels_moved(rank: int) -> Shape:
    """Keras' last axis is the first one of the node."""
    return (*range(1, rank), 0)[:rank]


class ImportContext(Protocol):
    """What a call adds to while a network is read: the walk over it."""

    nodes: list[Node]
    problems: Problems
    names: Names
    choices: Choices
    version: str
    read: set[str]


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        name: the layer's path, as in ``"encoder/conv1"``.
        inputs: values and constants.
        settings: further arguments of the call by name.
    """

    walk: ImportContext
    layer: Layer
    name: str
    inputs: tuple[Any, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Mapping[str, Any]:
        """The layer's settings, as Keras writes them."""
        return self.layer.config

    @property
    def x(self) -> Value:
        """What it works on, where that is one tensor."""
        values = self.values
        if len(values) != 1 or len(self.inputs) != 1:
            self.refuse(f"it takes one input, and was given {len(self.inputs)}")
        return values[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """Those of its inputs that depend on the data."""
        return tuple(given for given in self.inputs if isinstance(given, Value))

    def refuse(self, why: Cause | str = "", detail: str = "", operator: str = "") -> NoReturn:
        """Say that this call cannot be converted; why not is known of its layer where nothing is said.

        Raises:
            Refusal: always.
        """
        raise Refusal(why or cause_of(operator or self.layer.kind), detail, operator=operator)

    def reserve(self, value: Value, operator: str) -> None:
        """Refuse this call unless its value turns out to be what the network ends in."""
        self.walk.problems.reserve(value.node, Problem.of(operator, f"'{self.name}'", cause_of(operator)))

    # Settings.

    def flag(self, name: str, default: bool = True) -> bool:
        """A setting that is true or false."""
        return bool(self.config.get(name, default))

    def ints(self, name: str, count: int, default: int | None = 1) -> Shape:
        """A setting with a positive whole number for each of ``count`` axes; one may stand for all."""
        value = self.config.get(name, default)
        found = tuple(value) if isinstance(value, list | tuple) else (value,) * count
        if len(found) != count or not all(isinstance(n, int) and n > 0 for n in found):
            self.refuse(f"its {name} is {value!r}, not a positive whole number for each of {count} axes")
        return found

    def sides(self, name: str, count: int) -> tuple[tuple[int, int], ...]:
        """A setting with what is before and after for each of ``count`` axes, however it is written."""
        value = self.config.get(name, 1)
        axes = value if isinstance(value, list | tuple) else [value] * count
        if count == 1 and isinstance(value, list | tuple) and len(value) == 2:
            axes = [value]
        pairs = tuple(tuple(a) if isinstance(a, list | tuple) else (a, a) for a in axes)
        if len(pairs) != count or not all(len(p) == 2 and all(isinstance(n, int) and n >= 0 for n in p) for p in pairs):
            self.refuse(f"its {name} is {value!r}, not a whole number before and after each of {count} axes")
        return pairs

    def weights(self, **shapes: Shape) -> dict[str, Array]:
        """All the arrays of the layer, by Keras' names for them and in its order."""
        self.walk.read.add(self.name)
        return self.layer.weights.read(shapes, self.name)

    # How axes lie.

    @property
    def channels_last(self) -> bool:
        """Whether the layer's channels are its last axis, as Keras has it by default."""
        return self.config.get("data_format") != "channels_first"

    def spatial(self, axes: int) -> Value:
        """The input with its channels first and ``axes`` axes behind them, as layers with windows need it."""
        x = self.x
        if len(x.shape) != axes + 1:
            raise GraphError(f"it works on {axes} axes and channels, its input has the shape {x.shape}")
        return self.arranged(x, channels_moved(axes + 1) if self.channels_last else straight(axes + 1))

    def axis(self, value: Value, given: Any) -> int:
        """One of Keras' axes of a sample, from one counted with the batch, or from behind."""
        rank = len(value.shape) + 1
        if not isinstance(given, int) or not -rank <= given < rank:
            self.refuse(f"its axis {given!r} does not exist in an input of shape {value.shape}")
        if given % rank == 0:
            self.refuse(Cause.BATCH_AXIS)
        return given % rank - 1

    def arranged(self, value: Value, order: Shape) -> Value:
        """The same value with its axes in another order, by a Permute where one is needed."""
        if value.order == order:
            return value
        axes = tuple(value.order[order.index(axis)] for axis in range(len(order)))
        return self.emit(Permute, value, part="permute", order=order, axes=axes)

    def written(self, value: Value) -> Value:
        """The value laid out so that row-major order is Keras' own; axes of length one stand in nobody's way."""
        order = [axis for axis, n in zip(value.order, value.shape, strict=True) if n > 1]
        return value if order == sorted(order) else self.arranged(value, straight(len(value.order)))

    def in_node_order(self, array: Array, value: Value) -> Array:
        """Numbers that Keras spreads over a sample, with their axes as those of the value's node."""
        rank = len(value.shape)
        wide = np.asarray(array, np.float64)
        wide = wide[0] if wide.ndim == rank + 1 and len(wide) == 1 else wide  # it has an axis for the batch
        if wide.ndim > rank:
            raise GraphError(f"a constant of shape {wide.shape} does not fit a sample of shape {value.shape}")
        wide = wide.reshape((1,) * (rank - wide.ndim) + wide.shape)
        return wide.transpose(tuple(value.order.index(axis) for axis in range(rank)))

    def spread(self, array: Array, value: Value) -> Array:
        """Numbers that Keras spreads over a sample, as one a channel where that says it all."""
        return one_a_channel(self.in_node_order(array, value), value.node_shape)

    # Results.

    def emit(
        self, kind: type[Node], *sources: Value, part: str = "", order: Sequence[int] | None = None, **fields: Any
    ) -> Value:
        """Add a node to the graph.

        Args:
            kind: its type.
            sources: what it reads.
            part: a word added to its name where one call becomes several nodes.
            order: how Keras' axes lie in its output; like in its first source where left out.
            fields: its parameters.
        """
        lost = any(source.lost for source in sources)
        wanted = self.name + (f".{part}" if part else "")
        name = wanted if lost else self.walk.names.unique(wanted)
        node = kind(name=name, inputs=tuple(source.node for source in sources), **fields)
        shape = node.shape_after(*(source.node_shape for source in sources))
        if not lost:
            self.walk.nodes.append(node)
        order = sources[0].order if order is None else order
        return Value(name, tuple(shape[axis] for axis in order), tuple(order), lost)

    def function(self, root: Value, pieces: Pieces, part: str = "") -> Value:
        """Add the nodes of a function that is a line between some cuts, and remember what it is of its root."""
        chains = []
        for plans in terms(pieces, root.node_shape):
            value = root
            for plan in plans:
                value = self.emit(plan.kind, value, part=".".join(filter(None, (part, plan.part))), **plan.fields)
            chains.append(value)
        value = self.emit(Add, *chains, part=part) if len(chains) > 1 else chains[0]
        value = self.emit(Identity, root, part=part) if value is root else value
        self.walk.choices.note(value.node, root.node, pieces)
        return value


Rule = Callable[[Call], Value | tuple[Value, ...]]
"""What a layer becomes; several values of a function that gives several."""
