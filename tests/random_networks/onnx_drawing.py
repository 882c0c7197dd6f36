"""Drawing an ONNX model operator by operator, each run at once on a probe of three samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from random_networks.drawing import Array, Chance

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
