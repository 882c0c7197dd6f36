"""Operators of ONNX that only move values, are linear in them, or are made of rectifiers and steps."""

from __future__ import annotations

import numpy as np
from onnx import helper

from random_networks.onnx_drawing import Drawing


def form(d: Drawing) -> bool:
    """One of them, where this operator set has it."""
    return d.chance.pick(*FORMS)(d)


def borders(d: Drawing) -> bool:
    c, sides = d.chance, len(d.sample)
    if d.opset < 11:
        return False
    pads = [0, *c.ints(sides, 0, 1), 0, *c.ints(sides, 0, 1)]
    if c.happens(0.3):
        return d.operator("Pad", d.at, d.ints(*pads), d.constant(0.5))
    return d.operator("Pad", d.at, d.ints(*pads), mode=c.pick("edge", "reflect", *(["wrap"] if d.opset >= 19 else [])))


def moved(d: Drawing) -> bool:
    c, x = d.chance, d.at
    axis = c.between(1, len(d.sample))
    n, way = d.sample[axis - 1], c.pick("gather", "tile", "flip", "steps", "expand", "trilu")
    if way == "gather":
        places = [c.between(0, n - 1) for _ in range(c.between(1, n + 1))]
        return d.operator(
            "Gather", x, d.ints(*places) if c.happens(0.7) else d.constant(places[0], np.int64), axis=axis
        )
    if way == "tile" and np.prod(d.sample) < 300:
        return d.operator("Tile", x, d.ints(1, *c.ints(len(d.sample), 1, 2)))
    if way == "expand" and 1 in d.sample:
        return d.operator("Expand", x, d.ints(1, *(2 if m == 1 else m for m in d.sample)))
    if way == "trilu" and d.opset >= 14 and len(d.sample) > 1:
        return d.operator("Trilu", x, upper=c.between(0, 1))
    if d.opset < 10:
        return False
    if way == "flip":
        return d.operator("Slice", x, d.ints(-1), d.ints(-(2**31)), d.ints(axis), d.ints(-1))
    return d.operator("Slice", x, d.ints(0), d.ints(n), d.ints(axis), d.ints(2))


def resized(d: Drawing) -> bool:
    c, sample = d.chance, d.sample
    if d.opset < 18 or not 2 <= len(sample) <= 4 or np.prod(sample) > 300:
        return False
    axes = list(range(2, len(sample) + 1))
    sizes = d.ints(*(c.between(1, 2 * n) for n in sample[1:]))
    none = d.constant(np.zeros(0))
    mode = c.pick("nearest", "linear", "cubic") if len(sample) == 3 else c.pick("nearest", "linear")
    sampling = c.pick("half_pixel", "asymmetric", "align_corners")
    return d.operator("Resize", d.at, none, none, sizes, axes=axes, mode=mode, coordinate_transformation_mode=sampling)


def products(d: Drawing) -> bool:
    c, sample = d.chance, d.sample
    if c.happens(0.3) and len(sample) > 1:
        return d.operator("MatMul", d.constant(c.weights(c.between(1, 4), sample[-2])), d.at)
    if c.happens(0.3) and len(sample) > 2:
        return d.operator("MatMul", d.at, d.constant(c.weights(sample[-3], sample[-1], 3)))
    if d.opset < 12:
        return False
    letters = "abcdef"[: len(sample)]
    gone = c.pick(*letters)
    weight = d.constant(c.weights(sample[letters.index(gone)], 3))
    return d.operator("Einsum", d.at, weight, equation=f"z{letters},{gone}g->z{letters.replace(gone, 'g')}")


def sums(d: Drawing) -> bool:
    c, x = d.chance, d.at
    way = c.pick("CumSum", "Mean", "Neg", "Sum")
    if way == "CumSum":
        axis = d.constant(c.between(1, len(d.sample)), np.int64)
        return d.opset >= 11 and d.operator("CumSum", x, axis, reverse=c.between(0, 1), exclusive=c.between(0, 1))
    if way == "Neg":
        return d.operator("Neg", x)
    return d.operator(way, x, x, d.constant(c.normal(d.sample[-1])))


def bounded(d: Drawing) -> bool:
    c, x = d.chance, d.at
    way = c.pick("Clip", "Max", "Min", "Abs", "HardSigmoid", "steps")
    if way == "Abs":
        return d.operator("Abs", x)
    if way == "HardSigmoid":
        return d.operator("HardSigmoid", x, alpha=c.pick(0.2, 0.5), beta=0.5)
    if d.opset < 12:
        return False
    if way == "Clip":
        return d.operator(
            "Clip", x, *c.pick((d.constant(-1.0), d.constant(2.0)), ("", d.constant(0.5)), (d.constant(-0.5),))
        )
    if way == "steps":
        scale, zero = d.constant(0.05), d.constant(c.pick(-128, 0, 3), np.int8)
        before = [helper.make_node("QuantizeLinear", [x, scale, zero], [f"q{len(d.nodes)}"])]
        return d.opset >= 13 and d.operator("DequantizeLinear", f"q{len(d.nodes)}", scale, zero, before=before)
    before = [helper.make_node("Neg", [x], [f"m{len(d.nodes)}"])]
    return d.operator(way, x, f"m{len(d.nodes)}", before=before)


def compared(d: Drawing) -> bool:
    """Choices by comparison: between lines of one value, as numbers; thresholds, shrinkages, signs."""
    c, x, n = d.chance, d.at, len(d.nodes)
    way = c.pick("Where", "Cast", "Mul", "And", "Sign", "Shrink", "ThresholdedRelu")
    if way == "Sign":
        return d.operator("Sign", x)
    if way == "Shrink":
        return d.operator("Shrink", x, lambd=0.3, bias=c.pick(0.0, 0.3))
    if way == "ThresholdedRelu":
        return d.opset >= 10 and d.operator("ThresholdedRelu", x, alpha=c.pick(0.0, 0.5))
    cut = d.constant(c.pick(0.0, 0.25, -0.5))
    before = [helper.make_node(c.pick("Greater", "Less"), [x, cut], [f"g{n}"])]
    if way == "Where":
        return d.operator("Where", f"g{n}", *c.pick((x, cut), (cut, x)), before=before)
    if way == "And":
        before.append(helper.make_node("Less", [x, d.constant(1.0)], [f"l{n}"]))
        before.append(helper.make_node(c.pick("And", "Or", "Xor"), [f"g{n}", f"l{n}"], [f"a{n}"]))
        return d.operator("Where", f"a{n}", x, cut, before=before)
    if way == "Cast":
        return d.operator("Cast", f"g{n}", before=before, to=1)
    before.append(helper.make_node("Cast", [f"g{n}"], [f"m{n}"], to=1))
    return d.operator("Mul", x, f"m{n}", before=before)


FORMS = (borders, moved, moved, moved, resized, products, products, sums, bounded, bounded, compared, compared)
