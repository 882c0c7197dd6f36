"""ONNX files that are wrong, or that somebody made to do harm: a clear answer, little memory, nothing run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_models import Nodes, ints, model, normal
from spikewright.errors import GraphError, ModelFileError, UnsupportedModelError
from spikewright.frontends.onnx import from_onnx

HUGE = 2**40

pytestmark = pytest.mark.usefixtures("little_memory")


# Weights in files beside the model.


def outside(folder: Path, location: str, **said: int) -> Path:
    """A model whose weights, twenty numbers, lie elsewhere."""
    proto = model([("Gemm", ["", "w"], {"transB": 1})], ["N", 5])
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 5], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **said}.items():
        tensor.external_data.add(key=key, value=str(value))
    proto.graph.initializer.append(tensor)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    weight = normal(4, 5)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "weights.bin").write_bytes(bytes(16) + weight.tobytes())
    for said in ({"offset": 16}, {"offset": 16, "length": 80}):
        graph = from_onnx(outside(tmp_path, "below/weights.bin", **said))
        np.testing.assert_array_equal(graph["Gemm_0"].arrays["weight"], weight)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "below/../../secret.bin", "{}/secret.bin", "link.bin", "way/x", ""]
)
def test_weights_outside_of_the_folder_are_not_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(bytes(80))
    (tmp_path / "x").write_bytes(bytes(80))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "way").symlink_to(tmp_path)
    with pytest.raises(ModelFileError, match="outside of the model's folder or behind a link, and was not read"):
        from_onnx(outside(folder, location.format(tmp_path)))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, r"needs 80 bytes; 'weights.bin' does not hold these from 0 on"),
        ({"offset": 1000}, "does not hold these from 1000 on"),
        ({"offset": -4}, "does not hold these from -4 on"),
        ({"length": HUGE}, "does not hold these from 0 on"),
        ({"offset": "x"}, "cannot be read"),
    ],
)
def test_weights_that_are_not_all_there(said: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(79))
    with pytest.raises(ModelFileError, match=message):
        from_onnx(outside(tmp_path, "weights.bin", **said))


def test_weights_in_a_missing_file_or_of_a_model_without_a_folder(tmp_path: Path) -> None:
    path = outside(tmp_path, "weights.bin")
    with pytest.raises(ModelFileError, match=r"lies in 'weights\.bin', which is missing"):
        from_onnx(path)
    with pytest.raises(ModelFileError, match="give the path of the model instead of the loaded model"):
        from_onnx(onnx.load(path, load_external_data=False))


# Absurd shapes.


@pytest.mark.parametrize(
    "nodes",
    [
        [("ConstantOfShape", ["huge"], {}), ("Add", ["x", ""], {})],
        [("ConstantOfShape", ["large"], {}), ("Neg", [""], {}), ("Add", ["x", ""], {})],
        [("Expand", ["one", "huge"], {}), ("Add", ["x", ""], {})],
        [("Tile", ["one", "huge"], {}), ("Add", ["x", ""], {})],
        [("Range", ["start", "end", "step"], {}), ("Add", ["x", ""], {})],
        [("Pad", ["one", "pads"], {}), ("Add", ["x", ""], {})],
        [("MatMul", ["column", "row"], {}), ("Add", ["x", ""], {})],
        [("Mul", ["column", "row"], {}), ("Add", ["x", ""], {})],
        [("Sum", ["x", "column", "row"], {})],
        [("Gather", ["ones", "zeros"], {}), ("Gather", ["", "zeros"], {}), ("Add", ["x", ""], {})],
        [("Pad", ["", "data_pads"], {})],
        [("Resize", ["", "-", "factors"], {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})],
        [("Reshape", ["", "wide"], {})],
        [("Conv", ["", "w"], {"pads": [HUGE, 0, 0, 0]})],
        [("Conv", ["", "w"], {"pads": [HUGE, 0, 0, 0], "strides": [HUGE, 1]})],
        [("Conv", ["", "w"], {"dilations": [HUGE, 1]})],
        [("ConvTranspose", ["", "w"], {"strides": [HUGE, 1]})],
        [("ConvTranspose", ["", "w"], {"strides": [HUGE, 1], "pads": [3 * HUGE, 0, 0, 0]})],
        [("MaxPool", [""], {"kernel_shape": [HUGE, HUGE]})],
        [("AveragePool", [""], {"kernel_shape": [2, 2], "pads": [HUGE, 0, 0, 0], "strides": [HUGE, 1]})],
        [("Split", [""], {"num_outputs": HUGE, "axis": 1})],
        [("DepthToSpace", [""], {"blocksize": HUGE})],
        [("Reshape", ["", "counts"], {})],
    ],
    ids=lambda nodes: "-".join(str(n[0]) for n in nodes),
)
def test_absurd_shapes_are_refused_before_anything_is_made(nodes: Nodes) -> None:
    proto = model(
        nodes,
        ["N", 1, 4, 4],
        opset=18,
        **{"huge": ints(HUGE), "large": ints(2**29), "one": np.ones(1, np.float32), "wide": ints(0, HUGE, -1)},
        **{"start": np.int64(0), "end": np.int64(HUGE), "step": np.int64(1), "pads": ints(0, HUGE)},
        **{"column": np.ones((2**16, 1), np.float32), "row": np.ones((1, 2**16), np.float32)},
        **{"data_pads": ints(0, 0, HUGE, 0, 0, 0, 0, 0), "factors": np.float32([1, 1, HUGE, 1])},
        **{
            "ones": np.ones(2, np.float32),
            "zeros": np.zeros((2**11, 2**10), np.int64)[: 2**10],
            "w": normal(1, 1, 2, 2),
        },
        counts=np.ones(5000, np.int64),
    )
    with pytest.raises(UnsupportedModelError) as caught:
        from_onnx(proto)
    assert caught.value.problems[0].operator in {node[0] for node in nodes}
    assert len(str(caught.value)) < 600


def test_absurd_inputs_and_weights() -> None:
    with pytest.raises(GraphError, match=r"more than 2\^31 values for one sample, which no network has"):
        from_onnx(model([("Relu", [""], {})], ["N", 2**20, 2**20]))
    for shape, kind in (([HUGE, 5], TensorProto.FLOAT), ([HUGE, 5], TensorProto.INT4), ([2**62] * 20, 1), ([-1, 5], 1)):
        proto = model([("Gemm", ["", "w"], {"transB": 1})], ["N", 5])
        proto.graph.initializer.append(TensorProto(name="w", data_type=kind, dims=shape, raw_data=bytes(80)))
        with pytest.raises(ModelFileError, match="the stored tensor 'w'"):
            from_onnx(proto)


def test_two_sizes_that_only_together_are_absurd() -> None:
    nodes: Nodes = [("ConstantOfShape", ["large"], {})] + [("Add", ["n0", ""], {}), ("Exp", [""], {})] * 4
    with pytest.raises(UnsupportedModelError, match="its constant value would fill the memory"):
        from_onnx(model([*nodes, ("Add", ["x", ""], {})], ["N", 4], large=ints(2**30)))


# Graphs that are none.


def edited(operators: Nodes, change: Any, **constants: np.ndarray) -> onnx.ModelProto:
    proto = model(operators, ["N", 4], **constants)
    change(proto)
    return proto


CHAIN: Nodes = [("Relu", [""], {}), ("Relu", [""], {}), ("Relu", [""], {})]


def _cycle(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].input[0] = "n1"


def _itself(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].input[0] = "n1"


def _dangling(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].input[0] = "nobody"


def _two_makers(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].output[0] = "n0"


def _an_input_made(proto: onnx.ModelProto) -> None:
    proto.graph.node[1].output[0] = "x"


def _two_inputs(proto: onnx.ModelProto) -> None:
    proto.graph.input.append(proto.graph.input[0])


def _two_weights(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.extend([numpy_helper.from_array(np.ones(4), "w")] * 2)


def _no_output(proto: onnx.ModelProto) -> None:
    del proto.graph.output[:]


def _unknown_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = "nobody"


def _no_opset(proto: onnx.ModelProto) -> None:
    del proto.opset_import[:]


def _later_opset(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 10**6


def _no_nodes(proto: onnx.ModelProto) -> None:
    del proto.graph.node[:]


def _sparse(proto: onnx.ModelProto) -> None:
    proto.graph.sparse_initializer.add()


def _no_type(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].ClearField("type")


def _text(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, [1], [b"text"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cycle, "reads 'n1', which is only computed after it, or from it"),
        (_itself, "reads 'n1', which is only computed after it, or from it"),
        (_dangling, "Relu at 'Relu_1' reads 'nobody', which nothing in the model computes"),
        (_two_makers, "the model computes or stores 'n0' twice"),
        (_an_input_made, "the model computes or stores 'x' twice"),
        (_two_inputs, "the model computes or stores 'x' twice"),
        (_two_weights, "the model computes or stores 'w' twice"),
        (_no_output, "the model says no output"),
        (_unknown_output, "the output 'nobody' does not depend on the input"),
        (_no_opset, "does not say which version of the operators it uses"),
        (_later_opset, r"uses operator set 1000000, the installed onnx knows up to \d+; upgrade it"),
        (_no_nodes, "one without a network in it"),
        (_sparse, "the model has sparse weights; export it with dense ones"),
        (_no_type, "input 'x' is not a tensor"),
        (_text, "holds STRING, not real numbers"),
    ],
)
def test_graphs_that_cannot_be(change: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        from_onnx(edited(CHAIN, change))


def test_operators_of_one_name_are_told_apart() -> None:
    proto = model(CHAIN, ["N", 4])
    for node in proto.graph.node:
        node.name = "same"
    assert [node.name for node in from_onnx(proto)] == ["x", "same", "same_2", "same_3", "output"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    weight = normal(3, 4)
    weight[1, 2] = value
    with pytest.raises(GraphError, match=r"Linear 'Gemm_0': weight\[1, 2\] is .*, not a finite float32"):
        from_onnx(model([("Gemm", ["", "w"], {"transB": 1})], ["N", 4], w=weight))
    clip = model([("Clip", ["", "w"], {})], ["N", 4], w=np.float32(value))
    if value == -np.inf:  # a bound that bounds nothing
        assert not [node for node in from_onnx(clip) if node.population]
        return
    with pytest.raises(UnsupportedModelError, match="Clip at 'Clip_0'"):
        from_onnx(clip)


def branch(name: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["x"], [name])], name, [], [output])


@pytest.mark.parametrize(
    ("operator", "attributes", "why"),
    [
        ("If", {"then_branch": branch("a"), "else_branch": branch("b")}, "only one fixed network can be converted"),
        ("Loop", {"body": branch("a")}, "only feed-forward networks can be converted"),
        ("Scan", {"body": branch("a"), "num_scan_inputs": 1}, "only feed-forward networks can be converted"),
        ("SequenceMap", {"body": branch("a")}, "it has no spiking counterpart"),
    ],
)
@pytest.mark.parametrize("source", ["x", "yes"])
def test_networks_inside_of_operators_are_refused(
    operator: str, attributes: dict[str, Any], why: str, source: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=f"{operator} at '{operator}_0': {why}"):
        from_onnx(model([(operator, [source], attributes)], ["N", 4], yes=np.array(True)))


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Conv", {"strides": 2}),
        ("Conv", {"strides": "two"}),
        ("Conv", {"strides": [1.5, 1.0]}),
        ("Conv", {"strides": [0, 0]}),
        ("Conv", {"strides": [-1, 1]}),
        ("Conv", {"strides": [1]}),
        ("Conv", {"dilations": [0, 1]}),
        ("Conv", {"pads": [1, 1]}),
        ("Conv", {"pads": [1, 1, 1, 1, 1]}),
        ("Conv", {"group": 0}),
        ("Conv", {"group": -1}),
        ("Conv", {"group": "all"}),
        ("Conv", {"kernel_shape": [7, 7]}),
        ("Conv", {"auto_pad": "SOMEHOW"}),
        ("ConvTranspose", {"strides": [0, 0]}),
        ("ConvTranspose", {"group": 0}),
        ("ConvTranspose", {"output_padding": [-9, 0]}),
        ("ConvTranspose", {"output_shape": [-1, 3]}),
        ("ConvTranspose", {"pads": [-1, 0, 0, 0]}),
        ("LeakyRelu", {"alpha": "little"}),
        ("LeakyRelu", {"alpha": [1, 2]}),
        ("MaxPool", {"kernel_shape": [0, 2]}),
        ("MaxPool", {}),
        ("Flatten", {"axis": "1"}),
        ("Softmax", {"axis": [1]}),
        ("Concat", {"axis": 7}),
        ("Transpose", {"perm": [0, 1, 1, 2]}),
        ("Transpose", {"perm": [0, 1]}),
        ("Transpose", {"perm": [0, 9, 9, 9]}),
        ("Cast", {}),
        ("DepthToSpace", {}),
        ("DepthToSpace", {"blocksize": 0}),
        ("SpaceToDepth", {"blocksize": -2}),
        ("Gemm", {"alpha": "x"}),
        ("ReduceMean", {"axes": [9]}),
        ("Split", {"axis": 1, "num_outputs": 0}),
        ("AveragePool", {"kernel_shape": [2, 2], "strides": [0, 1]}),
    ],
    ids=str,
)
def test_attributes_that_make_no_sense(operator: str, attributes: dict[str, Any]) -> None:
    inputs = ["", "w"] if operator in ("Conv", "ConvTranspose", "Gemm") else [""]
    opset = 17 if operator == "ReduceMean" else 18
    with pytest.raises(UnsupportedModelError, match=f"{operator} at '{operator}_0': ."):
        from_onnx(model([(operator, inputs, attributes)], ["N", 4, 4, 4], opset=opset, w=normal(4, 4, 3, 3)))
