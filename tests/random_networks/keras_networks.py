"""Random Keras models, in memory and from both kinds of file: both layouts, shared layers, nested models, oddities."""

# ruff: noqa: ARG005

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L

from random_networks.drawing import Array, Chance, Network, draw_blocks
from random_networks.keras_drawing import Drawing
from random_networks.keras_forms import form


def activation(c: Chance) -> Any:
    return c.pick(
        None, None, "relu", "relu", "linear", "relu6", "leaky_relu", L.ReLU(max_value=2.0), keras.activations.relu
    )


def plain(d: Drawing) -> bool:
    c, sample = d.chance, d.sample
    axes, kind = len(sample) - 1, c.pick(*PLAIN)
    windows = 1 <= axes <= 3
    data = {"data_format": d.layout}
    if kind == "conv" and windows:
        groups = c.divisor(d.channels) if c.happens(0.2) else 1
        strided = c.happens(0.5)
        return d.layer(
            lambda: getattr(L, f"Conv{axes}D")(
                groups * c.between(1, 3),
                c.ints(axes, 1, 3),
                strides=c.ints(axes, 1, 2) if strided else 1,
                dilation_rate=1 if strided else c.ints(axes, 1, 2),
                padding=c.pick("valid", "same", "causal") if axes == 1 else c.pick("valid", "same"),
                groups=groups,
                use_bias=c.happens(0.7),
                activation=activation(c),
                **data,
            )
        )
    if kind == "depthwise" and 1 <= axes <= 2:
        which = c.pick("DepthwiseConv", "SeparableConv")
        filters = (c.between(1, 4),) if which == "SeparableConv" else ()
        return d.layer(
            lambda: getattr(L, f"{which}{axes}D")(
                *filters,
                c.between(1, 3),
                strides=c.between(1, 2),
                padding=c.pick("valid", "same"),
                depth_multiplier=c.between(1, 2),
                activation=activation(c),
                **data,
            )
        )
    if kind == "up" and windows:
        strides = c.ints(axes, 1, 3)
        extra = tuple(c.between(0, s - 1) for s in strides) if c.happens(0.3) else None
        return d.layer(
            lambda: getattr(L, f"Conv{axes}DTranspose")(
                c.between(1, 3),
                c.ints(axes, 1, 3),
                strides=strides,
                padding=c.pick("valid", "same"),
                output_padding=extra,
                activation=activation(c),
                **data,
            )
        )
    if kind == "dense":
        return axes <= 3 and d.layer(
            lambda: L.Dense(c.between(1, 6), use_bias=c.happens(0.7), activation=activation(c))
        )
    if kind == "norm":
        axis = (-1 if d.last else 1) if c.happens(0.8) else c.between(1, len(sample))
        return axes <= 3 and d.layer(
            lambda: L.BatchNormalization(
                axis=axis,
                epsilon=c.pick(1e-3, 0.1),
                center=c.happens(0.8),
                scale=c.happens(0.8),
                momentum=c.pick(0.9, 0.0),
            )
        )
    if kind == "relu":
        made = c.pick(
            *(L.ReLU() for _ in range(2)), L.ReLU(6.0), L.Activation("relu"), L.Activation("relu6"), L.ReLU(1.5)
        )
        return d.layer(lambda: made)
    if kind == "leaky":
        shared = None if c.happens(0.4) or axes < 1 else list(range(1, axes + 1))
        made = c.pick(
            L.LeakyReLU(), L.LeakyReLU(negative_slope=0.1), L.ReLU(negative_slope=0.2), L.Activation("leaky_relu")
        )
        return d.layer(lambda: L.PReLU(shared_axes=shared) if c.happens(0.4) else made)
    if kind == "pool" and windows:
        which, padding = c.pick("MaxPooling", "AveragePooling"), c.pick("valid", "same")
        size, strides = c.ints(axes, 1, 3), c.pick(None, c.between(1, 3))
        if which == "AveragePooling" and padding == "same":  # elsewhere Keras on PyTorch repeats the border
            size, strides = tuple(c.pick(1, 3) for _ in range(axes)), 1
        return d.layer(lambda: getattr(L, f"{which}{axes}D")(size, strides=strides, padding=padding, **data))
    if kind == "global" and windows:
        which = c.pick("GlobalAveragePooling", "GlobalMaxPooling")
        return d.layer(lambda: getattr(L, f"{which}{axes}D")(keepdims=c.happens(0.5), **data))
    if kind == "pad" and windows:
        pairs = tuple(c.ints(2, 0, 2) for _ in range(axes))
        which = c.pick("ZeroPadding", "Cropping") if min(d.spatial) > 4 else "ZeroPadding"
        given = c.pick(1, pairs) if axes > 1 else c.pick(1, pairs[0])
        return d.layer(lambda: getattr(L, f"{which}{axes}D")(given, **data))
    if kind == "grow" and windows and np.prod(sample) < 300:
        size = c.between(1, 3) if axes == 1 else c.ints(axes, 1, 2)
        return d.layer(lambda: getattr(L, f"UpSampling{axes}D")(size, **({} if axes == 1 else data)))
    if kind == "drop":
        made = c.pick(
            L.Dropout(0.4), L.GaussianNoise(0.3), L.SpatialDropout1D(0.2), L.Identity(), L.ActivityRegularization(1.0)
        )
        return d.layer(lambda: made)
    if kind == "move":
        size = int(np.prod(sample))
        first = c.divisor(size)
        made = c.pick(
            L.Flatten(**data),
            L.Flatten(),
            L.Reshape((first, -1)),
            L.Reshape((first, 1, size // first)),
            L.Reshape((-1,)),
            L.Permute([n + 1 for n in c.order(len(sample))]),
            *([L.RepeatVector(c.between(1, 3))] if axes == 0 else []),
        )
        return d.layer(lambda: made)
    if kind == "scale":
        made = c.pick(
            L.Rescaling(0.5, 0.1),
            L.Rescaling([float(n) for n in c.normal(sample[-1])], 0.2),
            L.Normalization(mean=[float(n) for n in c.normal(sample[-1])], variance=[1.0] * int(sample[-1])),
            L.Normalization(axis=None, mean=0.5, variance=4.0),
            L.Normalization(axis=None, mean=0.5, variance=0.25, invert=True),
        )
        return d.layer(lambda: made)
    if kind == "arithmetic":
        k = c.pick(2.0, -0.5, 0.0, 3)
        row = c.normal(sample[-1])
        ways = (
            lambda x: x * k,
            lambda x: x + k,
            lambda x: k - x,
            lambda x: x - row,
            lambda x: -x,
            lambda x: x / 4,
            lambda x: x * row,
        )
        return d.layer(lambda: c.pick(*ways), told="arithmetic")
    if kind == "add":
        alike = [v for v in d.values if v.shape == d.at.shape and v is not d.at]
        return bool(alike) and d.layer(lambda: c.pick(L.Add, L.Subtract, L.Average)(), c.pick(*alike))
    if kind == "join":
        place = c.between(1, len(sample))
        axis = c.pick(place, place - len(sample) - 1)
        cut = lambda v: (*v.shape[1:place], *v.shape[place + 1 :])  # noqa: E731
        fits = [v for v in d.values if len(v.shape) == len(d.at.shape) and cut(v) == cut(d.at) and v is not d.at]
        return bool(fits) and d.layer(lambda: L.Concatenate(axis=axis), c.pick(*fits))
    if kind == "again" and d.layers:
        again = c.pick(*d.layers)
        return (
            isinstance(again, L.Layer)
            and not isinstance(again, (L.Add, L.Concatenate, L.Subtract, L.Average))
            and d.layer(lambda: again, told="again")
        )
    if kind == "nested":
        return nested(d)
    if kind == "form":
        return form(d)
    if kind == "branch":
        d.at = c.pick(*d.values)
        return True
    return False


PLAIN = (
    *("conv", "conv", "conv", "depthwise", "up", "dense", "dense", "norm", "norm", "relu", "relu", "relu", "leaky"),
    *("pool", "pool", "global", "pad", "grow", "drop", "move", "move", "scale", "arithmetic", "arithmetic", "add"),
    *("join", "again", "nested", "branch", "branch", "form", "form", "form", "form"),
)


def nested(d: Drawing, **call: Any) -> bool:
    """A model in the model."""
    if len(d.sample) > 4:
        return False
    start = L.Input(d.sample)
    inside = L.Dropout(0.3)(L.Dense(d.chance.between(1, 4))(start))
    model = keras.Model(start, L.BatchNormalization()(inside))
    return d.layer(lambda: (lambda x: model(x, **call)) if call else model, told=f"nested {call}")


def oddity(d: Drawing) -> bool:
    name, made = d.chance.pick(*ODD)
    if not made(d):
        return False
    d.odd.append(name)
    return True


def _one(made: Callable[[Drawing], Any]) -> Callable[[Drawing], bool]:
    return lambda d: d.layer(lambda: made(d))


def _twice(made: Callable[[], Any]) -> Callable[[Drawing], bool]:
    return lambda d: d.layer(made, d.values[d.chance.between(0, len(d.values) - 1)])


ops = keras.ops

ODD: tuple[tuple[str, Callable[[Drawing], bool]], ...] = (
    ("threshold", _one(lambda d: L.ReLU(threshold=1.0))),
    ("threshold below", _one(lambda d: L.ReLU(threshold=-1.0))),
    ("leaky with a ceiling", _one(lambda d: L.ReLU(max_value=1.0, negative_slope=0.1))),
    ("ceiling of nothing", _one(lambda d: L.ReLU(max_value=0.0))),
    ("leaky that grows", _one(lambda d: L.LeakyReLU(negative_slope=2.0))),
    ("leaky without", _one(lambda d: L.LeakyReLU(negative_slope=0.0))),
    ("elu", _one(lambda d: L.ELU())),
    ("softmax inside", _one(lambda d: L.Softmax())),
    ("softmax of an axis", _one(lambda d: L.Softmax(axis=1))),
    ("softmax as an operation", _one(lambda d: lambda x: ops.softmax(x, axis=1))),
    ("softmax as an activation", _one(lambda d: L.Activation("softmax"))),
    ("log softmax", _one(lambda d: L.Activation("log_softmax"))),
    ("sigmoid", _one(lambda d: L.Dense(2, activation="sigmoid"))),
    ("hard sigmoid", _one(lambda d: L.Activation("hard_sigmoid"))),
    ("an activation of an argument", _one(lambda d: lambda x: ops.leaky_relu(x, 0.7))),
    ("relu as an operation", _one(lambda d: lambda x: ops.relu(x))),
    ("relu6 as an operation", _one(lambda d: lambda x: ops.relu6(x))),
    ("clip", _one(lambda d: lambda x: ops.clip(x, 0.0, 1.0))),
    ("maximum", _one(lambda d: lambda x: ops.maximum(x, 0.0))),
    ("abs", _one(lambda d: lambda x: abs(x))),
    ("whole numbers", _one(lambda d: lambda x: ops.cast(ops.cast(x, "int32"), "float32"))),
    ("floor", _one(lambda d: lambda x: ops.floor(x))),
    ("floor division", _one(lambda d: lambda x: x // 2)),
    ("power", _one(lambda d: lambda x: x**2)),
    ("division by zero", _one(lambda d: lambda x: x / 0.0)),
    ("division by next to nothing", _one(lambda d: lambda x: x / 1e-42)),
    ("one by x", _one(lambda d: lambda x: 1.0 / x)),
    ("infinite", _one(lambda d: lambda x: x * np.float32("inf"))),
    (
        "constant of samples",
        _one(lambda d: lambda x: x + np.arange(2.0, dtype=np.float32).reshape(2, *(1 for _ in d.sample))),
    ),
    ("constant with an axis more", _one(lambda d: lambda x: x * np.ones((1, *d.sample), np.float32))),
    ("constant that widens", _one(lambda d: lambda x: x + np.ones((3, *(1 for _ in d.sample)), np.float32))),
    ("times the batch", _one(lambda d: lambda x: x * ops.cast(ops.shape(x)[0], "float32"))),
    ("mixes samples", _one(lambda d: lambda x: ops.reshape(x, (-1, d.sample[-1])))),
    ("mean of the batch", _one(lambda d: lambda x: x - ops.mean(x, axis=0))),
    ("flip", _one(lambda d: lambda x: ops.flip(x, axis=1))),
    ("slice", _one(lambda d: lambda x: x[:, 0:1])),
    ("slice backwards", _one(lambda d: lambda x: x[:, ::-1])),
    ("transpose of the batch", _one(lambda d: lambda x: ops.transpose(x))),
    ("squeeze", _one(lambda d: lambda x: ops.squeeze(ops.expand_dims(x, 1), 1))),
    ("lambda", _one(lambda d: L.Lambda(lambda x: x * 2))),
    ("dropout in training", _one(lambda d: lambda x: L.Dropout(0.5)(x, training=True))),
    ("norm in training", _one(lambda d: lambda x: L.BatchNormalization()(x, training=True))),
    ("nested in training", lambda d: nested(d, training=True)),
    ("layer norm", _one(lambda d: L.LayerNormalization())),
    ("unit norm", _one(lambda d: L.UnitNormalization())),
    ("group norm", _one(lambda d: L.GroupNormalization(1))),
    ("norm over two axes", _one(lambda d: L.BatchNormalization(axis=[1, 2]))),
    ("bilinear", _one(lambda d: L.UpSampling2D(2, interpolation="bilinear"))),
    ("adaptive", _one(lambda d: L.AdaptiveAveragePooling2D(2, data_format=d.layout))),
    ("adaptive max", _one(lambda d: L.AdaptiveMaxPooling2D(2, data_format=d.layout))),
    ("other layout", _one(lambda d: L.Conv2D(2, 2, data_format="channels_first" if d.last else "channels_last"))),
    (
        "pooling in the other layout",
        _one(lambda d: L.MaxPooling2D(2, data_format="channels_first" if d.last else "channels_last")),
    ),
    (
        "flatten in the other layout",
        _one(lambda d: L.Flatten(data_format="channels_first" if d.last else "channels_last")),
    ),
    ("time distributed", _one(lambda d: L.TimeDistributed(L.Dense(2)))),
    ("recurrence", _one(lambda d: L.SimpleRNN(2))),
    ("einsum", _one(lambda d: L.EinsumDense("bi,io->bo", output_shape=2))),
    ("embedding", _one(lambda d: L.Embedding(3, 2))),
    ("masking", _one(lambda d: L.Masking(0.0))),
    ("random crop", _one(lambda d: L.RandomCrop(2, 2))),
    ("random flip", _one(lambda d: L.RandomFlip())),
    ("centre crop", _one(lambda d: L.CenterCrop(2, 2))),
    ("resizing", _one(lambda d: L.Resizing(3, 3))),
    ("spectral norm", _one(lambda d: L.SpectralNormalization(L.Dense(2)))),
    ("regularised", _one(lambda d: L.Dense(2, activity_regularizer="l2", kernel_regularizer="l1"))),
    ("product", _twice(lambda: L.Multiply())),
    ("maximum of branches", _twice(lambda: L.Maximum())),
    ("dot", _twice(lambda: L.Dot(axes=1))),
    ("sum of unequal", _twice(lambda: L.Add())),
    ("sum as an operation", _twice(lambda: lambda xs: xs[0] + xs[1])),
    ("difference as an operation", _twice(lambda: lambda xs: ops.subtract(xs[0], xs[1]))),
    ("joined as an operation", _twice(lambda: lambda xs: ops.concatenate(xs, axis=1))),
    ("stack", _twice(lambda: lambda xs: ops.stack(xs, axis=1))),
)


def randomised(model: Any, chance: Chance) -> None:
    """Every weight drawn anew; variances positive."""
    for layer in model._flatten_layers(include_self=False):
        if hasattr(layer, "layers") or not layer.weights:
            continue
        values = []
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if "variance" in variable.name:
                values.append(np.abs(chance.normal(*shape)) + chance.pick(0.0, 0.1))
            elif "kernel" in variable.name:
                flat = chance.weights(shape[-1] if shape else 1, int(np.prod(shape[:-1])))
                values.append(np.moveaxis(flat, 0, -1).reshape(shape))
            elif "seed" in variable.name or variable.name == "count":
                values.append(np.asarray(variable))
            else:
                values.append(chance.normal(*shape))
        layer.set_weights(values)


def keras_network(seed: int) -> Network:
    """A model or its file, its samples' shapes, and Keras itself as the truth.

    Keras infers shapes for some layers that PyTorch then does not run: such a network is drawn again.
    """
    network = _drawn(seed)
    while network.answers(network.batches(3, seed)) is None:
        seed += 10**6
        network = _drawn(seed)
    return network


def _drawn(seed: int) -> Network:
    d = Drawing(seed)
    c = d.chance
    draw_blocks(d, c, plain, oddity)
    if all(d.at is not v for v in d.values[len(d.inputs) :]):
        d.at = d.inputs[0]
        d.layer(L.ReLU)
    if c.happens(0.4):
        d.layer(lambda: L.Flatten()) and d.layer(lambda: L.Dense(3, activation=c.pick(None, "relu", "softmax")))
    others = [v for v in d.values[len(d.inputs) :] if v is not d.at]
    outputs = [d.at, *([c.pick(*others)] if others and c.happens(0.2) else [])]
    model = keras.Model(d.inputs, outputs if len(outputs) > 1 else outputs[0])
    randomised(model, c)
    given: Any = model
    way = c.between(0, 9)
    if way < 2:
        given = Path(mkdtemp(prefix="keras_network")) / ("model.keras" if way else "model.h5")
        try:
            model.save(given)
        except Exception:  # Keras itself cannot write it
            given = model
    layers = [
        layer.get_config().get("data_format") for layer in model._flatten_layers() if not isinstance(layer, L.Flatten)
    ]
    said = next((layout for layout in layers if layout), None)
    last = said == "channels_last" if said else any(len(x.shape) > 3 for x in d.inputs)
    shapes = [tuple(x.shape[1:]) for x in d.inputs]
    return Network(
        given, shapes, _truth(model), {}, d.odd, channels_last=last, story=[*d.story, f"last {last} way {way}"]
    )


def _truth(model: Any) -> Callable[[Sequence[Array]], list[Array] | None]:
    def answers(batches: Sequence[Array]) -> list[Array] | None:
        try:
            found = model(list(batches) if len(batches) > 1 else batches[0], training=False)
        except Exception:  # this model does not take such a batch
            return None
        return [np.asarray(keras.ops.convert_to_numpy(y)) for y in keras.tree.flatten(found)]

    return answers
