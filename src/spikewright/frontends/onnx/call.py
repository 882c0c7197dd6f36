"""One ONNX operator as its rule sees it, and the walk that it is part of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.choices import Choices, terms
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, reshaped
from spikewright.frontends.common.names import Names
from spikewright.frontends.common.pieces import Pieces
from spikewright.frontends.common.refusals import Problems, Refusal
from spikewright.graph import Array, Node, Shape
from spikewright.nodes import Add, Identity

if TYPE_CHECKING:
    from onnx import NodeProto

FLOATS = (1, 10, 11, 16)
"""ONNX's numbers for float32, float16, float64 and bfloat16."""
SHAPE_INPUTS = (("Reshape", 1), ("Resize", 3), ("Expand", 1))
"""Which inputs of which operators may hold the batch size."""

COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
BY_PLACE = (*COMPARISONS, "Add", "Cast", "Concat", "Div", "Identity", "Max", "Min", "Mul", "Neg", "Sub", "Where")
"""Operators that treat every sample alike, where all that they read counts the batch."""


def whole_numbers(array: Array) -> tuple[int, ...]:
    """A constant that says lengths, positions or axes.

    Raises:
        Refusal: for more numbers than there could be of these, or for none that are whole.
    """
    if array.size > 4096 or array.dtype.kind not in "iu":
        raise Refusal(f"it takes {array.size} numbers of the type {array.dtype} where a few whole numbers belong")
    return tuple(int(n) for n in array.reshape(-1))


@dataclass
class Walk:
    """What is known while going through a model.

    Attributes:
        opset: version of the default operator set.
        constants: values that depend on no input, by ONNX name.
        values: node names of values that do, by ONNX name.
        shapes: per-sample shapes of ``values``, by ONNX name.
        nodes: made so far.
        used: names that some operator or output reads.
        results: the names of the outputs.
        batch: what the model says its batch size is, where it says so.
        batched: the constants that hold the batch size (as its stand-in).
        rows: the constants that are as long as the batch: the row of one sample, which all of them have.
        integers: the values that are whole numbers.
        lost: the outputs of operators that were refused, and what depends on them.
        problems: what of it cannot be converted.
        folder: where stored tensors may lie, if there is one.
        computed: everything that the model computes somewhere.
        made: how many constants were computed.
        steps: what quantised values may be, by ONNX name.
        whole: the same of the whole numbers that stand for them, with the value that they stand for where it is one.
    """

    opset: int
    used: frozenset[str] = frozenset()
    results: frozenset[str] = frozenset()
    batch: int | None = None
    constants: dict[str, Array] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    batched: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    integers: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    problems: Problems = field(default_factory=Problems)
    folder: Path | None = None
    computed: set[str] = field(default_factory=set)
    made: int = 0
    steps: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _made: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.choices = Choices(self.nodes)

    def add(self, node: Node, output: str) -> None:
        """Keep a node as the maker of an ONNX value."""
        self.shapes[output] = node.shape_after(*(self._made[name] for name in node.inputs))
        self._made[node.name] = self.shapes[output]
        self.nodes.append(node)
        self.names.taken.add(node.name)
        self.values[output] = node.name

    def alias(self, output: str, value: str) -> None:
        """Another name for a value."""
        self.values[output], self.shapes[output] = self.values[value], self.shapes[value]

    def budget(self, size: int) -> None:
        """Refuse to make more constants than a network could have.

        Raises:
            Refusal: where ``size`` numbers more are too many.
        """
        check_constants(self.made + size)
        self.made += size


@dataclass(frozen=True)
class Call:
    """One ONNX operator with its attributes and inputs, as its rule reads it."""

    walk: Walk
    proto: NodeProto
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        """The node's name: the operator's own, or its first output's."""
        return self.walk.names.free(self.proto.name or self.output)

    @property
    def output(self) -> str:
        """The name of its first output."""
        return str(self.proto.output[0])

    def input_name(self, position: int) -> str:
        """The ONNX name of an input; empty where it is left out."""
        return self.proto.input[position] if position < len(self.proto.input) else ""

    def constant(self, position: int) -> Array | None:
        """The value of a constant input, None where it is left out.

        Raises:
            Refusal: where it is computed from the data.
        """
        name = self.input_name(position)
        if not name:
            return None
        if name not in self.walk.constants:
            raise Refusal(Cause.COMPUTED_WEIGHTS, f"its input {position} ('{name}') must be a constant")
        if name in self.walk.batched and (self.proto.op_type, position) not in SHAPE_INPUTS:
            raise Refusal(Cause.BATCH_SIZE, f"its input {position} ('{name}') holds it")
        if name in self.walk.rows:
            self.check_row(name)
        return self.walk.constants[name]

    def check_row(self, name: str) -> None:
        """Refuse the row of one sample where an operator would not treat every sample alike.

        Raises:
            Refusal: saying so.
        """
        walk, rank = self.walk, self.walk.constants[name].ndim
        ranks = [len(walk.shapes[one]) + 1 for one in self.proto.input if one in walk.values]
        fixed = [walk.constants[one].ndim for one in self.proto.input if one in walk.constants]
        if self.proto.op_type not in BY_PLACE or any(one != rank for one in ranks) or max(fixed) > rank:
            raise Refusal(Cause.BATCH_SIZE, f"its input '{name}' is as long as it")

    def needed(self, position: int) -> Array:
        """The value of a constant input that must be there."""
        value = self.constant(position)
        if value is None:
            raise Refusal(f"its input {position} is missing")
        return value

    def ints_of(self, position: int) -> tuple[int, ...]:
        """The value of an input that says lengths, positions or axes."""
        return whole_numbers(self.needed(position))

    def weights(self, position: int) -> Array:
        """The value of an input that holds trained numbers.

        Raises:
            Refusal: for numbers that are not floating-point: they stand for others, by a scale that is elsewhere.
        """
        from onnx import helper

        value = self.needed(position)
        if value.dtype.kind == "f" and value.dtype.itemsize > 1:
            return value
        if helper.np_dtype_to_tensor_dtype(value.dtype) not in FLOATS:
            raise Refusal(f"its weights are {value.dtype}; give it floating-point ones, say through DequantizeLinear")
        return value.astype(np.float32)

    def source(self, position: int = 0) -> str:
        """The node that computes an input."""
        return self.walk.values[self.input_name(position)]

    def shape(self, position: int = 0) -> Shape:
        """The per-sample shape of an input."""
        return self.walk.shapes[self.input_name(position)]

    def is_constant(self, position: int) -> bool:
        """Whether an input is a constant."""
        return self.input_name(position) in self.walk.constants

    @property
    def constants(self) -> list[Array]:
        """The values of its inputs, where all of them are constant."""
        return [self.walk.constants[name] for name in self.proto.input if name]

    @property
    def further_outputs(self) -> bool:
        """Whether anyone reads more of it than its first output."""
        return any(name in self.walk.used for name in self.proto.output[1:])

    def ints(self, name: str) -> tuple[int, ...] | None:
        """An attribute that says lengths or axes; None where it is left out.

        Raises:
            Refusal: for one of another kind.
        """
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(v, int) for v in value):
            raise Refusal(f"its {name} must be whole numbers, not {str(value)[:60]}")
        return tuple(value)

    def whole(self, name: str, default: int | None = None) -> int:
        """An attribute that is one whole number.

        Raises:
            Refusal: for one of another kind, or one that is missing and has no default.
        """
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise Refusal(f"its {name} must be a whole number, not {str(value)[:60]}")
        return value

    def text(self, name: str, default: str) -> str:
        """An attribute that is text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def add(self, node: Node) -> None:
        """Keep a node as the maker of the operator's output."""
        self.walk.add(node, self.output)

    def emit(self, kind: type[Node], *sources: str, **fields: Any) -> None:
        """The node that gives the operator's output.

        Args:
            kind: its type.
            sources: the nodes that it reads; where left out, the one that computes the operator's first input.
            fields: its parameters.
        """
        self.add(kind(name=self.name, inputs=sources or (self.source(),), **fields))

    def part(self, kind: type[Node], source: str, part: str, **fields: Any) -> str:
        """A node on the way to the operator's output, named after it.

        Returns:
            the node's name.
        """
        node = kind(name=self.walk.names.free(f"{self.name}_{part}"), inputs=(source,), **fields)
        self.walk.add(node, f"{self.output}:{part}")
        return node.name

    def emit_all(self, plans: Sequence[NodePlan], source: str = "") -> None:
        """Nodes each of which reads the one before; the last of them gives the operator's output."""
        at = source or self.source()
        for plan in plans[:-1]:
            at = self.part(plan.kind, at, plan.part, **plan.fields)
        self.emit(plans[-1].kind, at, **plans[-1].fields)

    def chain(self, plans: Sequence[NodePlan], source: str, part: str) -> str:
        """Nodes on the way to the operator's output, each of which reads the one before; the name of the last."""
        for k, plan in enumerate(plans):
            source = self.part(plan.kind, source, part if plan is plans[-1] else f"{part}{k}", **plan.fields)
        return source

    def reshape(self, source: str, shape: Shape) -> None:
        """The operator's output as a source in another shape."""
        self.emit_all([reshaped(shape)], source)

    def function(self, root: str, pieces: Pieces, shape: Shape) -> None:
        """The operator's output as a function of a node that is a line between some cuts."""
        chains = terms(pieces, shape)
        if len(chains) > 1:
            self.emit(Add, *(self.chain(plans, root, f"term{k}") for k, plans in enumerate(chains)))
        elif chains[0]:
            self.emit_all(chains[0], root)
        else:
            self.emit(Identity, root)
        self.walk.choices.note(self.walk.values[self.output], root, pieces)
