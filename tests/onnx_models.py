"""Small ONNX models for tests, and the comparison with ONNX's own reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx
from spikewright.graph import Graph

RANDOM = np.random.default_rng(0)
Nodes = list[tuple[str, list[str], dict[str, Any]]]


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def model(nodes: Nodes, shape: list[Any], opset: int = 17, **constants: np.ndarray) -> onnx.ModelProto:
    """A chain of nodes: each reads "" (the value before it), "x" (the input), other outputs ("n0"…), or constants."""
    made = []
    for k, (operator, inputs, attributes) in enumerate(nodes):
        before = "x" if k == 0 else f"n{k - 1}"
        names = [before if name == "" else "" if name == "-" else name for name in inputs]
        made.append(helper.make_node(operator, names, [f"n{k}"], name=f"{operator}_{k}", **attributes))
    graph = helper.make_graph(
        made,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"n{len(nodes) - 1}", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def same(proto: onnx.ModelProto, batch: int = 3) -> Graph:
    graph = from_onnx(proto)
    x = normal(batch, *graph.shapes["x"])
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    np.testing.assert_allclose(run(graph, x)["output"], expected, rtol=1e-4, atol=1e-5)
    return graph
