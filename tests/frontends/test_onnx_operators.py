"""ONNX operators in the ways that its node tests do not try, against its own reference; and why some are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import spikewright as sw
from onnx_models import Nodes, ints, model, normal, same
from spikewright.errors import UnsupportedModelError
from spikewright.forward import run
from spikewright.frontends.onnx import from_onnx
from spikewright.nodes import ConvTranspose, Floor, LeakyReLU, ReLU

_DEFAULTS = (("strides", 1), ("output_padding", 0), ("dilations", 1))


@pytest.mark.parametrize(
    ("attributes", "cut"),
    [
        ({}, (0, 0, 0, 0)),
        ({"pads": [1, 0, 1, 2], "strides": [2, 3]}, (1, 0, 1, 2)),
        ({"output_padding": [1, 1], "strides": [2, 3], "pads": [1, 1, 1, 1]}, (1, 1, 1, 1)),
        ({"dilations": [2, 1], "strides": [1, 2]}, (0, 0, 0, 0)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (0, 0, 1, 1)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 1, 0, 0)),
        ({"auto_pad": "VALID", "strides": [2, 2]}, (0, 0, 0, 0)),
        ({"output_shape": [8, 12], "strides": [2, 3]}, (1, 0, 0, 0)),
        ({"output_shape": [8, 9], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, (0, 0, 1, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution(attributes: dict[str, Any], cut: tuple[int, ...], groups: int) -> None:
    """Against PyTorch's: ONNX's own reference knows neither groups of several channels nor most output shapes."""
    weight, bias, x = normal(4, 6 // groups, 3, 3), normal(6), normal(3, 4, 4, 4)
    nodes: Nodes = [("ConvTranspose", ["", "w", "b"], {**attributes, "group": groups})]
    graph = from_onnx(model(nodes, ["N", 4, 4, 4], w=weight, b=bias))
    assert graph.of_type(ConvTranspose)
    stride, extra, dilation = (attributes.get(k, d) for k, d in _DEFAULTS)
    tensors = (torch.from_numpy(a) for a in (x, weight, bias))
    whole = torch.nn.functional.conv_transpose2d(*tensors, stride, 0, extra, groups, dilation).numpy()
    expected = whole[:, :, cut[0] : whole.shape[2] - cut[2], cut[1] : whole.shape[3] - cut[3]]
    np.testing.assert_allclose(run(graph, x)["output"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [1, 3])
def test_transposed_convolution_over_other_axes(axes: int) -> None:
    nodes: Nodes = [("ConvTranspose", ["", "w"], {"strides": [2] * axes, "pads": [1] * 2 * axes})]
    same(model(nodes, ["N", 2, *[4] * axes], w=normal(2, 3, *[3] * axes)))


@pytest.mark.parametrize("slope", [(3, 1, 1), (1, 3, 1, 1), (1,), (1, 1, 5), (3, 4, 5)])
def test_leaky_slopes(slope: tuple[int, ...]) -> None:
    proto = model([("LeakyRelu", [""], {"alpha": 0.2}), ("PRelu", ["", "s"], {})], ["N", 3, 4, 5], s=normal(*slope))
    assert len(same(proto).of_type(LeakyReLU)) == 2


def test_a_slope_per_channel_before_opset_7() -> None:
    slope = normal(3)
    graph = from_onnx(model([("PRelu", ["", "s"], {})], ["N", 3, 4, 3], opset=6, s=slope))
    np.testing.assert_array_equal(graph.of_type(LeakyReLU)[0].slope, slope)


def test_maxima_and_minima_are_rectifiers() -> None:
    nodes: Nodes = [("Max", ["zeros", ""], {}), ("Min", ["", "one"], {}), ("Clip", ["", "low", "half"], {})]
    constants = {"zeros": np.zeros((3, 1, 1), np.float32), "one": np.float32(1), "half": np.float32(0.5)}
    graph = same(model(nodes, ["N", 3, 4, 4], low=np.float32(-1), **constants))
    assert [relu.ceiling for relu in graph.of_type(ReLU)] == [0.5]


def test_a_rectifier_with_two_readers_keeps_its_own_ceiling() -> None:
    nodes: Nodes = [("Relu", [""], {}), ("Min", ["", "one"], {}), ("Sub", ["n0", ""], {})]
    graph = same(model(nodes, ["N", 3], one=np.float32(1)))
    assert {relu.ceiling for relu in graph.of_type(ReLU)} == {None, 1.0}


@pytest.mark.parametrize("order", ["clip first", "floor first"])
def test_quantised_activations_are_recognised(order: str) -> None:
    levels, ceiling = np.float32(4), np.float32(1.5)
    start: Nodes = [("Conv", ["", "w", "b"], {}), ("Div", ["", "ceiling"], {})]
    middle: Nodes = [("Clip", ["", "zero", "one"], {}), ("Mul", ["", "levels"], {})]
    rounded: Nodes = [("Add", ["", "half"], {}), ("Floor", [""], {})]
    if order == "floor first":
        middle = [("Mul", ["", "levels"], {}), *rounded, ("Clip", ["", "zero", "levels"], {})]
        rounded = []
    end: Nodes = [("Div", ["", "levels"], {}), ("Mul", ["", "ceiling"], {}), ("Conv", ["", "w2"], {})]
    proto = model(
        [*start, *middle, *rounded, *end],
        ["N", 3, 5, 5],
        **{"w": normal(4, 3, 3, 3), "b": normal(4), "w2": normal(2, 4, 3, 3), "levels": levels, "ceiling": ceiling},
        **{"zero": np.float32(0), "one": np.float32(1), "half": np.float32(0.5)},
    )
    graph = from_onnx(proto)
    assert graph.of_type(Floor)
    folded, _ = sw.prepare(graph)
    (relu,) = folded.of_type(ReLU)
    assert relu.levels == 4
    x = normal(4, 3, 5, 5)
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    np.testing.assert_allclose(run(folded, x)["output"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceSum", "ReduceMax"])
@pytest.mark.parametrize("axes", [(2, 3), (-1,), (2,), (1,), (1, 3), (1, 2)])
@pytest.mark.parametrize("keep", [0, 1])
def test_reductions(operator: str, axes: tuple[int, ...], keep: int) -> None:
    same(model([(operator, ["", "a"], {"keepdims": keep})], ["N", 3, 4, 5], opset=18, a=ints(*axes)))
    if operator != "ReduceSum":
        same(model([(operator, [""], {"axes": axes, "keepdims": keep})], ["N", 3, 4, 5], opset=12))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_of_channels(mode: str) -> None:
    same(model([("DepthToSpace", [""], {"blocksize": 2, "mode": mode})], ["N", 8, 3, 4]))
    same(model([("SpaceToDepth", [""], {"blocksize": 2})], ["N", 3, 4, 6]))


def parts(proto: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A model whose last operator has several outputs, all of them outputs of the model."""
    proto.graph.node[-1].output[:] = names
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names)
    return proto


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_splits(opset: int) -> None:
    sizes: dict[str, Any] = {"split": [1, 3, 2]} if opset == 11 else {}
    inputs = [""] if opset == 11 else ["", "s"]
    proto = model([("Split", inputs, {"axis": 1, **sizes})], ["N", 6, 4, 4], opset=opset, s=ints(1, 3, 2))
    proto = parts(proto, ["a", "b", "c"])
    x = normal(2, 6, 4, 4)
    found = run(from_onnx(proto), x)
    for one, two in zip(found.values(), ReferenceEvaluator(proto).run(None, {"x": x}), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_part_of_a_split_that_nobody_reads_is_left_out() -> None:
    proto = parts(model([("Relu", [""], {}), ("Split", [""], {"axis": 1})], ["N", 6], opset=13), ["a", "b"])
    del proto.graph.output[0]
    assert [node.name for node in from_onnx(proto)] == ["x", "Relu_0", "Split_1_1", "output"]


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((0, 1), (2**63 - 1, -1), (0, 2), (1, 1)),
        ((1, 0), (3, 4), (1, -1), (1, 1)),
        ((0, 1), (4, 5), (2, 3), (2, 3)),
        ((0,), (4,), (2,), (1,)),
    ],
)
def test_slices(starts: Any, ends: Any, axes: Any, steps: Any) -> None:
    given = {"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "t": ints(*steps)}
    same(model([("Slice", ["", "s", "e", "a", "t"], {}), ("Relu", [""], {})], ["N", 3, 4, 5], **given))


def test_slices_before_opset_10() -> None:
    proto = model([("Slice", [""], {"starts": [1], "ends": [3], "axes": [2]})], ["N", 3, 4, 5], opset=9)
    x = normal(2, 3, 4, 5)
    np.testing.assert_array_equal(run(from_onnx(proto), x)["output"], x[:, :, 1:3])


def test_expanding_to_the_same_shape_is_nothing() -> None:
    nodes: Nodes = [("Shape", ["x"], {}), ("Expand", ["x", ""], {}), ("Relu", [""], {})]
    assert len(same(model(nodes, ["N", 3, 4]))) == 3
    assert len(same(model([("Expand", ["", "s"], {}), ("Relu", [""], {})], ["N", 3, 4], s=ints(3, 1)))) == 3


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize(("opset", "axis"), [(10, None), (13, 0), (13, -3), (21, 0)])
def test_quantised_weights_are_constants(dtype: type, opset: int, axis: int | None) -> None:
    random = np.random.default_rng(0)
    weight = random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (3, 3, 3, 3), dtype)
    size = () if axis is None else 3
    scale, zero = random.uniform(0.01, 0.02, size).astype(np.float32), random.integers(0, 9, size).astype(dtype)
    attributes = {} if axis is None else {"axis": axis}
    nodes: Nodes = [
        ("DequantizeLinear", ["w", "s", "z"], attributes),
        ("QuantizeLinear", ["", "s", "z"], attributes),
        ("DequantizeLinear", ["", "s", "z"], attributes),
        ("Conv", ["x", ""], {}),
    ]
    graph = from_onnx(model(nodes, ["N", 3, 5, 5], opset=opset, w=weight, s=scale, z=zero))
    shape = [1, 1, 1, 1]
    shape[axis or 0] = -1
    expected = (weight.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
    np.testing.assert_allclose(graph["Conv_3"].arrays["weight"], expected, rtol=1e-6)


def test_half_precision_weights() -> None:
    weight = normal(4, 5).astype(np.float16)
    graph = from_onnx(model([("Gemm", ["", "w"], {"transB": 1})], ["N", 5], w=weight))
    np.testing.assert_array_equal(graph["Gemm_0"].arrays["weight"], weight.astype(np.float32))
    half = numpy_helper.from_array(weight, "w")
    brain = helper.make_tensor("w", TensorProto.BFLOAT16, (4, 5), normal(20))
    for stored in (half, brain):
        proto = model([("Gemm", ["", "w"], {"transB": 1})], ["N", 5])
        proto.graph.initializer.append(stored)
        assert from_onnx(proto)["Gemm_0"].arrays["weight"].dtype == np.float32


@pytest.mark.parametrize("kind", ["INT8", "FLOAT8E4M3FN", "INT4", "BOOL"])
def test_weights_that_stand_for_others_are_refused(kind: str) -> None:
    proto = model([("Gemm", ["", "w"], {"transB": 1})], ["N", 4])
    stored = helper.make_tensor("w", getattr(TensorProto, kind), (2, 4), [1] * 8)
    proto.graph.initializer.append(stored)
    with pytest.raises(UnsupportedModelError, match=r"Gemm at 'Gemm_0': its weights are .*through DequantizeLinear"):
        from_onnx(proto)


def shuffle() -> onnx.ModelProto:
    """Two grouped convolutions, the channels shuffled between them."""
    nodes: Nodes = [
        ("Conv", ["", "w"], {"group": 2, "pads": [1, 1, 1, 1]}),
        ("Relu", [""], {}),
        ("Reshape", ["", "apart"], {}),
        ("Transpose", [""], {"perm": [0, 2, 1, 3, 4]}),
        ("Reshape", ["", "together"], {}),
        ("Conv", ["", "w2"], {"group": 2}),
        ("Relu", [""], {}),
        ("GlobalAveragePool", [""], {}),
        ("Flatten", [""], {}),
        ("Gemm", ["", "w3"], {"transB": 1}),
    ]
    weights = {"w": normal(6, 2, 3, 3), "w2": normal(4, 3, 3, 3) / 3, "w3": normal(3, 4)}
    return model(nodes, ["N", 4, 6, 6], apart=ints(0, 2, 3, 6, 6), together=ints(0, 6, 6, 6), **weights)


def test_shuffled_channels_keep_their_scales() -> None:
    graph = same(shuffle())
    folded, _ = sw.prepare(graph)
    x = np.random.default_rng(0).uniform(0, 1, (24, 4, 6, 6)).astype(np.float32)
    method = sw.threshold_method("max:channels")
    scales = sw.calibrate(folded, x, [method]).scales(method)
    spiking = sw.convert(graph, scales).spiking
    expected = run(graph, x)["output"]
    errors = [np.abs(sw.simulate(spiking, x, steps).output[:, -1] - expected).max() for steps in (32, 512)]
    assert errors[1] < errors[0] / 4
    assert errors[1] < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("nodes", "advice"),
    [
        ([("GlobalLpPool", [""], {})], "use a batch norm, whose statistics are fixed"),
        ([("ReduceMean", [""], {})], "samples would mix"),
        ([("ReduceSum", ["", "zero"], {})], "samples would mix"),
        ([("Split", [""], {})], "samples would mix"),
        ([("Slice", ["", "zero", "one", "zero"], {})], "samples would mix"),
        ([("DepthToSpace", [""], {"blocksize": 3})], "its 4 channels cannot be laid out"),
        ([("ConvTranspose", ["", "k"], {"output_shape": [40, 40]})], "larger than what it reaches"),
    ],
    ids=str,
)
def test_refusals_say_why(nodes: Nodes, advice: str) -> None:
    whole = {"zero": ints(0), "one": ints(1), "two_": ints(2), "three": ints(3), "minus": ints(-1)}
    real = {"two": np.float32(2), "w": normal(4, 1, 1), "k": normal(4, 2, 3, 3)}
    with pytest.raises(UnsupportedModelError, match=advice):
        from_onnx(model(nodes, ["N", 4, 4, 4], s=ints(1, 4, 4, 8), **whole, **real))
