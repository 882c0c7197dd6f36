"""Keras networks for tests: small, with random biases and statistics, and what Keras itself makes of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L

import spikewright as sw
from spikewright.forward import Forward
from spikewright.graph import Graph

INPUT = (8, 7, 3)


def randomised(model: Any, seed: int = 0) -> Any:
    """The model with every weight drawn anew; variances positive, kernels small enough for deep networks."""
    random = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        if hasattr(layer, "layers"):
            continue
        values = []
        for variable in layer.weights:
            shape = tuple(variable.shape)
            value = random.normal(size=shape) / 2
            if "variance" in variable.name:
                value = random.uniform(0.3, 2, shape)
            elif "kernel" in variable.name:
                value = random.normal(size=shape) / np.sqrt(max(np.prod(shape[:-1]), 1))
            elif variable.name == "count":
                value = np.zeros(shape)
            values.append(value)
        layer.set_weights(values)
    return model


def chain(*parts: Any, shape: tuple[int, ...] = INPUT) -> Any:
    """Layers one after the other, as a functional model with random weights."""
    at = start = L.Input(shape, name="x")
    for part in parts:
        at = part(at)
    return randomised(keras.Model(start, at))


def samples(model: Any, count: int = 4, seed: int = 1) -> list[np.ndarray]:
    """A batch for each input, in Keras' layout."""
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (count, *x.shape[1:])).astype(np.float32) for x in model.inputs]


def keras_outputs(model: Any, xs: list[np.ndarray]) -> list[np.ndarray]:
    outputs = model(xs if len(xs) > 1 else xs[0], training=False)
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]


def first(x: np.ndarray, last: bool = True) -> np.ndarray:
    """Channels first."""
    return np.moveaxis(x, -1, 1) if last and x.ndim > 1 else x


def graph_outputs(graph: Graph, xs: list[np.ndarray], last: bool = True) -> list[np.ndarray]:
    """The outputs of a graph for batches in Keras' layout."""
    import torch

    forward = Forward(graph)
    batches = (torch.from_numpy(np.ascontiguousarray(first(x, last))) for x in xs)
    return [y.numpy() for y in forward(dict(zip(forward.input_names, batches, strict=True))).values()]


def saved(model: Any, suffix: str) -> Graph:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        model.save(path)
        return sw.load(path)


def same(model: Any, xs: list[np.ndarray] | None = None, last: bool = True, files: bool = True) -> Graph:
    """The graph of a model, after comparing it with Keras: from memory, from ``.keras``, and from ``.h5``."""
    xs = samples(model) if xs is None else xs
    expected = keras_outputs(model, xs)
    graph = sw.load(model)
    for found in (graph, *((saved(model, ".keras"), saved(model, ".h5")) if files else ())):
        for ours, theirs in zip(graph_outputs(found, xs, last), expected, strict=True):
            theirs = first(theirs, last)
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 1e-4 * max(np.abs(theirs).max(), 1)
    return graph


# Architectures.


def conv(at: Any, filters: int, size: int = 3, strides: int = 1, relu: str | None = "relu") -> Any:
    at = L.Conv2D(filters, size, strides, padding="same", use_bias=False)(at)
    at = L.BatchNormalization()(at)
    return L.Activation(relu)(at) if relu else at


def finish(start: Any, at: Any, classes: int = 3) -> Any:
    at = L.GlobalAveragePooling2D()(at)
    return randomised(keras.Model(start, L.Dense(classes, activation="softmax")(at)))


def resnet() -> Any:
    """An identity shortcut, then a projection."""
    start = L.Input((8, 8, 3))
    at = conv(start, 4)
    at = L.ReLU()(L.Add()([at, conv(conv(at, 4), 4, relu=None)]))
    side = L.Conv2D(6, 1, 2, padding="same")(at)
    at = L.ReLU()(L.Add()([side, conv(conv(at, 6, strides=2), 6, relu=None)]))
    return finish(start, at)


def densenet() -> Any:
    """Norm and ReLU before every convolution, everything joined."""
    start = L.Input((8, 8, 3))
    at = L.Conv2D(4, 3, padding="same")(start)
    for _ in range(2):
        new = L.Conv2D(3, 3, padding="same")(L.ReLU()(L.BatchNormalization()(at)))
        at = L.Concatenate()([at, new])
    at = L.AveragePooling2D(2)(L.Conv2D(4, 1)(L.ReLU()(L.BatchNormalization()(at))))
    return finish(start, L.ReLU()(L.BatchNormalization()(at)))


def mobilenet_v1() -> Any:
    start = L.Input((8, 8, 3))
    at = L.ZeroPadding2D(((0, 1), (0, 1)))(start)
    at = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(4, 3, 2, use_bias=False)(at)))
    at = L.DepthwiseConv2D(3, padding="same", use_bias=False)(at)
    at = L.ReLU(6.0)(L.BatchNormalization()(at))
    at = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(6, 1, use_bias=False)(at)))
    at = L.SeparableConv2D(5, 3, padding="same", activation="relu")(at)
    return finish(start, L.Dropout(0.3)(at))


def mobilenet_v2() -> Any:
    """Linear bottlenecks with a shortcut between them."""
    start = L.Input((8, 8, 3))
    at = L.Conv2D(4, 3, 2, padding="same")(start)
    for _ in range(2):
        inner = conv(at, 8, 1, relu="relu6")
        inner = L.Activation("relu6")(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(inner)))
        at = L.Add()([at, L.BatchNormalization()(L.Conv2D(4, 1)(inner))])
    return finish(start, L.ReLU(6.0)(L.Conv2D(6, 1)(at)))


def squeezenet() -> Any:
    start = L.Input((9, 9, 3))
    at = L.MaxPooling2D(3, 2)(L.Conv2D(4, 3, padding="same", activation="relu")(start))
    squeezed = L.Conv2D(3, 1, activation="relu")(at)
    wide = [L.Conv2D(4, size, padding="same", activation="relu")(squeezed) for size in (1, 3)]
    at = L.Concatenate()(wide)
    at = L.Conv2D(3, 1, activation="relu")(L.Dropout(0.5)(at))
    return randomised(keras.Model(start, L.Softmax()(L.GlobalAveragePooling2D()(at))))


def inception() -> Any:
    start = L.Input((8, 8, 3))
    at = L.Conv2D(4, 3, 2, padding="same", activation="relu")(start)
    branches = [
        L.Conv2D(3, 1, activation="relu")(at),
        L.Conv2D(3, 3, padding="same", activation="relu")(L.Conv2D(2, 1, activation="relu")(at)),
        L.Conv2D(2, (1, 3), padding="same", activation="relu")(at),
        L.Conv2D(2, 1, activation="relu")(L.MaxPooling2D(3, 1, padding="same")(at)),
    ]
    return finish(start, L.Concatenate(axis=-1)(branches))


def conv1d() -> Any:
    return randomised(
        keras.Sequential(
            [
                L.Input((20, 2)),
                L.Conv1D(4, 5, padding="causal", activation="relu"),
                L.BatchNormalization(),
                L.AveragePooling1D(2),
                L.Conv1D(5, 3, strides=2, padding="same", activation="relu"),
                L.Flatten(),
                L.Dense(6, activation="relu"),
                L.Dense(3),
            ]
        )
    )


def two_outputs() -> Any:
    start = L.Input((6, 6, 2))
    at = L.Flatten()(L.Conv2D(3, 3, activation="relu")(start))
    left, right = L.Dense(3, name="left")(at), L.Dense(2, activation="relu", name="right")(at)
    return randomised(keras.Model(start, [left, L.Dense(2)(right)]))


def nested() -> Any:
    """A model in a model, and that twice: its layers are shared."""
    encoder = keras.Sequential(
        [L.Conv2D(4, 3, activation="relu", name="conv1"), L.BatchNormalization(name="norm")], name="encoder"
    )
    head_in = L.Input((6, 6, 4))
    both = L.Conv2D(3, 1, name="mix")(head_in)
    head = keras.Model(head_in, [both, L.ReLU()(both)], name="head")
    start = L.Input((8, 8, 3))
    linear, _ = head(encoder(start))
    _, rectified = head(encoder(L.Conv2D(3, 1, activation="relu")(start)))
    return finish(start, L.ReLU()(L.Add()([linear, rectified])))


def shared() -> Any:
    """One layer called on two inputs."""
    layer = L.Conv2D(3, 3, activation="relu", name="eye")
    ins = [L.Input((6, 6, 2), name=side) for side in ("left", "right")]
    at = L.Concatenate()([layer(x) for x in ins])
    return randomised(keras.Model(ins, L.Dense(3)(L.GlobalAveragePooling2D()(at))))


ARCHITECTURES: tuple[Callable[[], Any], ...] = (
    *(resnet, densenet, mobilenet_v1, mobilenet_v2, squeezenet, inception),
    *(conv1d, two_outputs, nested),
)
