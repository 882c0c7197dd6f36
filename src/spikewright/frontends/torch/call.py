"""One operator call of an exported graph as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from spikewright.causes import Cause
from spikewright.errors import Problem
from spikewright.frontends.common.choices import Choices, terms
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.names import Names
from spikewright.frontends.common.pieces import Pieces
from spikewright.frontends.common.refusals import Problems, Refusal
from spikewright.frontends.torch.names import cause_of, readable
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import Add, Identity

if TYPE_CHECKING:
    from torch import Tensor, fx

Handler = Callable[["Call"], Any]


@dataclass(frozen=True)
class Value:
    """Something that depends on the input: the node that computes it and its per-sample shape.

    ``shape`` is None after a refused operator that moved the batch axis: nothing can be said from there on.
    """

    name: str
    shape: Shape | None

    @property
    def sample(self) -> Shape:
        """The shape, where the walk has made sure that it is known."""
        assert self.shape is not None
        return self.shape


class ImportContext(Protocol):
    """What a call asks and adds to while a program is read: the walk over it."""

    nodes: list[Node]
    problems: Problems
    names: Names
    choices: Choices
    batch: Any
    by_batch: dict[fx.Node, list[Any]]

    def resolve(self, argument: Any) -> Any:
        """An argument of a call, with what was computed before instead of graph nodes."""
        ...

    def array(self, tensor: Tensor) -> Array:
        """A constant as float32, the same array each time it is used."""
        ...

    def sample_shape(self, example: Any) -> Shape | None:
        """The shape of a traced tensor without its batch axis; None where that axis does not stand first."""
        ...

    def where(self, node: fx.Node) -> str:
        """The module that a call stands in."""
        ...

    def name_of(self, node: fx.Node, operator: str) -> str:
        """The name of what a call computes."""
        ...


class Call:
    """One operator call as its handler sees it: arguments by the names of the operator's schema.

    Args:
        walk: the walk it is part of.
        node: the call in the exported graph.
    """

    def __init__(self, walk: ImportContext, node: fx.Node) -> None:
        self.walk, self.node = walk, node
        schema: Any = node.target
        self.schema = schema._schema
        self.operator = readable(self.schema.name)
        given = [walk.resolve(a) for a in node.args]
        names = [a.name for a in self.schema.arguments]
        defaults = {a.name: a.default_value for a in self.schema.arguments if a.has_default_value()}
        named = dict(zip(names, given, strict=False))
        self.arguments: dict[str, Any] = {**defaults, **named, **{k: walk.resolve(v) for k, v in node.kwargs.items()}}
        self.first: Any = self.arguments[names[0]] if names else None

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument by its name."""
        return self.arguments.get(name, default)

    @property
    def x(self) -> Value:
        """The activation it works on: its first argument."""
        return self.value(self.first)

    def value(self, argument: Any) -> Value:
        """An argument that must be an activation."""
        if isinstance(argument, list):
            self.refuse(Cause.BATCH_AXIS)  # values that were stacked before the batch
        if not isinstance(argument, Value):
            self.refuse("a constant stands where it needs an activation")
        return argument

    def spatial(self, axes: int) -> Value:
        """The activation it works on, which must have ``axes`` axes behind its channels."""
        if len(self.x.sample) != axes + 1:
            self.refuse(f"a sample of shape {self.x.sample} has no batch axis of its own")
        return self.x

    def constant(self, argument: Any) -> Array:
        """A tensor argument that must be computable from parameters and buffers alone."""
        import torch

        if not isinstance(argument, torch.Tensor):
            self.refuse(Cause.COMPUTED_WEIGHTS)
        if argument.is_complex():
            self.refuse("its constant is complex; only real numbers can be weights")
        return self.walk.array(argument)

    def ints(self, argument: Any, count: int) -> Shape:
        """One number or a list of them, as one for each of ``count`` axes."""
        found = list(argument) if isinstance(argument, list | tuple) else [argument]
        if any(not isinstance(n, int) for n in found):
            self.refuse(Cause.BATCH_SIZE, "its settings depend on it")
        return tuple(found * count if len(found) == 1 else found)

    def axis(self, x: Value, dim: Any) -> int:
        """An axis of a sample, from one of a batch."""
        axis = int(dim) % (len(x.sample) + 1) - 1
        if axis < 0:
            self.refuse(Cause.BATCH_AXIS)
        return axis

    @property
    def shape(self) -> Shape:
        """The per-sample shape of its result, as exported."""
        shape = self.walk.sample_shape(self.node.meta.get("val"))
        if shape is None:
            self.refuse(Cause.BATCH_AXIS)
        return shape

    def refuse(self, why: Cause | str = "", detail: str = "", operator: str = "") -> NoReturn:
        """Say that this call cannot be converted; why not is known of its operator where nothing is said.

        Raises:
            Refusal: always.
        """
        raise Refusal(why or cause_of(self.operator), detail, operator=operator)

    def reserve(self, value: Value) -> None:
        """Refuse this call unless its value turns out to be what the network ends in."""
        where, cause = self.walk.where(self.node), cause_of(self.operator)
        self.walk.problems.reserve(value.name, Problem.of(self.operator, where, cause))

    def emit(self, kind: type[Node], *sources: Value, part: str = "", **fields: Any) -> Value:
        """Add a node to the graph.

        Args:
            kind: its type.
            sources: what it reads.
            part: a word added to its name where one call becomes several nodes.
            fields: its parameters.
        """
        wanted = self.walk.name_of(self.node, self.operator) + (f".{part}" if part else "")
        name = self.walk.names.unique(wanted)
        node = kind(name=name, inputs=tuple(s.name for s in sources), **fields)
        self.walk.nodes.append(node)
        return Value(name, node.infer_shape(*(s.sample for s in sources)))

    def emit_all(self, value: Value, plans: Sequence[NodePlan]) -> Value:
        """Add nodes to the graph, each of which reads the one before."""
        for plan in plans:
            value = self.emit(plan.kind, value, part=plan.part, **plan.fields)
        return value

    def function(self, root: Value, pieces: Pieces) -> Value:
        """Add the nodes of a function that is a line between some cuts, and remember what it is of its root."""
        chains = [self.emit_all(root, plans) for plans in terms(pieces, root.sample)]
        value = self.emit(Add, *chains) if len(chains) > 1 else chains[0]
        value = self.emit(Identity, root) if value is root else value
        self.walk.choices.note(value.name, root.name, pieces)
        return value
