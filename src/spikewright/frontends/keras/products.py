"""Functions of ``keras.ops``, and layers, that multiply by constants along axes; sums and differences along one."""

from __future__ import annotations

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.products import LETTERS, contracted, equation, matrix_product
from spikewright.frontends.common.resizing import along, between, nearest, places, smoothed
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.keras.call import Call, Rule, Value, straight
from spikewright.frontends.keras.moves import BY_BACKEND, FUNCTIONS, chain
from spikewright.graph import Array
from spikewright.nodes import ChannelAffine, Take

converts = FUNCTIONS.converts
PRODUCTS = Rules[Rule]()
"""The layers among them."""


def _operands(call: Call) -> tuple[Value, Array, bool]:
    """The data with its axes in Keras' order, the constant, and whether the data come first."""
    if len(call.inputs) != 2 or len(call.values) != 1:
        call.refuse(Cause.PRODUCT)
    first = isinstance(call.inputs[0], Value)
    weight = np.asarray(call.inputs[int(first)], np.float64)
    return call.arranged(call.values[0], straight(len(call.values[0].shape))), weight, first


def _straight(call: Call, x: Value, plans: list[NodePlan]) -> Value:
    """Nodes after which axes lie as in Keras."""
    shape = x.node_shape
    for plan in plans:
        shape = plan.kind(name="", inputs=("",), **plan.fields).infer_shape(shape)
    return chain(call, x, plans, straight(len(shape)))


@converts("Matmul", "Dot")
def product(call: Call) -> Value:
    """A matrix from either side; of more axes than two, ``dot`` is another product."""
    x, weight, first = _operands(call)
    if call.layer.kind == "Dot" and weight.ndim > 2:
        call.refuse("only a matrix can be its constant")
    if weight.ndim > max(2, len(x.shape)):
        call.refuse(Cause.BATCH_AXIS)
    return _straight(call, x, matrix_product(x.node_shape, weight, left=not first))


@converts("Einsum")
def einsum(call: Call) -> Value:
    x, weight, first = _operands(call)
    ranks = (len(x.shape) + 1, weight.ndim) if first else (weight.ndim, len(x.shape) + 1)
    letters, of_weight, result = equation(str(call.config["subscripts"]), ranks, int(not first))
    return _straight(call, x, contracted(x.node_shape, letters, weight, of_weight, result))


@converts("Tensordot")
def tensordot(call: Call) -> Value:
    x, weight, first = _operands(call)
    axes, rank = call.config.get("axes", 2), len(x.shape) + 1
    if isinstance(axes, int):
        axes = [list(range(rank - axes, rank)), list(range(axes))]
    own, others = ([a] if isinstance(a, int) else list(a) for a in axes)
    if not first or any(a % rank == 0 for a in own):
        call.refuse(Cause.BATCH_AXIS)
    data = LETTERS[: len(x.shape)]
    of_weight = list(LETTERS[rank : rank + weight.ndim])
    for a, b in zip(own, others, strict=True):
        of_weight[b] = data[a % rank - 1]
    result = [c for c in data if c not in of_weight] + [c for c in of_weight if c not in data]
    return _straight(call, x, contracted(x.node_shape, data, weight, "".join(of_weight), "".join(result)))


@PRODUCTS.converts("EinsumDense")
def einsum_dense(call: Call) -> Value:
    """A constant of the shape that its equation and what it gives ask for, and a bias along some axes."""
    x = call.arranged(call.x, straight(len(call.x.shape)))
    text = str(call.config["equation"]).replace(" ", "")
    told, _, result = text.partition("->")
    of_data, _, of_weight = told.partition(",")
    given = call.config["output_shape"]
    wanted = tuple(given) if isinstance(given, list | tuple) else (given,)
    sizes: dict[str, int] = {}
    shape = (-1, *x.shape)
    for word, lengths in ((of_data, shape), (result, (-1, *wanted))):
        before, _, after = word.partition("...")
        for letters, ends in ((before, lengths), (after[::-1], lengths[::-1])):
            sizes |= {c: n for c, n in zip(letters, ends, strict=False) if c not in sizes and n is not None}
    if not set(of_weight) <= sizes.keys():
        call.refuse(f"its equation {text!r} does not say how long its weights are")
    kernel = tuple(sizes[c] for c in of_weight)
    bias_axes = call.config.get("bias_axes") or ""
    letters, weight_letters, left = equation(text, (len(shape), len(kernel)), 0)
    bias = tuple(sizes[c] if c in bias_axes else 1 for c in result.replace("...", "") if c != result[0])
    while bias and bias[0] == 1 and bias_axes and result.replace("...", "")[-len(bias)] not in bias_axes:
        bias = bias[1:]
    found = call.weights(kernel=kernel, **({"bias": bias} if bias_axes else {}))
    value = _straight(call, x, contracted(x.node_shape, letters, found["kernel"], weight_letters, left))
    if not bias_axes:
        return value
    scale = np.ones(value.node_shape[:1])
    return call.emit(ChannelAffine, value, part="bias", scale=scale, bias=call.spread(found["bias"], value))


@converts("Cumsum", "Diff")
def along_one(call: Call) -> Value:
    x = call.x
    if call.config.get("axis") is None:
        call.refuse(Cause.BATCH_AXIS)
    place = x.order[call.axis(x, call.config["axis"])]
    n = x.node_shape[place]
    check_constants(n * n)
    sums = call.layer.kind == "Cumsum"
    matrix = np.tri(n) if sums else np.diff(np.eye(n), n=call.config.get("n", 1), axis=0)
    return chain(call, x, along(x.node_shape, {place: matrix}), x.order)


def resized(call: Call, x: Value, size: tuple[int, int], mode: str, *, antialias: bool = False) -> Value:
    """Rows and columns of a value with its channels first, resized as Keras does: by the centres of positions."""
    if mode not in ("bilinear", "nearest"):
        call.refuse(f"{BY_BACKEND}: use bilinear or nearest", operator=f"{mode} interpolation")
    before = x.node_shape[1:]
    at = [places(n, m, None, "half_pixel") for n, m in zip(before, size, strict=True)]
    if mode == "nearest":
        taken = [nearest(found, n, "round_prefer_ceil") for found, n in zip(at, before, strict=True)]
        return call.emit(Take, x, positions=((), *taken))
    matrices: dict[int, Array] = {}
    for axis, (n, m, found) in enumerate(zip(before, size, at, strict=True), start=1):
        matrices[axis] = smoothed(n, m, None, "linear") if antialias else between(found, n, "linear")
    return chain(call, x, along(x.node_shape, matrices), x.order)


@PRODUCTS.converts("Resizing")
def resizing(call: Call) -> Value:
    return _resizing(call, (call.config["height"], call.config["width"]))


@converts("Resize")
def resize(call: Call) -> Value:
    return _resizing(call, tuple(call.config["size"]))


def _resizing(call: Call, size: tuple[int, ...]) -> Value:
    if any(call.config.get(f"{how}_to_aspect_ratio") for how in ("crop", "pad")):
        call.refuse("it keeps the aspect ratio by cropping or padding; do that in a layer of its own")
    if len(size) != 2:
        call.refuse(f"it resizes to {size}, which are not rows and columns")
    mode, smooth = str(call.config.get("interpolation", "bilinear")).lower(), call.flag("antialias", default=False)
    return resized(call, call.spatial(2), (int(size[0]), int(size[1])), mode, antialias=smooth)
