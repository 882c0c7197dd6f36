"""Functions of TensorFlow in models of Keras 2 (``TFOpLambda``), and what Keras 2 understood otherwise than Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

import torch

import spikewright as sw
from keras2_files import function, layer, saved
from spikewright.errors import GraphError, UnsupportedModelError
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.nodes import Floor, ReLU

Array = np.ndarray[Any, Any]
SHAPE = (4, 6, 3)
X: tuple[Any, ...] = ("x", 0, 0)
SCALES = [0.5, 2.0, -1.0]


def answers(graph: Graph, x: Array) -> Array:
    """What a graph makes of a batch as Keras has it, channels last; outputs turned likewise."""
    (start,) = graph.inputs
    given = torch.from_numpy(np.moveaxis(x, -1, 1).copy()) if x.ndim > 2 else torch.from_numpy(x)
    (found,) = Forward(graph)({start: given}).values()
    return np.moveaxis(found.numpy(), 1, -1) if found.ndim > 2 else found.numpy()


def of(name: str, **kwargs: Any) -> Any:
    return function(name, [*X, {**kwargs, "name": None}])


def halved(x: Array) -> Array:
    """Halved by bilinear interpolation: between centres, the mean of four."""
    return x.reshape(len(x), 2, 2, 3, 2, 3).mean((2, 4))


FUNCTIONS: dict[str, tuple[Any, Callable[[Array], Array]]] = {
    "add": (of("__operators__.add", y=1.0), lambda x: x + 1),
    "add to itself": (of("math.add", y=["x", 0, 0]), lambda x: x + x),
    "subtract": (of("math.subtract", y=127.5), lambda x: x - 127.5),
    "constant first": (
        function("math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0], "name": None}]),
        lambda x: 1 - x,
    ),
    "multiply by a list": (of("math.multiply", y=[[[SCALES]]]), lambda x: x * np.array(SCALES)),
    "divide": (of("math.truediv", y=127.5), lambda x: x / 127.5),
    "negative": (of("math.negative"), lambda x: -x),
    "relu": (of("nn.relu"), lambda x: np.maximum(x, 0)),
    "relu6": (of("nn.relu6"), lambda x: np.clip(x, 0, 6)),
    "maximum": (of("math.maximum", y=0.25), lambda x: np.maximum(x, 0.25)),
    "clip": (of("clip_by_value", clip_value_min=-0.5, clip_value_max=1.0), lambda x: np.clip(x, -0.5, 1)),
    "greater, cast": (of("math.greater", y=0.25), lambda x: (x > 0.25).astype(np.float32)),
    "sign": (of("math.sign"), np.sign),
    "concat": (
        function("concat", [["x", 0, 0, {"axis": -1}], ["x", 0, 0, {"axis": -1}]]),
        lambda x: np.concatenate([x, x], -1),
    ),
    "add_n": (function("add_n", [["x", 0, 0, {}], ["x", 0, 0, {}], ["x", 0, 0, {}]]), lambda x: 3 * x),
    "reshape": (of("reshape", shape=[-1, 6, 12]), lambda x: x.reshape(-1, 6, 12)),
    "reshape, a tuple": (
        of("reshape", shape={"class_name": "__tuple__", "items": [-1, 72]}),
        lambda x: x.reshape(-1, 72),
    ),
    "transpose": (of("compat.v1.transpose", perm=[0, 2, 1, 3]), lambda x: x.transpose(0, 2, 1, 3)),
    "expand and squeeze": (of("compat.v1.squeeze", axis=None), lambda x: x),
    "item": (
        of(
            "__operators__.getitem",
            slice_spec=[
                {"start": None, "stop": None, "step": None},
                {"start": 1, "stop": None, "step": None},
                {"class_name": "__ellipsis__"},
                {"start": None, "stop": None, "step": 2},
            ],
        ),
        lambda x: x[:, 1:, ..., ::2],
    ),
    "mean": (of("math.reduce_mean", axis=[1, 2], keepdims=False), lambda x: x.mean((1, 2))),
    "mean, kept": (of("math.reduce_mean", axis=[1, 2], keepdims=True), lambda x: x.mean((1, 2), keepdims=True)),
    "sum": (of("math.reduce_sum", axis=-1), lambda x: x.sum(-1)),
    "max": (of("math.reduce_max", axis=[1, 2]), lambda x: x.max((1, 2))),
    "pad": (
        of("compat.v1.pad", paddings=[[0, 0], [1, 1], [2, 0], [0, 0]], mode="CONSTANT", constant_values=0.5),
        lambda x: np.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0)), constant_values=0.5),
    ),
    "pad, reflected": (
        of("pad", paddings=[[0, 0], [1, 1], [2, 0], [0, 0]], mode="REFLECT", constant_values=0),
        lambda x: np.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0)), mode="reflect"),
    ),
    "pad, symmetric": (
        of("pad", paddings=[[0, 0], [2, 0], [0, 0], [0, 0]], mode="SYMMETRIC"),
        lambda x: np.pad(x, ((0, 0), (2, 0), (0, 0), (0, 0)), mode="symmetric"),
    ),
    "resize, nearest": (of("image.resize", size=[8, 12], method="nearest"), lambda x: x.repeat(2, 1).repeat(2, 2)),
    "resize, bilinear": (of("image.resize", size=[2, 3], method="bilinear"), halved),
    "flip": (of("image.flip_left_right"), lambda x: x[:, :, ::-1]),
    "reverse": (of("reverse", axis=[1]), lambda x: x[:, ::-1]),
    "tile": (of("tile", multiples=[1, 2, 1, 1]), lambda x: np.tile(x, (1, 2, 1, 1))),
    "gather": (of("compat.v1.gather", indices=[2, 0], axis=3), lambda x: x[..., [2, 0]]),
    "split": (of("split", num_or_size_splits=[1, 2], axis=-1), lambda x: x[..., :1]),
    "matmul": (of("linalg.matmul", b=np.eye(3)[:, :2].tolist()), lambda x: x[..., :2]),
    "cumsum": (of("math.cumsum", axis=1), lambda x: x.cumsum(1)),
    "leaky": (of("nn.leaky_relu", alpha=0.1), lambda x: np.where(x > 0, x, np.float32(0.1) * x)),
    "absolute": (of("math.abs"), np.abs),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_tensorflow(name: str, tmp_path: Path) -> None:
    entry, expected = FUNCTIONS[name]
    graph = sw.load(saved(tmp_path / "old.h5", SHAPE, [entry], [entry["name"]]))
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    x[0, 0] = 0
    np.testing.assert_allclose(answers(graph, x), expected(x), rtol=1e-5, atol=1e-5)


def test_a_choice_by_comparison(tmp_path: Path) -> None:
    layers = [
        of("math.greater", y=0.25),
        function("where", ["tf.math.greater", 0, 0, {"x": ["x", 0, 0], "y": 0.25, "name": None}]),
    ]
    graph = sw.load(saved(tmp_path / "old.h5", SHAPE, layers, ["tf.where"]))
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(answers(graph, x), np.maximum(x, 0.25), atol=1e-6)
    assert len(graph.of_type(ReLU)) == 1
    assert not graph.of_type(Floor)


def test_a_network_as_keras_2_wrote_it(tmp_path: Path) -> None:
    """Preprocessing by operators, a branch around a convolution, a mean over the map."""
    random = np.random.default_rng(1)
    kernel, bias = random.normal(size=(3, 3, 3, 3)).astype(np.float32) / 3, random.normal(size=3).astype(np.float32)
    dense, shift = random.normal(size=(3, 5)).astype(np.float32), random.normal(size=5).astype(np.float32)
    conv = {"filters": 3, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last"}
    conv |= {"dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": True}
    layers = [
        function("math.truediv", ["x", 0, 0, {"y": 127.5, "name": None}]),
        function("math.subtract", ["tf.math.truediv", 0, 0, {"y": 1.0, "name": None}]),
        layer("Conv2D", "conv", "tf.math.subtract", **conv),
        function("nn.relu", ["conv", 0, 0, {"name": None}]),
        function("__operators__.add", ["tf.nn.relu", 0, 0, {"y": ["tf.math.subtract", 0, 0], "name": None}]),
        function("math.reduce_mean", ["tf.__operators__.add", 0, 0, {"axis": [1, 2], "keepdims": False}]),
        layer("Dense", "dense", "tf.math.reduce_mean", units=5, activation="hard_sigmoid", use_bias=True),
    ]
    weights = {"conv": {"kernel": kernel, "bias": bias}, "dense": {"kernel": dense, "bias": shift}}
    graph = sw.load(saved(tmp_path / "old.h5", SHAPE, layers, ["dense"], weights))
    x = random.uniform(0, 255, (4, *SHAPE)).astype(np.float32)
    moved = torch.from_numpy(np.moveaxis(x, -1, 1).copy()) / 127.5 - 1
    wide = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    body = torch.conv2d(moved, wide, torch.from_numpy(bias), padding=1).relu() + moved
    logits = body.mean((2, 3)) @ torch.from_numpy(dense) + torch.from_numpy(shift)
    np.testing.assert_allclose(answers(graph, x), (0.2 * logits + 0.5).clamp(0, 1), atol=1e-5)
    assert sw.simulate(converted(graph, x), np.moveaxis(x, -1, 1), 8).output.shape[-1] == 5


def converted(graph: Graph, x: Array) -> Any:
    folded, _ = sw.prepare(graph)
    method = sw.calibration.Max()
    return sw.convert(graph, sw.calibrate(folded, np.moveaxis(x, -1, 1).copy(), [method]).scales(method))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("math.exp", "Exp at 'tf.math.exp': use a ReLU"),
        ("math.square", "multiplies activations with each other"),
        ("nn.gelu", "use a ReLU"),
        ("linalg.inv", "tf.linalg.inv at 'tf.linalg.inv': it has no spiking counterpart"),
        ("math.equal", "compare with < or >"),
    ],
)
def test_what_has_no_spiking_form_is_refused_by_name(name: str, why: str, tmp_path: Path) -> None:
    entry = of(name, **({"y": 1.0} if name == "math.equal" else {}))
    path = saved(tmp_path / "old.h5", SHAPE, [entry, layer("Flatten", "flat", entry["name"])], ["flat"])
    with pytest.raises(UnsupportedModelError) as error:
        sw.load(path)
    assert why in str(error.value)


def test_an_argument_that_no_rule_reads_is_refused(tmp_path: Path) -> None:
    entry = of("image.resize", size=[8, 12], method="nearest", preserve_aspect_ratio=True)
    with pytest.raises(UnsupportedModelError, match="preserve_aspect_ratio"):
        sw.load(saved(tmp_path / "old.h5", SHAPE, [entry], [entry["name"]]))


@pytest.mark.parametrize(("version", "slope"), [("2.15.0", 0.2), ("3.3.0", 1 / 6)])
def test_a_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file(version: str, slope: float, tmp_path: Path) -> None:
    entry = layer("Activation", "act", "x", activation="hard_sigmoid")
    graph = sw.load(saved(tmp_path / "old.h5", SHAPE, [entry], ["act"], version=version))
    x = np.linspace(-4, 4, 72, dtype=np.float32).reshape(1, *SHAPE)
    np.testing.assert_allclose(answers(graph, x), np.clip(slope * x + 0.5, 0, 1), atol=1e-6)


def test_keras_3_is_told_apart_from_the_keras_that_wrote_the_file(tmp_path: Path) -> None:
    entry = layer("Activation", "act", "x", activation="hard_sigmoid")
    path = saved(tmp_path / "old.h5", SHAPE, [entry], ["act"])
    with pytest.raises(GraphError, match=r"Keras 2\.15\.0, which wrote the file, computes hard_sigmoid otherwise"):
        sw.load(path, verify=True)


def test_a_hard_sigmoid_of_nobody_knows_whom_is_refused(tmp_path: Path) -> None:
    entry = layer("Activation", "act", "x", activation="hard_sigmoid")
    with pytest.raises(UnsupportedModelError, match="Keras 2 and Keras 3 define it differently"):
        sw.load(saved(tmp_path / "old.h5", SHAPE, [entry], ["act"], version=None))
