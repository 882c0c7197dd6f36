"""ONNX files in, graphs out.

The walk goes twice over the model: constants (and shapes, which are constants here) are computed, the rest becomes
nodes. Everything that cannot is collected and refused in one error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.causes import Cause
from spikewright.errors import ModelFileError, Problem, SettingsError
from spikewright.frontends.common.files import open_shape
from spikewright.frontends.common.inputs import channels_noted
from spikewright.frontends.common.refusals import REFUSED, Refusal, problem_of
from spikewright.frontends.onnx.call import FLOATS, Call, Walk
from spikewright.frontends.onnx.constants import evaluate
from spikewright.frontends.onnx.model import IGNORED_DOMAINS, opened, opset_of
from spikewright.frontends.onnx.operators import AT_THE_END, RULES, cause_of
from spikewright.frontends.onnx.original import not_at_hand, onnx_original
from spikewright.frontends.onnx.steps import kept
from spikewright.frontends.onnx.weights import stored_array
from spikewright.frontends.verify import SECONDS, UNSEEN, Verified, verified
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import Input, Output

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto


def from_onnx(
    source: str | Path | ModelProto,
    *,
    shape: Shape | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph:
    """Read an ONNX model.

    Args:
        source: a file, or a loaded model.
        shape: of one sample, for models that leave it open.
        verify: whether the graph is run beside the model in ONNX Runtime before it is returned. None does so for a
            model in memory, where ONNX Runtime is installed; True refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Returns:
        the analog graph; its first axis of every ONNX shape was the batch.

    Raises:
        UnsupportedModelError: with every operator that cannot be taken.
        ModelFileError: for a file that is missing, damaged, or not ONNX.
        SettingsError: where ``shape`` is not what the model says, or a package is missing.
        GraphError: for a graph that does not compute what the model does.
    """
    model, folder = opened(source)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    results = frozenset(value.name for value in model.graph.output)
    walk = Walk(opset_of(model), frozenset(read), results=results, folder=folder)
    ends = _start(walk, model, shape)
    for proto in model.graph.node:
        _take(walk, proto)
        walk.lost |= {name for name in proto.output if name not in walk.values and name not in walk.constants}
    outputs: list[Node] = [
        Output(name=name, inputs=(walk.values[value],)) for name, value in ends.items() if value in walk.values
    ]
    walk.problems.check([*walk.nodes, *outputs])
    for value in ends.values():
        if value not in walk.values:
            raise ModelFileError(f"the output '{value}' does not depend on the input")
    meta = {"source": "onnx", "model": model.graph.name, "producer": model.producer_name}
    graph = channels_noted(Graph([*walk.nodes, *outputs], meta).needed())
    if verify is False:
        return UNSEEN.on(graph)
    reason = not_at_hand(model, not isinstance(source, str | Path), verify)
    if reason:
        return Verified(notes=(reason,)).on(graph)
    original = onnx_original(model, walk, graph, ends)
    name = str(source) if isinstance(source, str | Path) else model.graph.name or "the model"
    return verified(graph, original, name, seconds=verify_seconds, strict=verify is True)


def _start(walk: Walk, model: ModelProto, shape: Shape | None) -> dict[str, str]:
    """Stored tensors, inputs, and the names of outputs, with the model's name for each."""
    walk.constants = {t.name: stored_array(t, walk.folder) for t in model.graph.initializer}
    walk.computed = {name for node in model.graph.node for name in node.output}
    inputs = [value for value in model.graph.input if value.name not in walk.constants]
    for value in inputs:
        tensor = value.type.tensor_type
        known = tuple(d.dim_value for d in tensor.shape.dim)
        sample = _sample(value, shape if len(inputs) == 1 else None)
        walk.batch = (known[0] if known else 0) or walk.batch
        walk.add(Input(name=walk.names.free(value.name), shape=sample), value.name)
        if tensor.elem_type and tensor.elem_type not in FLOATS:
            walk.integers.add(value.name)
    results = [value.name for value in model.graph.output]
    return dict(zip(walk.names.outputs(results if len(results) > 1 else [""]), results, strict=True))


def _sample(value: ValueInfoProto, given: Shape | None) -> Shape:
    """The shape of one sample of an input: what the model says, filled in by what the user says."""
    tensor = value.type.tensor_type
    known = tuple(d.dim_value for d in tensor.shape.dim)
    declared = tuple(d.dim_value or d.dim_param or "?" for d in tensor.shape.dim)
    if not value.type.HasField("tensor_type"):
        raise ModelFileError(f"input '{value.name}' is not a tensor; only tensors can be given to a network")
    if len(known) == 1:
        raise ModelFileError(
            f"input '{value.name}' has the shape {declared}, so it has no axis but the batch; export it with one more"
        )
    sample = known[1:] if given is None else given
    if not sample or min(sample) < 1:
        raise open_shape(f"input '{value.name}'", declared)
    if known and (len(sample) != len(known[1:]) or any(n and n != m for n, m in zip(known[1:], sample, strict=True))):
        raise SettingsError(f"input '{value.name}' takes samples of the shape {declared[1:]}, not {sample}")
    return sample


def _take(walk: Walk, proto: NodeProto) -> None:
    """One operator: computed if constant, made a node if there is a rule, a problem otherwise."""
    operator, where = proto.op_type, f"'{proto.name or ', '.join(proto.output)}'"
    blocked = [i for i in proto.input if i and i not in walk.constants and i not in walk.values]
    if any(i not in walk.lost for i in blocked):
        name = next(i for i in blocked if i not in walk.lost)
        when = "is only computed after it, or from it" if name in walk.computed else "nothing in the model computes"
        raise ModelFileError(f"{operator} at {where} reads '{name}', which {when}")
    known = Problem.of(operator, where, cause_of(operator))
    nested = any(a.HasField("g") or a.graphs for a in proto.attribute)
    if blocked:  # an operator before it was refused and is reported; this one cannot be judged
        ends = operator in AT_THE_END and proto.output[0] not in walk.results
        if ends or operator not in RULES:
            walk.problems.add(known)
    elif proto.domain not in IGNORED_DOMAINS:
        walk.problems.add(Problem(operator, where, f"the operators of {proto.domain} are not known"))
    elif nested:  # looked at before anything is computed
        walk.problems.add(known)
    else:
        try:
            _convert(walk, proto, known)
        except REFUSED as error:
            walk.problems.add(problem_of(error, operator, where, "attributes or constants"))


def _convert(walk: Walk, proto: NodeProto, known: Problem) -> None:
    """An operator whose inputs are there.

    Args:
        walk: through the model.
        proto: the operator.
        known: the problem with it where it has no rule, or does not stand where it may.

    Raises:
        Refusal: where it cannot be taken.
    """
    from onnx import helper

    call = Call(walk, proto, {a.name: helper.get_attribute_value(a) for a in proto.attribute})
    if evaluate(call):
        return
    rule = RULES.get(proto.op_type)
    if rule is None:
        walk.problems.add(known)
        return
    if proto.op_type != "Cast" and walk.integers.intersection(proto.input):
        raise Refusal(Cause.NOT_FLOATS)
    rule(call)
    kept(call)
    if proto.op_type in AT_THE_END:
        walk.problems.reserve(walk.values[call.output], known)
