"""The ONNX package's own node tests: each runs and gives the right numbers, or is refused by name."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from spikewright.errors import ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx

AT_LEAST = {
    "Add": 6,
    "AveragePool": 14,
    "BatchNormalization": 2,
    "Clip": 2,
    "Concat": 4,
    "Conv": 6,
    "Constant": 0,
    "Div": 0,
    "Dropout": 3,
    "Flatten": 3,
    "Gemm": 8,
    "GlobalAveragePool": 2,
    "GlobalMaxPool": 2,
    "Identity": 1,
    "LogSoftmax": 3,
    "MatMul": 1,
    "MaxPool": 17,
    "Mul": 0,
    "Pad": 0,
    "ReduceMean": 0,
    "Relu": 1,
    "Reshape": 6,
    "Softmax": 6,
    "Squeeze": 1,
    "Sub": 5,
    "Sum": 0,
    "Transpose": 2,
    "Unsqueeze": 6,
}
"""How many cases of each operator must give the right numbers: refusing must not become a habit."""


@cache
def cases() -> dict[str, list[Any]]:
    """The cases with one node of an operator of the table, by operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        collected = collect_testcases(None)
    found: dict[str, list[Any]] = {operator: [] for operator in AT_LEAST}
    for case in collected:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in found and nodes[0].domain == "":
            found[nodes[0].op_type].append(case)
    return found


def array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def prepared(case: Any) -> tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]:
    """The model with every input but the data baked in, the data, and the expected outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    values = [np.asarray(array(v)) for v in inputs]
    several = model.graph.node[0].op_type in ("Add", "Sub", "Sum", "Concat", "Mul", "Div")
    keep = range(len(values) if several else min(len(values), 1))
    for i, info in reversed(list(enumerate(model.graph.input))):
        if i not in keep:
            model.graph.initializer.append(numpy_helper.from_array(values[i], info.name))
            del model.graph.input[i]
    return model, [values[i] for i in keep], [np.asarray(array(v)) for v in outputs]


def attempt(case: Any) -> bool:
    """Whether a case gives the right numbers; False where it is refused as it should be."""
    operator = case.model.graph.node[0].op_type
    try:
        model, xs, expected = prepared(case)
    except (TypeError, ValueError):
        return False  # sequences and optionals: no tensors at all
    if not xs or any(x.ndim < 2 for x in xs):
        return False  # there is no batch axis, so there is no sample
    try:
        graph = from_onnx(model)
        inputs = [node.name for node in graph if not node.inputs]
        x = {name: value.astype(np.float32) for name, value in zip(inputs, xs, strict=True)}
        if len(inputs) == 1:
            found = run(graph, xs[0].astype(np.float32))["output"]
        else:
            import torch

            from spikewright.forward import Forward

            found = Forward(graph)({k: torch.from_numpy(v) for k, v in x.items()})["output"].numpy()
    except UnsupportedModelError as error:
        if operator not in str(error):
            pytest.fail(f"{case.name}: refused without naming {operator}: {error}")
        return False
    except ModelFileError:
        return False  # a shape without axes, or an output that depends on constants alone
    except SpikewrightError as error:
        pytest.fail(f"{case.name}: refused without naming {operator}: {error}")
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=6e-5, err_msg=case.name)
    return True


@pytest.mark.parametrize("operator", sorted(AT_LEAST))
def test_node_cases(operator: str) -> None:
    right = [case.name for case in cases()[operator] if attempt(case)]
    assert len(right) >= AT_LEAST[operator], right
