"""Random ONNX models of all operator sets: constants folded on the way, shapes computed from shapes, and oddities.

A model is drawn operator by operator and run by ONNX Runtime, or by ONNX's own reference where that is not installed,
on a batch of three: what that does not take is drawn again.
"""

# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from random_networks.drawing import Array, Chance, Network, draw_blocks

PROBE = 3
OPSETS = (9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 21)


def evaluated(model: onnx.ModelProto) -> Callable[[dict[str, Array]], list[Array]]:
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return lambda feeds: ReferenceEvaluator(model).run(None, feeds)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


class Drawing:
    """Draws a model operator by operator; ``at`` names the value that the next one reads."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.opset = self.chance.pick(*OPSETS)
        shapes = [self.chance.sample_shape()]
        if self.chance.happens(0.1):
            shapes.append(shapes[0])
        self.inputs = {f"x{k}" if k else "x": shape for k, shape in enumerate(shapes)}
        self.batch: Any = self.chance.pick("N", "N", "N", None, PROBE)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, tuple[int, ...]] = {k: (PROBE, *s) for k, s in self.inputs.items()}
        self.at = "x"
        self.odd: list[str] = []
        self.story: list[str] = []

    @property
    def sample(self) -> tuple[int, ...]:
        return self.shapes[self.at][1:]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A stored tensor, or a Constant of its own, or one that is computed."""
        array, name = np.asarray(value, dtype), f"c{len(self.constants) + len(self.nodes)}"
        while name in self.constants:
            name += "_"
        self.constants[name] = array
        if self.chance.happens(0.1) and array.dtype == np.float32:
            self.nodes.append(helper.make_node("Identity", [name], [f"{name}_same"]))
            return f"{name}_same"
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64), np.int64)

    def model(self, outputs: Sequence[str], nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
        graph = helper.make_graph(
            list(nodes),
            "drawn",
            [helper.make_tensor_value_info(k, TensorProto.FLOAT, [self.batch, *s]) for k, s in self.inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(v, k) for k, v in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def operator(
        self, kind: str, *inputs: str, outputs: int = 1, before: Sequence[Any] = (), **attributes: Any
    ) -> bool:
        """Add an operator if ONNX takes it there."""
        names = [f"v{len(self.shapes)}_{k}" for k in range(outputs)]
        try:
            made = helper.make_node(kind, list(inputs), names, name=f"{kind}_{len(self.nodes)}", **attributes)
            nodes = [*self.nodes, *before, made]
            feeds = {
                k: np.random.default_rng(0).normal(size=(PROBE, *s)).astype(np.float32) for k, s in self.inputs.items()
            }
            found = evaluated(self.model(names, nodes))(feeds)
        except Exception:
            return False
        if any(not 0 < y.size <= 6000 or y.dtype != np.float32 or y.ndim == 0 for y in found):
            return False
        self.nodes = nodes
        for name, y in zip(names, found, strict=True):
            self.shapes[name] = y.shape
        self.at = self.chance.pick(*names)
        self.story.append(f"{kind} {list(inputs)} {attributes} -> {[y.shape for y in found]}")
        return True

    def axes_of(self, kind: str, since: int, x: str, axes: Sequence[int], **attributes: Any) -> bool:
        """An operator whose axes are an attribute, or since some operator set an input."""
        if self.opset >= since:
            return self.operator(kind, x, self.ints(*axes), **attributes)
        return self.operator(kind, x, axes=list(axes), **attributes)


def window(d: Drawing, axes: int, dilated: bool = False) -> dict[str, Any]:
    c = d.chance
    kernel = c.ints(axes, 1, 3)
    strides = tuple(c.between(1, min(k + 1, 3)) for k in kernel)
    found: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    if dilated and c.happens(0.3):
        found["dilations"] = c.ints(axes, 1, 2)
    way = c.pick("none", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")
    if way == "pads":
        found["pads"] = [c.between(0, k - 1) for k in (*kernel, *kernel)]
    elif way == "VALID" or (
        way != "none" and "dilations" not in found and all(s <= k for k, s in zip(kernel, strides, strict=True))
    ):
        found["auto_pad"] = way  # of other windows runtimes have views of their own
    if any(k > n for k, n in zip(kernel, d.sample[1:], strict=True)):  # runtimes round such shapes towards zero
        return {"kernel_shape": (1,) * axes}
    return found


def plain(d: Drawing) -> bool:
    c, x, sample = d.chance, d.at, d.sample
    if d.shapes[x][0] != PROBE or not sample:
        d.at = c.pick(*d.inputs)
        return False
    axes, kind = len(sample) - 1, c.pick(*PLAIN)
    spatial = 1 <= axes <= 3
    if kind == "Conv" and spatial:
        group = c.divisor(sample[0]) if c.happens(0.4) else 1
        settings = window(d, axes, dilated=True)
        weight = c.weights(group * c.between(1, 3), sample[0] // group, *settings["kernel_shape"])
        bias = [d.constant(c.normal(len(weight)))] if c.happens(0.6) else []
        if c.happens(0.3):
            del settings["kernel_shape"]
        return d.operator("Conv", x, d.constant(weight), *bias, group=group, **settings)
    if kind == "ConvTranspose" and spatial:
        group = c.divisor(sample[0]) if c.happens(0.3) else 1
        strides, kernel = c.ints(axes, 1, 3), c.ints(axes, 1, 3)
        settings = {"strides": strides, "dilations": c.ints(axes, 1, 2)}
        if c.happens(0.4):
            settings["output_padding"] = [c.between(0, s - 1) for s in strides]
        if c.happens(0.4):
            settings["pads"] = c.ints(2 * axes, 0, 1)
        weight = c.weights(sample[0], c.between(1, 2), *kernel)
        return d.operator("ConvTranspose", x, d.constant(weight), group=group, **settings)
    if kind == "Gemm" and not axes:
        outputs, turned = c.between(1, 8), c.happens(0.5)
        weight = c.weights(*((outputs, sample[0]) if turned else (sample[0], outputs)))
        shape = c.pick((outputs,), (1, outputs), (1,), (1, 1))
        bias = [d.constant(c.normal(*shape))] if d.opset >= 11 and c.happens(0.8) else [d.constant(np.zeros(outputs))]
        factors = {"alpha": c.pick(1.0, 0.5, -2.0), "beta": c.pick(1.0, 3.0, 0.0)} if c.happens(0.4) else {}
        return d.operator("Gemm", x, d.constant(weight), *bias, transB=int(turned), **factors)
    if kind == "MatMul" and axes <= 3:
        matrix = c.weights(sample[-1], c.between(1, 6))
        return d.operator("MatMul", x, d.constant(matrix if c.happens(0.8) or not axes else matrix[None]))
    if kind == "BatchNormalization" and axes <= 3:
        n = sample[0]
        values = [c.normal(n), c.normal(n), c.normal(n), np.abs(c.normal(n)) + c.pick(0.0, 0.1)]
        settings = c.pick({}, {"epsilon": 1e-2}, {"momentum": 0.5})
        return d.operator("BatchNormalization", x, *(d.constant(v) for v in values), **settings)
    if kind == "Relu":
        return rectified(d)
    if kind == "MaxPool" and spatial:
        settings = window(d, axes, dilated=d.opset >= 10)
        if d.opset >= 10 and c.happens(0.4):
            settings["ceil_mode"] = 1
        if c.happens(0.2):
            settings["storage_order"] = 1
        return d.operator("MaxPool", x, **settings)
    if kind == "AveragePool" and spatial:
        settings = {**window(d, axes), "count_include_pad": c.between(0, 1)}
        if d.opset >= 10 and c.happens(0.4):
            settings["ceil_mode"] = 1
        return d.operator("AveragePool", x, **settings)
    if kind == "Global" and axes:
        return d.operator(c.pick("GlobalAveragePool", "GlobalMaxPool"), x)
    if kind == "Reduce" and 1 <= axes <= 3:
        chosen = [a for a in range(1, axes + 2) if c.happens(0.6)]
        if not 0 < len(chosen) <= axes:
            return False
        named = [a - axes - 2 if c.happens(0.3) and d.opset >= 11 else a for a in chosen]
        which = c.pick("ReduceMean", "ReduceSum", "ReduceMax")
        since = {"ReduceSum": 13}.get(which, 18)
        settings = {"keepdims": c.between(0, 1)} if c.happens(0.7) else {}
        return d.axes_of(which, since, x, named, **settings)
    if kind == "Flatten":
        return d.operator("Flatten", x, **({"axis": -axes - 1} if d.opset >= 11 and c.happens(0.3) else {}))
    if kind == "Reshape":
        return reshaped(d)
    if kind == "Transpose":
        return d.operator("Transpose", x, perm=[0, *(n + 1 for n in c.order(axes + 1))])
    if kind == "Unsqueeze":
        return d.axes_of("Unsqueeze", 13, x, [c.between(1, axes + 2)])
    if kind == "Squeeze" and 1 in sample[1:]:
        return d.axes_of("Squeeze", 13, x, [1 + sample.index(1, 1)])
    if kind == "Arithmetic":
        shape = c.pick((), (1,), (sample[0], *(1,) * axes), (1, sample[0], *(1,) * axes), sample, (1, *sample))
        value = c.normal(*shape)
        which = c.pick("Add", "Sub", "Mul", "Div", "Sum")
        if which == "Div":
            return d.operator("Div", x, d.constant(value + np.float32(4)))
        pair = (x, d.constant(value))
        return d.operator(which, *(pair if c.happens(0.6) else pair[::-1]))
    if kind == "Add":
        alike = [name for name, shape in d.shapes.items() if shape == d.shapes[x]]
        other = c.pick(*alike)
        return d.operator(c.pick("Add", "Sub", "Sum"), x, other)
    if kind == "Concat":
        place = c.between(1, axes + 1)
        fits = [
            n
            for n, s in d.shapes.items()
            if len(s) == axes + 2 and s[:place] + s[place + 1 :] == d.shapes[x][:place] + d.shapes[x][place + 1 :]
        ]
        axis = place - axes - 2 if d.opset >= 11 and c.happens(0.3) else place
        return d.operator("Concat", x, c.pick(*fits), axis=axis)
    if kind == "Split":
        place = c.between(1, axes + 1)
        n = d.shapes[x][place]
        if n < 2:
            return False
        first = c.between(1, n - 1)
        if c.happens(0.5) and n % 2 == 0 and d.opset < 18:
            return d.operator("Split", x, outputs=2, axis=place)
        if d.opset >= 18 and c.happens(0.5):
            return d.operator("Split", x, outputs=2, axis=place, num_outputs=2)
        if d.opset >= 13:
            return d.operator("Split", x, d.ints(first, n - first), outputs=2, axis=place)
        return d.operator("Split", x, outputs=2, axis=place, split=[first, n - first])
    if kind == "Slice":
        return sliced(d)
    if kind == "Pad":
        pads = [0, *c.ints(axes + 1, -1, 2), 0, *c.ints(axes + 1, -1, 2)]
        if d.opset < 11:
            return d.operator("Pad", x, pads=pads)
        if d.opset >= 18 and c.happens(0.4):
            return d.operator("Pad", x, d.ints(*pads[1:2], *pads[axes + 3 : axes + 4]), "", d.ints(1))
        value = [d.constant(0.0)] if c.happens(0.5) else []
        return d.operator("Pad", x, d.ints(*pads), *value)
    if kind == "Resize" and spatial and np.prod(sample) < 300:
        return resized(d)
    if kind == "Depth" and axes == 2:
        if c.happens(0.5):
            return d.operator("SpaceToDepth", x, blocksize=2)
        return d.operator("DepthToSpace", x, blocksize=2, **({"mode": c.pick("DCR", "CRD")} if d.opset >= 11 else {}))
    if kind == "Dropout":
        ratio = {"ratio": 0.3} if d.opset < 12 else {}
        return d.operator(c.pick("Dropout", "Identity"), x, **(ratio if c.happens(0) else {}))
    if kind == "Cast":
        return d.operator("Cast", x, to=TensorProto.FLOAT)
    if kind == "Leaky":
        if c.happens(0.5):
            return d.operator("LeakyRelu", x, **({"alpha": c.pick(0.2, -0.5, 1.5, 0.0)} if c.happens(0.7) else {}))
        shape = c.pick((1,), (sample[0], *(1,) * axes), sample)
        return d.operator("PRelu", x, d.constant(c.normal(*shape)))
    if kind == "Expand":
        return d.operator("Expand", x, d.ints(1, *(1 for _ in sample)))
    if kind == "branch":
        d.at = c.pick(*(n for n, s in d.shapes.items() if s[0] == PROBE and len(s) > 1))
        return True
    return False


PLAIN = (
    *("Conv", "Conv", "Conv", "Gemm", "Gemm", "MatMul", "BatchNormalization", "Relu", "Relu", "Relu", "Relu"),
    *("MaxPool", "AveragePool", "ConvTranspose", "Global", "Reduce", "Flatten", "Reshape", "Reshape", "Transpose"),
    *("Unsqueeze", "Squeeze", "Arithmetic", "Arithmetic", "Add", "Concat", "Split", "Slice", "Slice", "Pad"),
    *("Resize", "Depth", "Dropout", "Cast", "Leaky", "Expand", "branch"),
)


def rectified(d: Drawing) -> bool:
    c, x = d.chance, d.at
    way = c.between(0, 5)
    if way < 3:
        return d.operator("Relu", x)
    if way == 3:
        return d.operator("Max", *c.pick((x, d.constant(0.0)), (d.constant(0.0), x)))
    if d.opset < 11:
        return d.operator("Clip", x, min=0.0, max=c.pick(6.0, 1.5, 3.4e38))
    return d.operator("Clip", x, d.constant(0.0), *([d.constant(2.0)] if c.happens(0.7) else []))


def reshaped(d: Drawing) -> bool:
    """As exporters write it: with the batch open, copied, or put together from the shape of what is reshaped."""
    c, x, sample = d.chance, d.at, d.sample
    size = int(np.prod(sample))
    first = c.divisor(size)
    rest = c.pick((size,), (first, size // first), (1, size), (first, size // first, 1))
    way = c.between(0, 4)
    if way == 0:
        return d.operator("Reshape", x, d.ints(0, *rest))
    if way == 1:
        return d.operator("Reshape", x, d.ints(-1, *rest))
    if way == 2:
        return d.operator("Reshape", x, d.ints(0, *rest[:-1], -1))
    k = len(d.nodes)
    before = [
        helper.make_node("Shape", [x], [f"s{k}"]),
        helper.make_node("Gather", [f"s{k}", d.ints(0)], [f"b{k}"], axis=0),
        helper.make_node("Concat", [f"b{k}", d.ints(*rest[:-1], -1)], [f"t{k}"], axis=0),
    ]
    return d.operator("Reshape", x, f"t{k}", before=before)


def sliced(d: Drawing) -> bool:
    c, x, sample = d.chance, d.at, d.sample
    place = c.between(1, len(sample))
    n = sample[place - 1]
    axis = place - len(sample) - 1 if c.happens(0.3) and d.opset >= 10 else place
    start, stop = c.pick(0, 1, -n, -2), c.pick(n, -1, n + 5, 2**31 - 1, 2**63 - 1)
    step = c.pick(1, 1, 2) if place > 1 else 1
    if not len(range(n)[slice(start, stop, step)]):
        return False
    if d.opset < 10:
        return step == 1 and d.operator("Slice", x, starts=[start], ends=[stop], axes=[axis])
    return d.operator("Slice", x, d.ints(start), d.ints(stop), d.ints(axis), *([d.ints(step)] if step > 1 else []))


def resized(d: Drawing) -> bool:
    c, x, sample = d.chance, d.at, d.sample
    factors = (1.0, 1.0, *(float(n) for n in c.ints(len(sample) - 1, 1, 3)))
    scales = d.constant(factors)
    if d.opset < 10:
        return d.operator("Upsample", x, scales, mode="nearest")
    if d.opset == 10:
        return d.operator("Resize", x, scales, mode="nearest")
    modes = c.pick(
        {},
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"coordinate_transformation_mode": "pytorch_half_pixel"},
        {"nearest_mode": "round_prefer_ceil"},
    )
    roi = d.constant(np.zeros(0))
    if c.happens(0.3):
        lengths = [int(n * f) for n, f in zip((PROBE, *sample), factors, strict=True)]
        d.odd.append("sizes with the batch in them")
        return d.operator("Resize", x, roi, d.constant(np.zeros(0)), d.ints(*lengths), mode="nearest", **modes)
    return d.operator("Resize", x, roi, scales, mode="nearest", **modes)


def oddity(d: Drawing) -> bool:
    """An operator that may be refused; if it is not, it must be exact."""
    name, rule = d.chance.pick(*ODD)
    if not rule(d, d.at, d.sample):
        return False
    d.odd.append(name)
    return True


def _since(opset: int, rule: Callable[[Drawing, str, tuple[int, ...]], bool]) -> Any:
    return lambda d, x, s: d.opset >= opset and rule(d, x, s)


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
    (
        "nearest by corners",
        _since(
            11,
            lambda d, x, s: d.operator(
                "Resize",
                x,
                d.constant([]),
                d.constant((1, 1, *(2 for _ in s[1:]))),
                mode="nearest",
                coordinate_transformation_mode="align_corners",
            ),
        ),
    ),
    (
        "nearest above",
        _since(
            11,
            lambda d, x, s: d.operator(
                "Resize",
                x,
                d.constant([]),
                d.constant((1, 1, *(2 for _ in s[1:]))),
                mode="nearest",
                nearest_mode="ceil",
            ),
        ),
    ),
    (
        "nearest floor of halves",
        _since(
            11,
            lambda d, x, s: d.operator(
                "Resize",
                x,
                d.constant([]),
                d.constant((1, 1, *(3 for _ in s[1:]))),
                mode="nearest",
                nearest_mode="floor",
            ),
        ),
    ),
    (
        "broken factor",
        _since(
            11,
            lambda d, x, s: d.operator(
                "Resize", x, d.constant([]), d.constant((1, 1, *(1.7 for _ in s[1:]))), mode="nearest"
            ),
        ),
    ),
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


def onnx_network(seed: int) -> Network:
    """A model, its samples' shapes, and a runtime as the truth."""
    d = Drawing(seed)
    c = d.chance
    draw_blocks(d, c, plain, oddity)
    if not d.nodes:
        d.operator("Relu", "x")
    read = {name for node in d.nodes for name in node.input}
    made = [name for name in d.shapes if name not in d.inputs]
    last = d.at if d.at in made else made[-1] if made else "x"
    loose = [name for name in made if name not in read and name != last]
    outputs = [last, *(name for name in loose if c.happens(0.3))][:3]
    model = d.model(outputs, d.nodes)
    shapes = [s for k, s in d.inputs.items()]
    settings = {"shape": d.inputs["x"]} if len(shapes) == 1 and c.happens(0.2) else {}
    return Network(model, shapes, _truth(model, list(d.inputs)), settings, d.odd, story=d.story)


def _truth(model: onnx.ModelProto, names: Sequence[str]) -> Callable[[Sequence[Array]], list[Array] | None]:
    def answers(batches: Sequence[Array]) -> list[Array] | None:
        try:
            return evaluated(model)(dict(zip(names, batches, strict=True)))
        except Exception:  # this model does not take such a batch
            return None

    return answers
