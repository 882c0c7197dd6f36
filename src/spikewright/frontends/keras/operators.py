"""What each Keras layer becomes, except for activations and what has windows."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import GraphError
from spikewright.frontends.common.constants import factor_and_shift, reciprocal
from spikewright.frontends.common.moves import filled_in
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.common.windows import mixing
from spikewright.frontends.keras.activations import ACTIVATIONS
from spikewright.frontends.keras.call import Call, Rule, Value, channels_moved, straight
from spikewright.frontends.keras.choices import product
from spikewright.frontends.keras.moves import FUNCTIONS, spread
from spikewright.frontends.keras.names import INACTIVE
from spikewright.frontends.keras.products import PRODUCTS
from spikewright.frontends.keras.reductions import REDUCTIONS, shaped
from spikewright.frontends.keras.windows import WINDOWS
from spikewright.graph import Array
from spikewright.nodes import Add, BatchNorm, ChannelAffine, Concat, Conv, Flatten, Identity, Linear, Reshape, Upsample

LAYERS = Rules[Rule]()
converts = LAYERS.converts

KERAS_EPSILON = 1e-7
"""What a Normalization layer's deviation never falls below."""


# Fully connected, normalising, scaling.


@converts("Dense")
def dense(call: Call) -> Value:
    """Over the last axis; where there are others, a convolution with a kernel of one."""
    x, (units,) = call.x, call.ints("units", 1)
    others = len(x.shape) - 1
    shapes = {"kernel": (x.shape[-1], units), **({"bias": (units,)} if call.flag("use_bias") else {})}
    found = call.weights(**shapes)
    weight, bias = found["kernel"].T, found.get("bias", np.zeros(units))
    if not others:
        return call.emit(Linear, x, weight=weight, bias=bias)
    if others > 3:  # the others as one axis
        rows = shaped(call, x, (prod(x.shape[:-1]), x.shape[-1]), part="rows")
        mixed = call.emit(Conv, call.arranged(rows, channels_moved(2)), part="mixed", **mixing(weight, bias, 1))
        return shaped(call, mixed, (*x.shape[:-1], units))
    return call.emit(Conv, call.arranged(x, channels_moved(others + 1)), **mixing(weight, bias, others))


@converts("BatchNormalization")
def batch_norm(call: Call) -> Value:
    given = call.config.get("axis", -1)
    axes = given if isinstance(given, list | tuple) else [given]
    if len(axes) != 1:
        call.refuse(f"it normalises along the axes {given}; only one is supported")
    if call.config.get("renorm"):
        call.refuse("renormalisation is not supported; train with a plain batch norm")
    x = call.x
    axis = call.axis(x, axes[0])
    if x.order[axis] != 0:
        rank = len(x.shape)
        last = axis == rank - 1
        x = call.arranged(x, channels_moved(rank) if last else tuple(_channel_first(rank, axis)))
    labels = [
        *(["gamma"] if call.flag("scale") else []),
        *(["beta"] if call.flag("center") else []),
        *("moving_mean", "moving_variance"),
    ]
    size = x.shape[axis]
    found = call.weights(**dict.fromkeys(labels, (size,)))
    return call.emit(
        BatchNorm,
        x,
        mean=found["moving_mean"],
        variance=found["moving_variance"],
        gamma=found.get("gamma", np.ones(size)),
        beta=found.get("beta", np.zeros(size)),
        epsilon=float(call.config.get("epsilon", 1e-3)),
    )


def _channel_first(rank: int, axis: int) -> list[int]:
    """One axis first, the others as they were."""
    others = iter(range(1, rank))
    return [0 if k == axis else next(others) for k in range(rank)]


def _affine(call: Call, x: Value, scale: Any = 1.0, shift: Any = 0.0, part: str = "") -> Value:
    """A factor and a shift, as Keras broadcasts them over a sample."""
    factor, moved = (call.in_node_order(np.asarray(values), x) for values in (scale, shift))
    return call.emit(ChannelAffine, x, part=part, **factor_and_shift(factor, moved, x.node_shape))


@converts("Rescaling")
def rescaling(call: Call) -> Value:
    return _affine(call, call.x, call.config["scale"], call.config.get("offset", 0.0))


@converts("Normalization")
def normalization(call: Call) -> Value:
    """``(x − mean) / sqrt(variance)`` along some axes; its statistics are settings, or weights once it was adapted."""
    x, given = call.x, call.config.get("axis", -1)
    axes = sorted(call.axis(x, a) for a in ([] if given is None else given if isinstance(given, list) else [given]))
    kept = tuple(x.shape[axis] for axis in axes)
    mean, variance = call.config.get("mean"), call.config.get("variance")
    if mean is None:
        found = call.weights(mean=kept, variance=kept, count=())
        mean, variance = found["mean"], found["variance"]
    wide = tuple(n if k in axes else 1 for k, n in enumerate(x.shape))
    mean, variance = (np.broadcast_to(np.asarray(v, np.float64), kept).reshape(wide) for v in (mean, variance))
    if not np.isfinite(variance).all() or (variance < 0).any():
        raise GraphError(f"its variance is {variance.min():g} somewhere; the statistics are damaged")
    deviation = np.maximum(np.sqrt(variance), KERAS_EPSILON)
    if call.flag("invert", default=False):
        return _affine(call, x, deviation, mean)
    return _affine(call, x, 1 / deviation, -mean / deviation)


@converts(*INACTIVE)
def nothing(call: Call) -> Value:
    return call.emit(Identity, call.x, source=INACTIVE[call.layer.kind])


# Branches.


def _constants(call: Call) -> list[Array]:
    return [np.asarray(given, np.float64) for given in call.inputs if not isinstance(given, Value)]


@converts("Add")
def add(call: Call) -> Value:
    """A sum of branches; between tensors also ``x + 1``."""
    constants = _constants(call)
    if not constants:
        return call.emit(Add, *spread(call, call.values)) if len(call.values) > 1 else call.x
    shift: Array = sum(constants, np.zeros(()))
    if len(call.values) > 1:
        return _affine(call, call.emit(Add, *spread(call, call.values), part="sum"), shift=shift)
    return _affine(call, call.values[0], shift=shift)


@converts("Subtract")
def subtract(call: Call) -> Value:
    constants = _constants(call)
    if constants:
        first = isinstance(call.inputs[0], Value)
        return _affine(call, call.values[0], 1.0 if first else -1.0, -constants[0] if first else constants[0])
    if len(call.values) != 2:
        call.refuse(f"it takes two branches, and was given {len(call.values)}")
    one, other = spread(call, call.values)
    return call.emit(Add, one, _affine(call, other, scale=-1.0, part="minus"))


@converts("Average")
def average(call: Call) -> Value:
    branches = spread(call, call.values)
    return _affine(call, call.emit(Add, *branches, part="sum"), scale=1 / len(branches))


@converts("Multiply", "TrueDivide", "Divide", "Negative")
def multiply(call: Call) -> Value:
    """By constants, or by 0 or 1 as the value is compared."""
    kind, constants = call.layer.kind, _constants(call)
    if kind == "Negative":
        return _affine(call, call.x, scale=-1.0)
    divides = kind != "Multiply"
    if not divides and len(call.values) == 2 and not constants:
        return product(call, *call.values)
    if len(call.values) != 1 or len(constants) != 1 or (divides and not isinstance(call.inputs[0], Value)):
        call.refuse(Cause.QUOTIENT if divides else Cause.PRODUCT)
    return _affine(call, call.values[0], scale=reciprocal(constants[0]) if divides else constants[0])


@converts("Concatenate")
def concatenate(call: Call) -> Value:
    if len(call.values) == 1:
        return call.x
    first = call.values[0]
    branches = [call.arranged(value, first.order) for value in call.values if len(value.order) == len(first.order)]
    if len(branches) != len(call.values) or _constants(call):
        call.refuse("it joins tensors of different numbers of axes")
    return call.emit(Concat, *branches, axis=first.order[call.axis(first, call.config.get("axis", -1))])


# Moving values.


@converts("Flatten")
def flatten(call: Call) -> Value:
    """In Keras' order of axes; with channels first Keras moves them behind the others before."""
    x = call.x
    if not call.channels_last and len(x.shape) > 1:
        x = Value(x.node, (*x.shape[1:], x.shape[0]), (*x.order[1:], x.order[0]), x.lost)
    return x if len(x.shape) == 1 else call.emit(Flatten, call.written(x), order=(0,))


@converts("Reshape")
def reshape(call: Call) -> Value:
    x = call.x
    given = call.config.get("target_shape")
    if given is None:  # the function of keras.ops counts the batch too
        batch, *given = call.config["newshape"]
        if batch not in (-1, None):
            call.refuse(Cause.BATCH_AXIS)
    target = tuple(int(n) for n in given)
    shape = filled_in(target, prod(x.shape))
    if shape is None:
        raise GraphError(f"an input of shape {x.shape} cannot take the shape {target}")
    return shaped(call, x, shape)


@converts("Permute")
def permute(call: Call) -> Value:
    """A permutation of axes makes no node: only what is known of how they lie changes."""
    x, dims = call.x, tuple(call.config["dims"])
    if sorted(dims) != list(range(1, len(x.shape) + 1)):
        raise GraphError(f"{dims} does not order the axes of an input of shape {x.shape}")
    return Value(x.node, tuple(x.shape[d - 1] for d in dims), tuple(x.order[d - 1] for d in dims), x.lost)


@converts("RepeatVector")
def repeat_vector(call: Call) -> Value:
    """(channels) becomes (n, channels)."""
    x, (count,) = call.x, call.ints("n", 1)
    if len(x.shape) != 1:
        raise GraphError(f"it repeats vectors, its input has the shape {x.shape}")
    column = call.emit(Reshape, x, part="reshape", order=straight(2), shape=(x.shape[0], 1))
    repeated = call.emit(Upsample, column, factor=(count,))
    return Value(repeated.node, repeated.shape[::-1], repeated.order[::-1], repeated.lost)


RULES = LAYERS | ACTIVATIONS | WINDOWS | REDUCTIONS | FUNCTIONS | PRODUCTS
