"""Opening an ONNX model, and what must hold before it is walked: one maker for each value, functions that end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.errors import ModelFileError
from spikewright.frontends.common.files import check_exists, missing
from spikewright.text import first_line

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto, NodeProto

IGNORED_DOMAINS = ("", "ai.onnx")
MOST_NODES = 10**6
"""How many operators the functions of a model may come to, once each call is written out."""


def opened(source: str | Path | ModelProto) -> tuple[ModelProto, Path | None]:
    """A model that has no functions, and the folder its weights may lie in.

    Raises:
        ModelFileError: for a file that is missing, damaged, or not ONNX.
    """
    try:
        import onnx
        import onnx.inliner
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise missing("reading ONNX files", "onnx", "onnx") from None
    folder = None
    if isinstance(source, str | Path):
        check_exists(source)
        folder = Path(source).parent
        try:
            model = onnx.load(str(source), format="protobuf", load_external_data=False)
        except (DecodeError, OSError, ValueError) as error:
            raise ModelFileError(
                f"{source}: damaged or not an ONNX file ({first_line(error)}); export it again"
            ) from error
    else:
        model = source
    _check_text(model)
    if model.functions:
        _check_functions(model)
        try:
            model = onnx.inliner.inline_local_functions(model)
        except (DecodeError, RuntimeError, ValueError) as error:
            raise ModelFileError(
                f"the model's functions cannot be written out ({first_line(error)}); export it again"
            ) from error
    if not model.graph.node:
        raise ModelFileError(f"{source}: not an ONNX file, or one without a network in it; export it again")
    if not model.graph.output:
        raise ModelFileError("the model says no output; export it again")
    if model.graph.sparse_initializer:
        raise ModelFileError("the model has sparse weights; export it with dense ones")
    _check_names(model)
    return model, folder


def opset_of(model: ModelProto) -> int:
    """The version of the default operators.

    Raises:
        ModelFileError: where the model does not say it, or says one that the installed onnx does not know.
    """
    import onnx

    opset = max((o.version for o in model.opset_import if o.domain in IGNORED_DOMAINS), default=0)
    if opset < 1 and model.ir_version >= 3:
        raise ModelFileError("the model does not say which version of the operators it uses; export it again")
    known = onnx.defs.onnx_opset_version()
    if opset > known:
        raise ModelFileError(f"the model uses operator set {opset}, the installed onnx knows up to {known}; upgrade it")
    return max(opset, 1)


def _check_text(model: ModelProto) -> None:
    """Names that are no text come as bytes, which nothing else could handle."""
    for graph in (model.graph, *model.functions):
        for node in _calls(graph.node):
            names = [*node.input, *node.output, node.name, node.op_type, node.domain]
            if not all(isinstance(name, str) for name in (*names, *(a.name for a in node.attribute))):
                raise ModelFileError("the model has names that are no text; it is damaged: export it again")
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.initializer)
    if not all(isinstance(name, str) for name in (graph.name, model.producer_name, *(value.name for value in values))):
        raise ModelFileError("the model has names that are no text; it is damaged: export it again")


def _check_names(model: ModelProto) -> None:
    """Every value is computed once; an input may have a default among the stored tensors."""
    stored = [tensor.name for tensor in model.graph.initializer]
    inputs = [value.name for value in model.graph.input]
    computed = [name for node in model.graph.node for name in node.output if name]
    seen: set[str] = set()
    for name in (*stored, *(name for name in inputs if name not in set(stored)), *computed):
        if name in seen:
            raise ModelFileError(f"the model computes or stores '{name}' twice; export it again")
        seen.add(name)


def _calls(nodes: Iterable[NodeProto]) -> Iterable[NodeProto]:
    """All operators, those of subgraphs included."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting.extend(graph.node)


def _check_functions(model: ModelProto) -> None:
    """No function calls itself, and all of them written out are not absurdly long."""
    bodies = {(f.domain, f.name, getattr(f, "overload", "")): f for f in model.functions}
    if len(bodies) < len(model.functions):
        raise ModelFileError("the model has two functions of one name; export it again")
    sizes: dict[tuple[str, str, str], int] = {}

    def size(nodes: Iterable[NodeProto], callers: tuple[FunctionProto, ...]) -> int:
        total = 0
        for node in _calls(nodes):
            key = (node.domain, node.op_type, getattr(node, "overload", ""))
            if key not in bodies:
                total += 1
                continue
            if bodies[key] in callers or len(callers) > 100:
                raise ModelFileError(
                    f"the model's function {node.op_type} calls itself; only functions that end can be read"
                )
            if key not in sizes:
                sizes[key] = size(bodies[key].node, (*callers, bodies[key]))
            total += sizes[key]
        if total > MOST_NODES:
            raise ModelFileError(f"the model's functions come to more than {MOST_NODES} operators; export it without")
        return total

    size(model.graph.node, ())
    for function in model.functions:  # those that nobody calls are written out too
        size(function.node, (function,))
