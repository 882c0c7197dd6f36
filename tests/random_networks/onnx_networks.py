"""Random ONNX models of all operator sets: constants folded on the way, shapes computed from shapes, and oddities.

A model is drawn operator by operator and run by ONNX Runtime, or by ONNX's own reference where that is not installed,
on a batch of three: what that does not take is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from random_networks.drawing import Array, Network, draw_blocks
from random_networks.onnx_drawing import PROBE, Drawing, evaluated, window
from random_networks.onnx_forms import form
from random_networks.onnx_oddities import ODD


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
    if kind == "form":
        return form(d)
    if kind == "branch":
        d.at = c.pick(*(n for n, s in d.shapes.items() if s[0] == PROBE and len(s) > 1))
        return True
    return False


PLAIN = (
    *("Conv", "Conv", "Conv", "Gemm", "Gemm", "MatMul", "BatchNormalization", "Relu", "Relu", "Relu", "Relu"),
    *("MaxPool", "AveragePool", "ConvTranspose", "Global", "Reduce", "Flatten", "Reshape", "Reshape", "Transpose"),
    *("Unsqueeze", "Squeeze", "Arithmetic", "Arithmetic", "Add", "Concat", "Split", "Slice", "Slice", "Pad"),
    *("Resize", "Depth", "Dropout", "Cast", "Leaky", "Expand", "branch"),
    *("form", "form", "form", "form", "form"),
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
