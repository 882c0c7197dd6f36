"""ONNX files in, graphs out.

The walk goes twice over the model: constants (and shapes, which are constants here) are computed, the rest becomes
nodes. Everything that cannot is collected and refused in one error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright.errors import GraphError, ModelFileError, Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import Input, Output

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

IGNORED_DOMAINS = ("", "ai.onnx")
FLOATS = (1, 10, 11, 16)
"""ONNX's numbers for float32, float16, float64 and bfloat16."""
SHAPE_INPUTS = (("Reshape", 1), ("Resize", 3))
"""Which inputs of which operators may hold the batch size."""


class Refusal(Exception):
    """Why one operator cannot be taken; its text becomes the advice."""


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
        batch: what the model says its batch size is, where it says so.
        batched: the constants that hold the batch size (as its stand-in).
        integers: the values that are whole numbers.
        lost: the outputs of operators that were refused, and what depends on them.
    """

    opset: int
    used: frozenset[str] = frozenset()
    batch: int | None = None
    constants: dict[str, Array] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    batched: set[str] = field(default_factory=set)
    integers: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def add(self, node: Node, output: str) -> None:
        """Keep a node as the maker of an ONNX value."""
        self.shapes[output] = node.infer_shape(*(self._shape_of(name) for name in node.inputs))
        if min(self.shapes[output], default=1) < 1:
            raise Refusal(f"its output would be empty, {self.shapes[output]}")
        self.nodes.append(node)
        self.names.add(node.name)
        self.values[output] = node.name

    def alias(self, output: str, value: str) -> None:
        """Another name for a value."""
        self.values[output], self.shapes[output] = self.values[value], self.shapes[value]

    def _shape_of(self, node: str) -> Shape:
        return next(self.shapes[value] for value, name in self.values.items() if name == node)

    def fresh(self, wish: str) -> str:
        """A node name that is not taken."""
        if wish not in self.names:
            return wish
        return next(f"{wish}_{k}" for k in range(2, len(self.names) + 3) if f"{wish}_{k}" not in self.names)


@dataclass(frozen=True)
class Call:
    """One ONNX operator with its attributes and inputs, as the rules in ``_onnx_ops`` read it."""

    walk: Walk
    proto: NodeProto
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        """For the node: the operator's own name, or its first output's."""
        return self.walk.fresh(self.proto.name or self.output)

    @property
    def output(self) -> str:
        return str(self.proto.output[0])

    def given(self, position: int) -> str:
        """The ONNX name of an input; empty where it is left out."""
        return self.proto.input[position] if position < len(self.proto.input) else ""

    def constant(self, position: int) -> Array | None:
        """The value of a constant input, None where it is left out.

        Raises:
            Refusal: where it is computed from the data.
        """
        name = self.given(position)
        if not name:
            return None
        if name not in self.walk.constants:
            raise Refusal(f"its input {position} ('{name}') must be a constant, but it is computed from the data")
        if name in self.walk.batched and (self.proto.op_type, position) not in SHAPE_INPUTS:
            raise Refusal(f"its input {position} ('{name}') holds the batch size, which a spiking network leaves open")
        return self.walk.constants[name]

    def needed(self, position: int) -> Array:
        value = self.constant(position)
        if value is None:
            raise Refusal(f"its input {position} is missing")
        return value

    def source(self, position: int = 0) -> str:
        """The node that computes an input."""
        return self.walk.values[self.given(position)]

    def shape(self, position: int = 0) -> Shape:
        """The per-sample shape of an input."""
        return self.walk.shapes[self.given(position)]

    def is_constant(self, position: int) -> bool:
        return self.given(position) in self.walk.constants

    @property
    def further_outputs(self) -> bool:
        """Whether anyone reads more of it than its first output."""
        return any(name in self.walk.used for name in self.proto.output[1:])

    def ints(self, name: str) -> tuple[int, ...] | None:
        value = self.attributes.get(name)
        return None if value is None else tuple(int(v) for v in value)

    def add(self, node: Node) -> None:
        self.walk.add(node, self.output)


def from_onnx(source: str | Path | ModelProto, *, shape: Shape | None = None) -> Graph:
    """Read an ONNX model.

    Args:
        source: a file, or a loaded model.
        shape: of one sample, for models that leave it open.

    Returns:
        the analog graph; its first axis of every ONNX shape was the batch.

    Raises:
        UnsupportedModelError: with every operator that cannot be taken.
        ModelFileError: for a file that is missing, damaged, or not ONNX.
        SettingsError: where ``shape`` is not what the model says.
    """
    model = _read(source)
    opset = max((o.version for o in model.opset_import if o.domain in IGNORED_DOMAINS), default=8)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    walk = Walk(opset, frozenset(read))
    problems: list[Problem] = []
    _start(walk, model, shape)
    for proto in model.graph.node:
        problem = _take(walk, proto)
        walk.lost |= {name for name in proto.output if name not in walk.values and name not in walk.constants}
        if problem:
            problems.append(problem)
    if problems:
        raise UnsupportedModelError(problems)
    return _finish(walk, model)


def _read(source: str | Path | ModelProto) -> ModelProto:
    try:
        import onnx
        import onnx.inliner
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise SettingsError("reading ONNX files needs the package onnx: pip install 'spikewright[onnx]'") from None
    if not isinstance(source, str | Path):
        return source
    if not Path(source).is_file():
        raise ModelFileError(f"{source}: no such file")
    try:
        model = onnx.load(str(source))
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"{source}: damaged or not an ONNX file ({reason}); export it again") from error
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    if not model.graph.node:
        raise ModelFileError(f"{source}: not an ONNX file, or one without a network in it; export it again")
    return model


def _start(walk: Walk, model: ModelProto, shape: Shape | None) -> None:
    """Initialisers and inputs."""
    from onnx import numpy_helper

    try:
        walk.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelFileError(f"the model's weights cannot be read ({error}); export it again") from error
    walk.names |= set(_output_names(model))
    inputs = [value for value in model.graph.input if value.name not in walk.constants]
    for value in inputs:
        tensor = value.type.tensor_type
        known = tuple(d.dim_value for d in tensor.shape.dim)
        sample = _sample(value, shape if len(inputs) == 1 else None)
        walk.batch = (known[0] if known else 0) or walk.batch
        walk.add(Input(name=walk.fresh(value.name), shape=sample), value.name)
        if tensor.elem_type and tensor.elem_type not in FLOATS:
            walk.integers.add(value.name)


def _sample(value: ValueInfoProto, given: Shape | None) -> Shape:
    """The shape of one sample of an input: what the model says, filled in by what the user says."""
    tensor = value.type.tensor_type
    known = tuple(d.dim_value for d in tensor.shape.dim)
    said = tuple(d.dim_value or d.dim_param or "?" for d in tensor.shape.dim)
    if not value.type.HasField("tensor_type"):
        raise ModelFileError(f"input '{value.name}' is not a tensor; only tensors can be given to a network")
    if len(known) == 1:
        raise ModelFileError(
            f"input '{value.name}' has the shape {said}, so it has no axis but the batch; export it with one more"
        )
    sample = known[1:] if given is None else given
    if not sample or min(sample) < 1:
        raise ModelFileError(
            f"input '{value.name}' has the open shape {said}; give the shape of one sample, channels first"
        )
    if known and (len(sample) != len(known[1:]) or any(n and n != m for n, m in zip(known[1:], sample, strict=True))):
        raise SettingsError(f"input '{value.name}' takes samples of the shape {said[1:]}, not {sample}")
    return sample


def _take(walk: Walk, proto: NodeProto) -> Problem | None:
    """One operator: computed if constant, made a node if there is a rule, a problem otherwise."""
    from onnx import helper

    from spikewright.frontends._onnx_constants import evaluate
    from spikewright.frontends._onnx_ops import RULES

    where = f"'{proto.name or ', '.join(proto.output)}'"
    blocked = [i for i in proto.input if i and i not in walk.constants and i not in walk.values]
    if any(i not in walk.lost for i in blocked):
        name = next(i for i in blocked if i not in walk.lost)
        raise ModelFileError(f"{proto.op_type} at {where} reads '{name}', which nothing in the model computes")
    if blocked:  # an operator before it was refused and is reported; this one cannot be judged
        return None if proto.op_type in RULES else Problem(proto.op_type, where, "there is no spiking form of it")
    try:
        call = Call(walk, proto, {a.name: helper.get_attribute_value(a) for a in proto.attribute})
        if evaluate(call):
            return None
        rule = RULES.get(proto.op_type) if proto.domain in IGNORED_DOMAINS else None
        if rule is None:
            return Problem(proto.op_type, where, "there is no spiking form of it")
        if proto.op_type != "Cast" and walk.integers.intersection(proto.input):
            return Problem(proto.op_type, where, "it computes with whole numbers; cast them to float first")
        rule(call)
    except Refusal as refusal:
        return Problem(proto.op_type, where, str(refusal))
    except GraphError as error:
        if "finite" in str(error):
            raise
        return Problem(proto.op_type, where, str(error))
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:  # a file may hold anything
        return Problem(proto.op_type, where, f"its attributes or constants do not make sense ({error})")
    return None


def _finish(walk: Walk, model: ModelProto) -> Graph:
    """Outputs put on, and what they do not need taken away."""
    outputs: list[Node] = []
    for name, value in zip(_output_names(model), model.graph.output, strict=True):
        if value.name not in walk.values:
            raise ModelFileError(f"the output '{value.name}' does not depend on the input")
        outputs.append(Output(name=name, inputs=(walk.values[value.name],)))
    meta = {"source": "onnx", "model": model.graph.name, "producer": model.producer_name}
    return Graph([*_needed(walk.nodes, outputs), *outputs], meta)


def _output_names(model: ModelProto) -> list[str]:
    """ "output", "output_2" and so on; no other node may take them."""
    return ["output" if k == 0 else f"output_{k + 1}" for k in range(len(model.graph.output))]


def _needed(nodes: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    by_name = {node.name: node for node in nodes}
    wanted = {name for node in outputs for name in node.inputs}
    stack = list(wanted)
    while stack:
        for name in by_name[stack.pop()].inputs:
            if name not in wanted:
                wanted.add(name)
                stack.append(name)
    return [node for node in nodes if node.name in wanted or isinstance(node, Input)]
