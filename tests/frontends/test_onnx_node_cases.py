"""The ONNX package's own node tests: each runs and gives the right numbers, or is refused by name.

Every case is tried in up to two ways: as it is, its first axis taken for the batch; and, where the operator does not
care, as one sample, with a batch axis put before it. Each time the batch is then given twice over, which must not
change what a sample gives.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from spikewright.errors import ModelFileError, SpikewrightError, UnsupportedModelError
from spikewright.forward import Forward
from spikewright.frontends.onnx import from_onnx

AT_LEAST = {
    "Add": 2,
    "AveragePool": 14,
    "BatchNormalization": 2,
    "Cast": 54,
    "Clip": 1,
    "Concat": 12,
    "Constant": 0,
    "Conv": 6,
    "ConvTranspose": 11,
    "DepthToSpace": 2,
    "Div": 3,
    "Dropout": 4,
    "Expand": 0,
    "Flatten": 3,
    "Floor": 2,
    "Gemm": 8,
    "GlobalAveragePool": 2,
    "GlobalMaxPool": 2,
    "HardSigmoid": 0,
    "Identity": 2,
    "LRN": 0,
    "LeakyRelu": 3,
    "LogSoftmax": 7,
    "MatMul": 1,
    "Max": 1,
    "MaxPool": 16,
    "Min": 1,
    "Mul": 3,
    "PRelu": 2,
    "Pad": 0,
    "QuantizeLinear": 0,
    "ReduceMax": 6,
    "ReduceMean": 6,
    "ReduceSum": 8,
    "Relu": 1,
    "Reshape": 9,
    "Resize": 3,
    "Slice": 6,
    "Softmax": 7,
    "SpaceToDepth": 4,
    "Split": 14,
    "Squeeze": 2,
    "Sub": 3,
    "Sum": 3,
    "Transpose": 7,
    "Unsqueeze": 7,
    "Upsample": 1,
}
"""How many cases of each operator must give the right numbers: refusing must not become a habit.

No case of Constant reads data, all of Pad pad with something else than zeros, and all of Expand repeat values:
``test_onnx`` tests these. HardSigmoid, LRN and QuantizeLinear are here to be refused.
"""

SEVERAL = ("Add", "Concat", "Sub", "Sum")
"""What may have several inputs computed from the data."""
AXES = ("Concat", "LogSoftmax", "Softmax", "Split")
"""What names an axis in an attribute."""
AXES_INPUT = {"ReduceMax": 0, "ReduceMean": 0, "ReduceSum": 0, "Slice": 2, "Squeeze": 0, "Unsqueeze": 0}
"""What names axes in an input, and which of those after the first it is."""
AS_SAMPLE = (
    *(*AXES, *AXES_INPUT, *SEVERAL),
    *("Cast", "Clip", "Div", "Dropout", "Expand", "Floor", "HardSigmoid", "Identity", "LeakyRelu", "Max", "Min"),
    *("Mul", "PRelu", "Relu", "Reshape", "Transpose"),
)
"""What does the same with one more axis in front, once the axes it names are counted from there."""
COARSE = {"FLOAT16": 1e-3, "BFLOAT16": 1e-2, "pad": 1e-3}
"""How well the numbers of a case can agree, by the end of its name: Spikewright computes in single precision where a
model rounds to half, and the numbers of ``averagepool_2d_ceil_last_window_starts_on_pad`` have four digits."""


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


def arrays(values: Any) -> list[np.ndarray]:
    return [numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else np.asarray(v) for v in values]


def prepared(case: Any, one_sample: bool) -> tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]:
    """The model with every input but the data baked in, the data, and the expected outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    node = model.graph.node[0]
    inputs, outputs = (arrays(values) for values in case.data_sets[0])
    broadcast = len({x.shape for x in inputs}) > 1  # two branches must be of one shape, a constant need not be
    several = node.op_type == "Concat" or (node.op_type in SEVERAL and not broadcast)
    data = len(inputs) if several else 1
    constants = inputs[data:]
    if one_sample:
        with_a_batch_axis(model, data, constants, inputs[0].ndim)
        inputs, outputs = [x[None] for x in inputs[:data]], [y[None] for y in outputs]
    for info, value in zip(list(model.graph.input)[data:], constants, strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, info.name))
    del model.graph.input[data:]
    return model, inputs[:data], outputs


def with_a_batch_axis(model: onnx.ModelProto, data: int, constants: list[np.ndarray], rank: int) -> None:
    """Put a batch axis before the data, and count the axes that the operator names from there."""
    node = model.graph.node[0]
    for info in list(model.graph.input)[:data]:
        dims = [d.dim_value for d in info.type.tensor_type.shape.dim]
        del info.type.tensor_type.shape.dim[:]
        for n in (1, *dims):
            info.type.tensor_type.shape.dim.add().dim_value = n
    for attribute in node.attribute:
        if node.op_type in AXES and attribute.name == "axis" and attribute.i >= 0:
            attribute.i += 1
        if node.op_type == "Transpose":
            attribute.ints[:] = [0, *(axis + 1 for axis in attribute.ints)]
    if node.op_type == "Transpose" and not node.attribute:
        node.attribute.append(onnx.helper.make_attribute("perm", [0, *range(rank, 0, -1)]))
    if node.op_type == "Split" and not any(a.name == "axis" for a in node.attribute):
        node.attribute.append(onnx.helper.make_attribute("axis", 1))
    if node.op_type == "Slice" and len(constants) == 2:
        constants.append(np.arange(len(constants[0])))
        node.input.append("axes")
        model.graph.input.add().name = "axes"
    place = AXES_INPUT.get(node.op_type, len(constants))
    if place < len(constants):
        constants[place] = np.where(constants[place] >= 0, constants[place] + 1, constants[place])
    if node.op_type == "Reshape":
        constants[0] = np.concatenate([[1], constants[0]])


def attempt(case: Any, one_sample: bool) -> bool:
    """Whether a case gives the right numbers; False where it is refused as it should be."""
    operator = case.model.graph.node[0].op_type
    model, xs, expected = prepared(case, one_sample)
    try:
        graph = from_onnx(model)
    except UnsupportedModelError as error:
        if not all(problem.operator == operator for problem in error.problems) or not error.problems[0].advice:
            pytest.fail(f"{case.name}: refused without naming {operator} and why: {error}")
        return False
    except ModelFileError as error:
        if not any(
            reason in str(error)
            for reason in ("no axis but the batch", "does not depend", "not a tensor", "open shape")
        ):
            pytest.fail(f"{case.name}: {error}")
        return False
    except SpikewrightError as error:
        pytest.fail(f"{case.name}: refused without naming {operator}: {error}")
    names = [node.name for node in graph if not node.inputs]
    forward = Forward(graph)
    for times in (1, 2):
        batches = {
            k: torch.from_numpy(np.repeat(x.astype(np.float32), times, 0)) for k, x in zip(names, xs, strict=True)
        }
        tolerance = COARSE.get(case.name.removesuffix("_expanded").rsplit("_", 1)[-1], 1e-5)
        for found, one in zip(forward(batches).values(), expected, strict=True):
            wanted = np.repeat(one.astype(np.float32), times, 0)
            assert found.shape == wanted.shape, case.name
            np.testing.assert_allclose(found.numpy(), wanted, rtol=tolerance, atol=tolerance, err_msg=case.name)
    return True


def ways(case: Any) -> list[bool]:
    """Whether to take a case as one sample, for each way to try it."""
    if any(isinstance(value, list) or value is None for value in case.data_sets[0][0]):
        return []  # sequences and optionals: no tensors at all
    return [False, True] if case.model.graph.node[0].op_type in AS_SAMPLE else [False]


def attempts(case: Any) -> bool:
    """Whether a case gives the right numbers in one way at least, and wrong ones in none."""
    return True in [attempt(case, way) for way in ways(case)]


@pytest.mark.parametrize("operator", sorted(AT_LEAST))
def test_node_cases(operator: str) -> None:
    right = [case.name for case in cases()[operator] if attempts(case)]
    assert len(right) >= AT_LEAST[operator], right
