"""A network of 8-bit integers as ONNX Runtime's own quantiser writes it (QDQ), against ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import spikewright as sw
from spikewright.calibration import Max
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.nodes import ReLU

quantization = pytest.importorskip("onnxruntime.quantization")

Array = np.ndarray[Any, Any]
SHAPE = (3, 8, 8)
LAYERS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Conv", "x w1 b1", "c1", {"pads": [1] * 4}),
    ("Relu", "c1", "r1", {}),
    ("MaxPool", "r1", "p1", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Conv", "p1 w2 b2", "c2", {"pads": [1] * 4}),
    ("Relu", "c2", "r2", {}),
    ("Conv", "r2 w3 b3", "c3", {"pads": [1] * 4}),
    ("Add", "c3 p1", "s", {}),
    ("Relu", "s", "r3", {}),
    ("Flatten", "r3", "f", {}),
    ("Gemm", "f w4 b4", "y", {"transB": 1}),
)
"""A residual network; the activations after its rectifiers are the populations that it needs."""


def network() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": (8, 8, 3, 3), "w4": (10, 128)}
    arrays: dict[str, Array] = {}
    for name, shape in shapes.items():
        arrays[name] = random.normal(size=shape) * 1.4 / np.sqrt(np.prod(shape[1:]))
        arrays[name.replace("w", "b")] = random.normal(size=shape[0]) / 3
    nodes = [helper.make_node(kind, given.split(), [out], name=f"{out}_at", **a) for kind, given, out, a in LAYERS]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["N", *SHAPE]), ("y", ["N", 10]))]
    constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()]
    graph = helper.make_graph(nodes, "residual", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Samples(quantization.CalibrationDataReader):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        self.left: Iterator[Array] = iter(np.random.default_rng(1).normal(size=(32, 1, *SHAPE)).astype(np.float32))

    def get_next(self) -> dict[str, Array] | None:
        x = next(self.left, None)
        return None if x is None else {"x": x}


def quantised(folder: Path, activations: str, weights: str, *, per_channel: bool, symmetric: bool) -> onnx.ModelProto:
    onnx.save(network(), folder / "floats.onnx")
    types = quantization.QuantType
    quantization.quantize_static(
        folder / "floats.onnx",
        folder / "int8.onnx",
        Samples(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=types[activations],
        weight_type=types[weights],
        per_channel=per_channel,
        extra_options={"ActivationSymmetric": symmetric},
    )
    return onnx.load(folder / "int8.onnx")


def answers(model: onnx.ModelProto, x: Array) -> Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def graph_answers(graph: Graph, x: Array) -> Array:
    (found,) = Forward(graph, dtype="float64")({"x": torch.from_numpy(x)}).values()
    return found.numpy()


@pytest.mark.parametrize(
    ("activations", "weights", "per_channel", "symmetric"),
    [
        ("QUInt8", "QInt8", True, False),
        ("QInt8", "QInt8", True, False),
        ("QInt8", "QInt8", True, True),
        ("QUInt8", "QUInt8", False, False),
    ],
)
def test_a_network_of_8_bit_integers_is_exact(
    activations: str, weights: str, per_channel: bool, symmetric: bool, tmp_path: Path
) -> None:
    """Answers are ONNX Runtime's; where a value lies next to a half, rounding in float32 decides, and one step differs.

    What is quantised twice counts once.
    """
    model = quantised(tmp_path, activations, weights, per_channel=per_channel, symmetric=symmetric)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["QuantizeLinear"] >= 8
    graph = sw.load(model, verify=True)
    assert graph.meta["verified"]["against"] == "ONNX Runtime"
    folded, _ = sw.prepare(graph)
    populations = folded.of_type(ReLU)
    # One for the input, one for each of four sums, one for the shortcut's addend, one for the answer.
    assert len(populations) == 6
    assert {relu.levels for relu in populations} <= {127, 128, 255}
    x = np.random.default_rng(2).normal(size=(64, *SHAPE)).astype(np.float32)
    expected = answers(model, x)
    scale = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "y_scale")
    for net in (graph, folded):
        apart = np.abs(graph_answers(net, x) - expected) / scale
        assert (apart > 1e-3).mean() <= 0.005
        assert apart.max() < 1.001


def test_its_spiking_network_comes_closer_with_time(tmp_path: Path) -> None:
    model = quantised(tmp_path, "QUInt8", "QInt8", per_channel=True, symmetric=False)
    graph = sw.load(model, verify=False)
    folded, _ = sw.prepare(graph)
    x = np.random.default_rng(2).normal(size=(32, *SHAPE)).astype(np.float32)
    spiking = sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max()))
    expected = answers(model, x)
    apart = [np.abs(sw.simulate(spiking, x, t).output[:, -1] - expected).max() for t in (16, 256)]
    assert apart[1] < 0.2 * apart[0]
    assert apart[1] < 0.03 * np.abs(expected).max()
