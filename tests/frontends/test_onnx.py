"""ONNX models against ONNX's own reference, and the messages of what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_models import Nodes, ints, model, normal, same
from spikewright.errors import GraphError, ModelFileError, UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx
from spikewright.nodes import ChannelAffine, Flatten, Linear


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 0, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID"},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
        {"strides": [1, 3]},
    ],
    ids=str,
)
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(attributes: dict[str, Any], groups: int) -> None:
    same(
        model(
            [("Conv", ["", "w", "b"], {**attributes, "group": groups})],
            ["N", 4, 9, 8],
            w=normal(6, 4 // groups, 3, 3),
            b=normal(6),
        )
    )


@pytest.mark.parametrize("axes", [1, 3])
def test_convolution_over_other_axes(axes: int) -> None:
    same(model([("Conv", ["", "w"], {"pads": [1] * 2 * axes})], ["N", 2, *[5] * axes], w=normal(3, 2, *[3] * axes)))


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 0, 1, 1], "strides": [2, 2]},
        {"ceil_mode": 1, "strides": [2, 2]},
        {"ceil_mode": 1, "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"ceil_mode": 1, "strides": [3, 3], "pads": [0, 0, 1, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ],
    ids=str,
)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "counting AveragePool"])
def test_pooling(operator: str, attributes: dict[str, Any]) -> None:
    """Against PyTorch's rule where ONNX's own reference does not know the last window."""
    counting = {"count_include_pad": 1} if "counting" in operator else {}
    name = operator.rpartition(" ")[2]
    same(model([(name, [""], {"kernel_shape": [3, 3], **attributes, **counting})], ["N", 2, 8, 7], opset=19))


def test_gemm() -> None:
    attributes = {"transB": 1, "alpha": 0.5, "beta": 2.0}
    same(model([("Gemm", ["", "w", "b"], attributes)], ["N", 5], w=normal(4, 5), b=normal(4)))


def test_matmul_and_add_are_one_linear_layer() -> None:
    nodes: Nodes = [("MatMul", ["", "w"], {}), ("Add", ["", "b"], {}), ("Relu", [""], {})]
    graph = same(model(nodes, ["N", 5], w=normal(5, 4), b=normal(4)))
    assert [type(node) for node in graph][1:2] == [Linear]
    assert not graph.of_type(ChannelAffine)


def test_batch_norm_and_arithmetic() -> None:
    nodes: Nodes = [
        ("BatchNormalization", ["", "g", "b", "m", "v"], {"epsilon": 1e-2}),
        ("Mul", ["", "f"], {}),
        ("Sub", ["", "s"], {}),
        ("Div", ["", "s"], {}),
        ("Sub", ["x", ""], {}),
        ("Sum", ["", "x", "n1"], {}),
    ]
    constants = {"g": normal(3), "b": normal(3), "m": normal(3), "v": normal(3) ** 2, "s": np.float32([2.5])}
    same(model(nodes, ["N", 3, 4, 4], f=normal(3, 1, 1), **constants))


@pytest.mark.parametrize("opset", [10, 13])
def test_clip(opset: int) -> None:
    if opset == 10:
        same(model([("Clip", [""], {"min": 0.0, "max": 0.7})], ["N", 4], opset))
    else:
        same(model([("Clip", ["", "a", "b"], {})], ["N", 4], opset, a=np.float32(0), b=np.float32(0.7)))
        same(model([("Clip", ["", "a"], {})], ["N", 4], opset, a=np.float32(0)))


def test_padding() -> None:
    same(model([("Pad", ["", "p"], {})], ["N", 2, 4, 4], p=ints(0, 0, 1, 2, 0, 0, 0, 3)))
    cropped = from_onnx(model([("Pad", ["", "p"], {})], ["N", 2, 4, 4], p=ints(0, 0, 1, -1, 0, 0, 0, 0)))
    x = normal(2, 2, 4, 4)
    np.testing.assert_array_equal(run(cropped, x)["output"], np.pad(x[..., 1:], [(0, 0), (0, 0), (1, 0), (0, 0)]))
    graph = from_onnx(model([("Pad", [""], {"pads": [0, 0, 1, 0, 0, 0, 1, 0]})], ["N", 2, 4, 4], 10))
    assert graph.shapes["output"] == (2, 6, 4)


@pytest.mark.parametrize("target", [(0, -1), (-1, 48), (1, -1), (1, 48), (0, 6, 8), (-1, 3, 4, 4)])
def test_reshaping(target: tuple[int, ...]) -> None:
    proto = model([("Reshape", ["", "t"], {})], [1, 3, 4, 4], t=ints(*target))
    graph = same(proto, batch=1)
    assert run(graph, normal(5, 3, 4, 4))["output"].shape[0] == 5


def test_the_flattening_that_exporters_write() -> None:
    nodes: Nodes = [
        ("Shape", ["x"], {}),
        ("Gather", ["", "zero"], {"axis": 0}),
        ("Unsqueeze", ["", "zeros"], {}),
        ("Concat", ["", "minus"], {"axis": 0}),
        ("Reshape", ["x", ""], {}),
    ]
    graph = same(model(nodes, ["N", 3, 4], zero=np.int64(0), zeros=ints(0), minus=ints(-1)))
    assert graph.of_type(Flatten)


def test_axes_moved() -> None:
    nodes: Nodes = [
        ("Transpose", [""], {"perm": [0, 2, 3, 1]}),
        ("Unsqueeze", ["", "a"], {}),
        ("Squeeze", ["", "a"], {}),
        ("Flatten", [""], {}),
    ]
    same(model(nodes, ["N", 3, 4, 5], a=ints(1)))


def test_branches() -> None:
    nodes: Nodes = [
        ("Relu", ["x"], {}),
        ("Concat", ["", "x"], {"axis": 1}),
        ("Concat", ["", "n1"], {"axis": -1}),
        ("GlobalAveragePool", [""], {}),
        ("ReduceMean", ["n2"], {"axes": [2, 3], "keepdims": 0}),
    ]
    same(model(nodes, ["N", 3, 4, 5]))


def test_softmax_old_and_new() -> None:
    same(model([("Softmax", [""], {})], ["N", 5], 11))
    same(model([("Softmax", [""], {})], ["N", 5], 13))
    same(model([("LogSoftmax", [""], {"axis": 1})], ["N", 5], 13))


def test_upsampling() -> None:
    attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    same(model([("Resize", ["", "-", "s"], attributes)], ["N", 2, 3, 3], s=np.float32([1, 1, 2, 3])))


def test_reshaped_weights_are_constants() -> None:
    nodes: Nodes = [("Reshape", ["w", "t"], {}), ("MatMul", ["x", ""], {})]
    same(model(nodes, ["N", 6], w=normal(2, 3, 4), t=ints(6, 4)))


def test_a_node_called_output_does_not_take_the_outputs_name() -> None:
    proto = model([("Relu", [""], {})], ["N", 4])
    proto.graph.node[0].name = "output"
    assert from_onnx(proto)["output"].type == "Output"


def test_unused_nodes_are_left_out() -> None:
    proto = model([("Relu", ["x"], {}), ("Relu", ["x"], {})], ["N", 4])
    assert [node.name for node in from_onnx(proto)] == ["x", "Relu_1", "output"]


def test_everything_unsupported_is_named_at_once() -> None:
    nodes: Nodes = [("Sigmoid", [""], {}), ("Relu", [""], {}), ("LSTM", ["", "w", "w"], {}), ("Erf", [""], {})]
    with pytest.raises(UnsupportedModelError) as caught:
        from_onnx(model(nodes, ["N", 4], w=normal(1, 4, 4)))
    assert [p.operator for p in caught.value.problems] == ["Sigmoid", "LSTM", "Erf"]
    assert "3 operators cannot be converted to spikes: Sigmoid at 'Sigmoid_0'" in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "advice"),
    [
        ([("Transpose", [""], {"perm": [1, 0]})], "samples would mix: keep the batch axis first"),
        ([("Flatten", [""], {"axis": 0})], "samples would mix"),
        ([("Reshape", ["", "t"], {})], "samples would mix"),
        ([("MatMul", ["", "x"], {})], "it multiplies activations with each other"),
        ([("Mul", ["", "x"], {})], "it multiplies activations with each other"),
        ([("Clip", ["", "m", "m"], {})], "its lower bound -1 is not below its upper one, -1"),
    ],
)
def test_refusals_say_why(nodes: Nodes, advice: str) -> None:
    with pytest.raises(UnsupportedModelError, match=advice):
        from_onnx(model(nodes, [4, 4], t=ints(2, 8), m=np.float32(-1)))


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        from_onnx(tmp_path / "nothing.onnx")
    good = model([("Gemm", ["", "w"], {})], ["N", 50], w=normal(50, 50)).SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(good[: len(good) // 2])
    with pytest.raises(ModelFileError, match="damaged or not an ONNX file"):
        from_onnx(tmp_path / "cut.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ModelFileError, match="not an ONNX file, or one without a network"):
        from_onnx(tmp_path / "empty.onnx")


def test_an_open_shape_is_asked_for() -> None:
    proto = model([("Relu", [""], {})], ["N", 3, "H", "W"])
    with pytest.raises(ModelFileError, match=r"open shape \('N', 3, 'H', 'W'\); give the shape of one sample"):
        from_onnx(proto)
    assert from_onnx(proto, shape=(3, 5, 6)).shapes["output"] == (3, 5, 6)


def test_damaged_weights_are_named() -> None:
    weight = normal(4, 5)
    weight[1, 2] = np.nan
    with pytest.raises(GraphError, match=r"Linear 'Gemm_0': weight\[1, 2\] is nan"):
        from_onnx(model([("Gemm", ["", "w"], {"transB": 1})], ["N", 5], w=weight))
