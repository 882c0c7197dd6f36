"""Attributes that a rule could forget: with each the graph computes what ONNX does, or the operator is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnx_models import Nodes, ints, model, normal, same
from spikewright.errors import UnsupportedModelError
from spikewright.frontends.onnx import from_onnx
from spikewright.frontends.onnx.operators import RULES

NEUTRAL = {
    "consumed_inputs": "a hint to runtimes that shared memory, before version 6",
    "momentum": "of training",
    "ratio": "of training",
    "seed": "of training",
    "storage_order": "of indices, which are refused",
    "saturate": "of casts to eight bits, which are refused",
    "round_mode": "of casts to eight bits, which are refused",
    "output_dtype": "of quantisation",
    "roi": "of crop_and_resize, which is refused",
    "broadcast": "before version 7: shapes say it",
    "precision": "of the division in a quantisation, which is done in double precision",
    "extrapolation_value": "of crop_and_resize, which is refused",
    "height_scale": "of Upsample-1, which is refused",
    "width_scale": "of Upsample-1, which is refused",
}
"""Attributes that no rule reads, and why none need."""

READ: dict[str, set[str]] = {
    "AveragePool": {"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"},
    "BatchNormalization": {"epsilon", "is_test", "spatial", "training_mode"},
    "Cast": {"to"},
    "Clip": {"max", "min"},
    "Concat": {"axis"},
    "Conv": {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
    "ConvTranspose": {
        *("auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"),
    },
    "CumSum": {"exclusive", "reverse"},
    "DepthToSpace": {"blocksize", "mode"},
    "DequantizeLinear": {"axis", "block_size"},
    "Dropout": {"is_test"},
    "Einsum": {"equation"},
    "Flatten": {"axis"},
    "Gather": {"axis"},
    "GatherElements": {"axis"},
    "Gemm": {"alpha", "beta", "transA", "transB"},
    "HardSigmoid": {"alpha", "beta"},
    "LeakyRelu": {"alpha"},
    "LogSoftmax": {"axis"},
    "MaxPool": {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"},
    "Pad": {"mode", "paddings", "pads", "value"},
    "QuantizeLinear": {"axis", "block_size"},
    "Reshape": {"allowzero", "shape"},
    "Resize": {
        *("antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside"),
        *("keep_aspect_ratio_policy", "mode", "nearest_mode"),
    },
    "ReverseSequence": {"batch_axis", "time_axis"},
    "Shrink": {"bias", "lambd"},
    "Slice": {"axes", "ends", "starts"},
    "Softmax": {"axis"},
    "SpaceToDepth": {"blocksize", "mode"},
    "Split": {"axis", "num_outputs", "split"},
    "ThresholdedRelu": {"alpha"},
    "Transpose": {"perm"},
    "Trilu": {"upper"},
    "Upsample": {"mode", "scales"},
    **{operator: {"axis"} for operator in ("Add", "And", "Div", "Greater", "Less", "Mul", "Or", "Sub", "Xor")},
    **{operator: {"axes", "keepdims", "noop_with_empty_axes"} for operator in ("ReduceMax", "ReduceMean", "ReduceSum")},
    **{operator: {"axes"} for operator in ("Squeeze", "Unsqueeze")},
}
"""Attributes that the rule of each operator reads; each is tried below, or among ONNX's own cases."""


@pytest.mark.parametrize("operator", sorted(RULES))
def test_every_attribute_of_every_version_is_read_or_neutral(operator: str) -> None:
    """A version of ONNX that adds one fails here until somebody has looked at it."""
    schemas = [s for s in onnx.defs.get_all_schemas_with_history() if s.name == operator and s.domain == ""]
    known = {name for schema in schemas for name in schema.attributes}
    assert known - set(NEUTRAL) == READ.get(operator, set()) & known
    assert READ.get(operator, set()) <= known | {"mode"}  # SpaceToDepth has one since version 26


def refused(nodes: Nodes, shape: list[Any], opset: int = 17, **constants: np.ndarray) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        from_onnx(model(nodes, shape, opset, **constants))
    assert "not make sense" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("operator", ["Max", "Min"])
@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((3, 1, 1), "its constant of shape (3, 1, 1) does not fit samples of (1,)"),
        ((2, 1), "its constant of shape (2, 1) differs from sample to sample"),
        ((1, 4), "its constant of shape (4,) does not fit samples of (1,)"),
        ((1, 1, 2), "its constant of shape (1, 1, 2) does not fit samples of (1,)"),
    ],
)
def test_a_bound_must_not_be_wider_than_the_data(operator: str, shape: tuple[int, ...], why: str) -> None:
    """``max(x, zeros)`` takes the shape of the larger of both."""
    bound = np.full(shape, 0.0 if operator == "Max" else 1.0, np.float32)
    told = refused([("Relu", ["x"], {}), (operator, ["", "c"], {})], ["N", 1], c=bound)
    assert why in told


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 4)])
def test_a_bound_that_fits(shape: tuple[int, ...]) -> None:
    same(model([("Max", ["x", "c"], {})], ["N", 4], c=np.zeros(shape, np.float32)))
    same(model([("Relu", ["x"], {}), ("Min", ["c", ""], {})], ["N", 4], c=np.full(shape, 0.5, np.float32)))


def test_a_reshape_to_one_row_mixes_the_samples_of_a_batch() -> None:
    told = "it reshapes a batch of samples of (2, 3) to (1, -1); samples would mix"
    assert told in refused([("Reshape", ["x", "s"], {})], ["N", 2, 3], s=ints(1, -1))
    assert told in refused([("Reshape", ["x", "s"], {})], [4, 2, 3], s=ints(1, -1))
    same(model([("Reshape", ["x", "s"], {})], [1, 2, 3], s=ints(1, -1)), batch=1)
    same(model([("Reshape", ["x", "s"], {})], ["N", 2, 3], s=ints(1, 6)), batch=1)


def test_a_resize_to_so_many_samples() -> None:
    nodes: Nodes = [("Resize", ["x", "-", "-", "s"], {"mode": "nearest"})]
    assert "it resizes the batch to 3 samples" in refused(nodes, ["N", 2, 3], s=ints(3, 2, 6))
    same(model(nodes, [3, 2, 3], s=ints(3, 2, 6)))


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
def test_windows_that_runtimes_put_elsewhere(auto: str) -> None:
    pool: Nodes = [("MaxPool", ["x"], {"kernel_shape": [1], "strides": [3], "auto_pad": auto})]
    assert f"runtimes differ in where {auto} puts windows of (1,) by (3,); give it pads" in refused(pool, ["N", 2, 6])
    dilated: Nodes = [("MaxPool", ["x"], {"kernel_shape": [2], "dilations": [2], "auto_pad": auto})]
    assert f"runtimes differ in where {auto} puts windows" in refused(dilated, ["N", 2, 6])
    same(model([("Conv", ["x", "w"], {"strides": [3], "auto_pad": auto})], ["N", 2, 6], w=normal(2, 2, 1)))
    if auto == "SAME_UPPER":  # ONNX's own reference has a view of its own on the other
        same(model([("MaxPool", ["x"], {"kernel_shape": [2], "strides": [2], "auto_pad": auto})], ["N", 2, 7]))


@pytest.mark.parametrize("opset", [1, 6])
def test_old_operators_learn_unless_they_are_told_not_to(opset: int) -> None:
    """Until version 7 training was the default."""
    values = {name: np.abs(normal(2)) for name in "abcd"}
    norm: Nodes = [("BatchNormalization", ["x", *"abcd"], {"epsilon": 1e-3})]
    assert "it does what it does in training" in refused(norm, ["N", 2, 3], opset, **values)
    norm[0][2]["is_test"] = 1
    from_onnx(model(norm, ["N", 2, 3], opset, **values))
    assert "it does what it does in training" in refused([("Dropout", ["x"], {})], ["N", 2], opset)
    from_onnx(model([("Dropout", ["x"], {"is_test": 1})], ["N", 2], opset))


@pytest.mark.parametrize("node", [("LeakyRelu", ["x"], {"alpha": 0.0}), ("PRelu", ["x", "c"], {})])
def test_a_leak_of_nothing_is_a_plain_rectifier(node: Any) -> None:
    graph = same(model([node], ["N", 3], c=np.zeros(3, np.float32)))
    assert [n.type for n in graph] == ["Input", "ReLU", "Output"]


@pytest.mark.parametrize("alpha", [-0.5, 1.5])
def test_leaks_of_any_size(alpha: float) -> None:
    same(model([("LeakyRelu", ["x"], {"alpha": alpha})], ["N", 3]))


@pytest.mark.parametrize("beta", [0.0, 3.0])
@pytest.mark.parametrize("shape", [(1,), (2,), (1, 2), (1, 1)])
def test_factors_of_a_matrix_product(beta: float, shape: tuple[int, ...]) -> None:
    gemm = ("Gemm", ["x", "w", "b"], {"alpha": -2.0, "beta": beta})
    same(model([gemm], ["N", 4], w=normal(4, 2), b=normal(*shape)))


def test_whole_numbers_divided_while_reading() -> None:
    """−7 / 2 is −3 among whole numbers: towards zero, as ONNX Runtime has it."""
    nodes: Nodes = [("Div", ["a", "b"], {}), ("Cast", [""], {"to": 1}), ("Add", ["x", ""], {})]
    graph = from_onnx(model(nodes, ["N", 2], a=ints(-7), b=ints(2)))
    np.testing.assert_array_equal(graph["Add_2"].bias, [-3, -3])


@pytest.mark.parametrize("nodes", [[("Mul", ["x", "c"], {})], [("Add", ["x", "c"], {})], [("Div", ["x", "tiny"], {})]])
def test_constants_that_are_no_numbers(nodes: Nodes) -> None:
    folded: Nodes = [("Div", ["one", "none"], {}), (nodes[0][0], ["x", "" if "c" in nodes[0][1] else "tiny"], {})]
    constants = {"one": np.ones(1, np.float32), "none": np.zeros(1, np.float32), "tiny": np.full(1, 1e-42, np.float32)}
    assert "its constant is infinite, or no number" in refused(folded, ["N", 2], **constants)


@pytest.mark.parametrize("order", [["open", "n1"], ["n1", "n1"], ["four", "n1"]])
def test_the_batch_is_told_from_what_is_left(order: list[str]) -> None:
    """``(-1, batch)`` turns samples into columns; ``(batch, -1)`` flattens them. Both end in the same numbers."""
    nodes: Nodes = [
        ("Shape", ["x"], {}),
        ("Gather", ["", "zero"], {"axis": 0}),
        ("Concat", order, {"axis": 0}),
        ("Reshape", ["x", ""], {}),
    ]
    constants = {"zero": ints(0), "open": ints(-1), "four": ints(4)}
    assert "samples would mix" in refused(nodes, ["N", 2, 3], **constants)
    nodes[2] = ("Concat", ["n1", "open"], {"axis": 0})
    assert same(model(nodes, ["N", 2, 3], **constants)).shapes["output"] == (6,)


def test_the_batch_as_a_truth_value() -> None:
    """Nothing is left of it that could be told from another number."""
    nodes: Nodes = [
        ("Shape", ["x"], {}),
        ("Gather", ["", "zero"], {"axis": 0}),
        ("Cast", [""], {"to": onnx.TensorProto.BOOL}),
        ("Cast", [""], {"to": onnx.TensorProto.FLOAT}),
        ("Add", ["x", ""], {}),
    ]
    assert "it casts the batch size to numbers that cannot hold it" in refused(nodes, ["N", 2], zero=ints(0))
