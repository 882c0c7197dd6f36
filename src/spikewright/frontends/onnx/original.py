"""An ONNX model in ONNX Runtime, as the other side of a comparison."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Any

from spikewright.frontends.common.files import missing
from spikewright.frontends.verify import ROUNDED, SIZES, TOLERANCE, Batch, Original, Trace, groups
from spikewright.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from spikewright.frontends.onnx.call import Walk

DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
DTYPES |= {11: "float64", 16: "bfloat16"}
"""PyTorch's names for ONNX's numbers of types."""
MOST_BYTES = 2**28
"""A model in memory has to be written out for ONNX Runtime; larger ones are, only where it is asked for."""


def not_at_hand(model: ModelProto, in_memory: bool, verify: bool | None) -> str:
    """Why a model is not compared; empty where it is.

    Raises:
        SettingsError: where a comparison was asked for, and ONNX Runtime is not installed.
    """
    if verify is None and not in_memory:
        return "a file is compared with verify=True (--verify)"
    if find_spec("onnxruntime") is None:
        error = missing("comparing with ONNX Runtime", "onnxruntime", "verify")
        if verify:
            raise error
        return str(error)
    size = model.ByteSize()
    if verify is None and size > MOST_BYTES:
        return f"the model has {size >> 20} MiB; verify=True compares it all the same"
    return ""


def onnx_original(model: ModelProto, walk: Walk, graph: Graph, targets: dict[str, str]) -> Original:
    """A model that a walk made a graph of.

    Args:
        model: without functions.
        walk: through it.
        graph: what came of it.
        targets: the model's name for each output of the graph.
    """
    import torch

    elements = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    sources = {walk.values[name]: name for name in elements if name in walk.values}
    dtypes = {node: getattr(torch, DTYPES.get(elements[name], "float32")) for node, name in sources.items()}
    session = cache(lambda: _session(model, walk, []))
    seen = [(name, node) for name, node in walk.values.items() if node in graph and name in walk.computed]

    def run(batch: Batch) -> Batch:
        found = session().run(list(targets.values()), _fed(batch, sources))
        return dict(zip(targets, map(torch.from_numpy, found), strict=True))

    watching = cache(lambda: _session(model, walk, [name for name, _ in seen]))

    def values(batch: Batch) -> Iterator[tuple[str, Tensor]]:
        fed = _fed(batch, sources)
        samples = len(next(iter(batch.values())))
        for group in groups([samples * prod(graph.shapes[node]) for _, node in seen]):
            found = watching().run([name for name, _ in seen[group]], fed)
            yield from ((node, torch.from_numpy(value)) for (_, node), value in zip(seen[group], found, strict=True))

    return Original(
        "ONNX Runtime",
        run,
        dtypes,
        own_size=walk.batch or 1,
        sizes=(walk.batch,) if walk.batch else SIZES,
        tolerance=max((ROUNDED.get(DTYPES.get(kind, ""), TOLERANCE) for kind in _kinds(model)), default=TOLERANCE),
        trace=Trace(tuple(node for _, node in seen), values, walk.batch),
    )


def _kinds(model: ModelProto) -> Iterator[int]:
    """The types that a model says something is of."""
    yield from (value.type.tensor_type.elem_type for value in model.graph.input)
    yield from (tensor.data_type for tensor in model.graph.initializer)
    yield from (a.i for node in model.graph.node if node.op_type == "Cast" for a in node.attribute if a.name == "to")


def _fed(batch: Batch, sources: dict[str, str]) -> dict[str, Any]:
    return {name: batch[node].numpy() for node, name in sources.items()}


def _session(model: ModelProto, walk: Walk, watched: list[str]) -> Any:
    """A run of the model as it is written, nothing of it fused; ``watched`` values are outputs too."""
    import onnx
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    if walk.folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(walk.folder))
    if watched:
        known = {value.name for value in model.graph.output}
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched if name not in known)
        model = whole
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
