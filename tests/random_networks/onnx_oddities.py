"""Operators of ONNX that may be refused; those that are not must be exact."""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from random_networks.onnx_drawing import PROBE, Drawing


def _since(opset: int, rule: Callable[[Drawing, str, tuple[int, ...]], bool]) -> Any:
    return lambda d, x, s: d.opset >= opset and rule(d, x, s)


def _nearest(factor: float, **attributes: str) -> Any:
    """A ``Resize`` of every axis of a picture by one factor."""
    return _since(
        11,
        lambda d, x, s: d.operator(
            "Resize", x, d.constant([]), d.constant((1, 1, *(factor for _ in s[1:]))), mode="nearest", **attributes
        ),
    )


def _of_shape(d: Drawing, x: str, *steps: Any) -> list[onnx.NodeProto]:
    """Operators on the shape of a value: (kind, inputs, output, attributes), ``S`` standing for the shape."""
    k = len(d.nodes)
    made = [helper.make_node("Shape", [x], [f"S{k}"])]
    for kind, inputs, output, attributes in steps:
        names = [f"{i}{k}" if i[0].isupper() else i for i in inputs]
        made.append(helper.make_node(kind, names, [f"{output}{k}"], **attributes))
    return made


def _times_batch(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    k = len(d.nodes)
    steps = _of_shape(
        d,
        x,
        ("Gather", ["S", d.constant(0, np.int64)], "G", {"axis": 0}),
        ("Cast", ["G"], "F", {"to": TensorProto.FLOAT}),
    )
    return d.operator(d.chance.pick("Mul", "Add", "Div"), x, f"F{k}", before=steps)


def _filled_batch(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    k = len(d.nodes)
    steps = _of_shape(d, x, ("ConstantOfShape", ["S"], "Z", {}))
    return d.operator("Add", x, f"Z{k}", before=steps)


def _expanded_batch(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    k = len(d.nodes)
    steps = _of_shape(d, x, ("Expand", [d.constant([1.0]), "S"], "E", {}))
    return d.operator("Add", x, f"E{k}", before=steps)


def _shape_elsewhere(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    """The batch in the middle of a shape."""
    k = len(d.nodes)
    steps = _of_shape(
        d,
        x,
        ("Gather", ["S", d.ints(0)], "B", {"axis": 0}),
        ("Concat", [d.ints(-1), "B"], "T", {"axis": 0}),
    )
    return d.operator("Reshape", x, f"T{k}", before=steps)


def _infinite(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    k = len(d.nodes)
    before = [helper.make_node("Div", [d.constant([1.0]), d.constant([0.0])], [f"I{k}"])]
    if d.chance.happens(0.5):
        before.append(helper.make_node("Div", [d.constant([1.0]), f"I{k}"], [f"J{k}"]))
        return d.operator("Add", x, f"J{k}", before=before)
    return d.operator("Mul", x, f"I{k}", before=before)


def _whole_numbers(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    k = len(d.nodes)
    to = d.chance.pick(TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8)
    before = [helper.make_node("Cast", [x], [f"W{k}"], to=to)]
    return d.operator("Cast", f"W{k}", to=TensorProto.FLOAT, before=before)


def _integer_division(d: Drawing, x: str, s: tuple[int, ...]) -> bool:
    """Whole numbers divided while reading: 7 / 2 is 3 there."""
    k = len(d.nodes)
    before = [
        helper.make_node("Div", [d.ints(-7), d.ints(2)], [f"Q{k}"]),
        helper.make_node("Cast", [f"Q{k}"], [f"R{k}"], to=TensorProto.FLOAT),
    ]
    return d.operator("Add", x, f"R{k}", before=before)


ODD: tuple[tuple[str, Callable[[Drawing, str, tuple[int, ...]], bool]], ...] = (
    ("times the batch", _times_batch),
    ("filled for the batch", _filled_batch),
    ("expanded for the batch", _expanded_batch),
    ("the batch elsewhere", _shape_elsewhere),
    ("infinite constants", _infinite),
    ("whole numbers", _whole_numbers),
    ("integer division", _integer_division),
    ("clip", _since(11, lambda d, x, s: d.operator("Clip", x, d.constant(-1.0), d.constant(1.0)))),
    ("clip turned round", _since(11, lambda d, x, s: d.operator("Clip", x, d.constant(2.0), d.constant(1.0)))),
    ("clip above", _since(11, lambda d, x, s: d.operator("Clip", x, "", d.constant(1.0)))),
    ("max that widens", lambda d, x, s: d.operator("Max", x, d.constant(np.zeros((4, *(1 for _ in s), 1))))),
    ("max in a row", lambda d, x, s: d.operator("Max", x, d.constant(np.zeros((5, 1, 1))))),
    ("max of samples", lambda d, x, s: d.operator("Max", x, d.constant(np.zeros((PROBE, *(1 for _ in s)))))),
    ("min of one", lambda d, x, s: d.operator("Min", x)),
    ("min alone", lambda d, x, s: d.operator("Min", x, d.constant(1.0))),
    ("max of three", lambda d, x, s: d.operator("Max", x, d.constant(0.0), d.constant(1.0))),
    ("thresholded", _since(10, lambda d, x, s: d.operator("ThresholdedRelu", x, alpha=2.0))),
    ("thresholded at zero", _since(10, lambda d, x, s: d.operator("ThresholdedRelu", x, alpha=0.0))),
    ("sigmoid", lambda d, x, s: d.operator("Sigmoid", x)),
    ("hard sigmoid", lambda d, x, s: d.operator("HardSigmoid", x, alpha=1.0, beta=0.0)),
    ("selu", lambda d, x, s: d.operator("Selu", x)),
    ("floor", lambda d, x, s: d.operator("Floor", x)),
    ("round", _since(11, lambda d, x, s: d.operator("Round", x))),
    ("softmax", lambda d, x, s: d.operator("Softmax", x, axis=len(s))),
    ("softmax by default", lambda d, x, s: d.operator("Softmax", x)),
    ("softmax of the batch", lambda d, x, s: d.operator("Softmax", x, axis=0)),
    ("negative", lambda d, x, s: d.operator("Neg", x)),
    ("power", _since(12, lambda d, x, s: d.operator("Pow", x, d.constant(2.0)))),
    ("division by zero", lambda d, x, s: d.operator("Div", x, d.constant(0.0))),
    ("division by next to nothing", lambda d, x, s: d.operator("Div", x, d.constant(1e-42))),
    ("division of one", lambda d, x, s: d.operator("Div", d.constant(1.0), x)),
    ("constant that widens", lambda d, x, s: d.operator("Add", x, d.constant(np.ones((2, *(1 for _ in s)))))),
    ("constant with an axis more", lambda d, x, s: d.operator("Mul", x, d.constant(np.ones((1, 1, *(1 for _ in s)))))),
    (
        "constant of samples",
        lambda d, x, s: d.operator("Add", x, d.constant(np.arange(PROBE).reshape(-1, *(1 for _ in s)))),
    ),
    ("row and column", lambda d, x, s: d.operator("Sub", x, x + "") if len(s) < 1 else d.operator("Add", x, "x")),
    ("product", lambda d, x, s: d.operator("Mul", x, x)),
    ("mixes samples", lambda d, x, s: d.operator("Reshape", x, d.ints(-1, s[-1]))),
    ("one row", lambda d, x, s: d.operator("Reshape", x, d.ints(1, -1))),
    ("one row of so many", lambda d, x, s: d.operator("Reshape", x, d.ints(1, PROBE * int(np.prod(s))))),
    ("three rows", lambda d, x, s: d.operator("Reshape", x, d.ints(PROBE, -1))),
    ("flattens all", lambda d, x, s: d.operator("Flatten", x, axis=0)),
    ("flattens later", lambda d, x, s: d.operator("Flatten", x, axis=2)),
    ("zeros meant", _since(14, lambda d, x, s: d.operator("Reshape", x, d.ints(0, -1), allowzero=0))),
    ("turned batch", lambda d, x, s: d.operator("Transpose", x, perm=[1, 0, *range(2, len(s) + 1)])),
    ("turned round", lambda d, x, s: d.operator("Transpose", x)),
    ("reduces the batch", lambda d, x, s: d.axes_of("ReduceSum", 13, x, [0])),
    ("reduces all", lambda d, x, s: d.operator("ReduceMean", x)),
    (
        "reduces nothing",
        _since(13, lambda d, x, s: d.operator("ReduceSum", x, d.constant([], np.int64), noop_with_empty_axes=1)),
    ),
    ("reduces a sample", lambda d, x, s: d.axes_of("ReduceSum", 13, x, list(range(1, len(s) + 1)))),
    ("first sample", _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0), d.ints(1), d.ints(0)))),
    ("all samples", _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0), d.ints(2**62), d.ints(0)))),
    (
        "every other sample",
        _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0), d.ints(9), d.ints(0), d.ints(2))),
    ),
    (
        "backwards",
        _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(-1), d.ints(-(2**40)), d.ints(1), d.ints(-1))),
    ),
    (
        "every other channel",
        _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0), d.ints(99), d.ints(1), d.ints(2))),
    ),
    ("two axes", _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0, 1), d.ints(99, 99), d.ints(1, len(s))))),
    ("without axes", _since(10, lambda d, x, s: d.operator("Slice", x, d.ints(0, 1), d.ints(99, 99)))),
    ("gathered", lambda d, x, s: d.operator("Gather", x, d.ints(0), axis=1)),
    ("gathered samples", lambda d, x, s: d.operator("Gather", x, d.ints(0), axis=0)),
    ("joined with a constant", lambda d, x, s: d.operator("Concat", x, d.constant(np.zeros((PROBE, *s))), axis=1)),
    ("joined samples", lambda d, x, s: d.operator("Concat", x, x, axis=0)),
    ("tiled", lambda d, x, s: d.operator("Tile", x, d.ints(1, *(2 for _ in s)))),
    ("expanded", lambda d, x, s: d.operator("Expand", x, d.ints(1, 2, *(1 for _ in s)))),
    ("expanded samples", lambda d, x, s: d.operator("Expand", x, d.ints(PROBE, *s))),
    (
        "padded with ones",
        _since(
            11, lambda d, x, s: d.operator("Pad", x, d.ints(*(0 for _ in s), 0, *(1 for _ in s), 0), d.constant(1.0))
        ),
    ),
    (
        "reflected",
        _since(
            11, lambda d, x, s: d.operator("Pad", x, d.ints(0, *(0 for _ in s), 0, *(1 for _ in s)), mode="reflect")
        ),
    ),
    ("padded batch", _since(11, lambda d, x, s: d.operator("Pad", x, d.ints(1, *(0 for _ in s), 0, *(0 for _ in s))))),
    (
        "linear",
        _since(11, lambda d, x, s: d.operator("Resize", x, "", d.constant((1, 1, *(2 for _ in s[1:]))), mode="linear")),
    ),
    ("nearest by corners", _nearest(2, coordinate_transformation_mode="align_corners")),
    ("nearest above", _nearest(2, nearest_mode="ceil")),
    ("nearest floor of halves", _nearest(3, nearest_mode="floor")),
    ("broken factor", _nearest(1.7)),
    (
        "dropout that drops",
        _since(12, lambda d, x, s: d.operator("Dropout", x, d.constant(0.5), d.constant(True, np.bool_))),
    ),
    (
        "norm in training",
        _since(
            14,
            lambda d, x, s: d.operator(
                "BatchNormalization", x, *(d.constant(np.ones(s[0])) for _ in range(4)), training_mode=1
            ),
        ),
    ),
    (
        "instance norm",
        lambda d, x, s: d.operator("InstanceNormalization", x, d.constant(np.ones(s[0])), d.constant(np.ones(s[0]))),
    ),
    ("lrn", lambda d, x, s: d.operator("LRN", x, size=1)),
    (
        "dilated mean",
        _since(
            19,
            lambda d, x, s: d.operator("AveragePool", x, kernel_shape=[2] * (len(s) - 1), dilations=[2] * (len(s) - 1)),
        ),
    ),
    (
        "windows apart",
        lambda d, x, s: d.operator(
            "MaxPool",
            x,
            kernel_shape=[1] * (len(s) - 1),
            strides=[3] * (len(s) - 1),
            auto_pad=d.chance.pick("SAME_UPPER", "SAME_LOWER"),
        ),
    ),
    (
        "windows wide apart",
        lambda d, x, s: d.operator(
            "Conv",
            x,
            d.constant(np.ones((1, s[0], *(1 for _ in s[1:])))),
            strides=[3] * (len(s) - 1),
            auto_pad=d.chance.pick("SAME_UPPER", "SAME_LOWER"),
        ),
    ),
    (
        "dilated windows",
        _since(
            10,
            lambda d, x, s: d.operator(
                "MaxPool", x, kernel_shape=[2] * (len(s) - 1), dilations=[2] * (len(s) - 1), auto_pad="SAME_UPPER"
            ),
        ),
    ),
    ("lp pool", lambda d, x, s: d.operator("LpPool", x, kernel_shape=[2] * (len(s) - 1))),
    ("matrix on the left", lambda d, x, s: d.operator("MatMul", d.constant(np.ones((2, s[0]))), x)),
    ("matrices", lambda d, x, s: d.operator("MatMul", x, d.constant(np.ones((PROBE, s[-1], 2))))),
    ("vector", lambda d, x, s: d.operator("MatMul", x, d.constant(np.ones(s[-1])))),
    ("turned gemm", lambda d, x, s: d.operator("Gemm", x, d.constant(np.ones((PROBE, 2))), transA=1)),
    (
        "gemm of rows",
        _since(
            11,
            lambda d, x, s: d.operator(
                "Gemm", x, d.constant(np.ones((s[0], 2))), d.constant(np.arange(PROBE).reshape(-1, 1))
            ),
        ),
    ),
    (
        "transposed same",
        lambda d, x, s: d.operator(
            "ConvTranspose",
            x,
            d.constant(np.ones((s[0], 1, *(3 for _ in s[1:])))),
            strides=[2 for _ in s[1:]],
            auto_pad=d.chance.pick("SAME_UPPER", "SAME_LOWER"),
        ),
    ),
    (
        "transposed to a shape",
        lambda d, x, s: d.operator(
            "ConvTranspose",
            x,
            d.constant(np.ones((s[0], 1, *(3 for _ in s[1:])))),
            strides=[2 for _ in s[1:]],
            output_shape=[2 * n for n in s[1:]],
        ),
    ),
    ("where", lambda d, x, s: d.operator("Where", d.constant(True, np.bool_), x, d.constant(0.0))),
    ("half", lambda d, x, s: d.operator("Max", x, x)),
    ("squeezes all", lambda d, x, s: d.operator("Squeeze", x)),
    (
        "einsum",
        _since(12, lambda d, x, s: d.operator("Einsum", x, d.constant(np.ones((s[-1], 2))), equation="...i,ij->...j")),
    ),
)
