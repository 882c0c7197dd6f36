"""Functions and layers of Keras that only move values, are linear in them, or are made of rectifiers and steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers as L
from keras import ops

from random_networks.keras_drawing import Drawing


def form(d: Drawing) -> bool:
    """One of them, where Keras takes it."""
    return d.chance.pick(*FORMS)(d)


def _function(d: Drawing, function: Any, told: str) -> bool:
    return d.layer(lambda: function, told=told)


def moved(d: Drawing) -> bool:
    c = d.chance
    axis = c.between(1, len(d.sample))
    n, other = d.sample[axis - 1], c.between(1, len(d.sample))
    places = [c.between(0, n - 1) for _ in range(c.between(1, n + 1))]
    ways = (
        lambda x: ops.flip(x, axis),
        lambda x: ops.roll(x, 2, axis),
        lambda x: ops.take(x, places, axis),
        lambda x: ops.swapaxes(x, axis, other),
        lambda x: ops.moveaxis(x, axis, other),
        lambda x: ops.expand_dims(x, axis),
        lambda x: ops.stack([x, x], axis),
        lambda x: ops.split(x, [1], axis)[0],
        lambda x: ops.unstack(x, axis=axis)[0],
        lambda x: x[(slice(None),) * axis + (slice(None, None, 2),)],
        lambda x: ops.repeat(x, 2, axis),
        lambda x: ops.tile(x, (1, *(2 if k == axis else 1 for k in range(1, len(x.shape))))),
        lambda x: ops.pad(x, ((0, 0), *((1, 0) for _ in x.shape[1:])), constant_values=0.5),
    )
    return np.prod(d.sample) < 300 and _function(d, c.pick(*ways), f"moved {axis} {other} {places}")


def linear(d: Drawing) -> bool:
    c, sample = d.chance, d.sample
    axis = c.between(1, len(sample))
    ways = [
        lambda x: ops.cumsum(x, axis),
        lambda x: ops.matmul(x, c.normal(sample[-1], 3)),
        lambda x: x - ops.mean(x, axis, keepdims=True),
    ]
    if len(sample) > 1:
        ways.append(lambda x: ops.matmul(c.normal(3, sample[-2]), x))
        ways.append(lambda x: ops.tensordot(x, c.normal(sample[-2], 2), [[len(sample) - 1], [0]]))
    if len(sample) == 3 and np.prod(sample) < 300:
        size = (c.between(1, 8), c.between(1, 8))
        mode, data = c.pick("bilinear", "nearest"), {"data_format": d.layout}
        ways.append(L.Resizing(*size, interpolation=mode, **data))
        ways.append(L.UpSampling2D((2, 1), interpolation="bilinear", **data))
    return _function(d, c.pick(*ways), f"linear {axis}")


def bounded(d: Drawing) -> bool:
    ways = (
        lambda x: ops.clip(x, -1.0, 1.0),
        lambda x: ops.maximum(x, -0.5),
        lambda x: L.Maximum()([x, 0.5 - x]),
        lambda x: L.Minimum()([x, 0.5 - x]),
        ops.abs,
        ops.hard_sigmoid,
        lambda x: ops.soft_shrink(x, 0.3),
        lambda x: ops.round(ops.clip(x, 0.0, 1.0) * 15) / 15,
        keras.layers.Activation("hard_tanh"),
    )
    return _function(d, d.chance.pick(*ways), "bounded")


def compared(d: Drawing) -> bool:
    """Choices by comparison: between lines of one value, by masks, as numbers."""
    c = d.chance
    cut, low, high = c.pick(0.0, 0.25, -0.5), c.pick(0.0, 0.1, -1.0), c.pick(0.0, 1.0, 0.5)
    ways = (
        lambda x: ops.where(x > cut, x, low),
        lambda x: ops.where(x >= cut, x, low * x + high),
        lambda x: x * ops.cast(x > cut, "float32"),
        lambda x: ops.cast(x <= cut, "float32"),
        lambda x: ops.where(ops.logical_and(x > -1, x < 1), x, ops.sign(x)),
        lambda x: ops.where(x > ops.flip(x, 1), high, low),
        lambda x: ops.threshold(x, cut, low),
        lambda x: ops.hard_shrink(x, 0.3),
        ops.sign,
        L.ReLU(2, 0.1, 0.5),
        L.Activation("hard_sigmoid"),
        L.Activation("sparse_sigmoid"),
    )
    return _function(d, c.pick(*ways), f"compared {cut} {low} {high}")


def nothing(d: Drawing) -> bool:
    ways = (L.RandomFlip, lambda: L.RandomRotation(0.1), lambda: L.RandomZoom(0.1), lambda: L.GaussianDropout(0.2))
    return len(d.sample) == 3 and d.layer(d.chance.pick(*ways))


FORMS = (moved, moved, moved, linear, linear, bounded, bounded, compared, compared, nothing)
