"""Settings that a rule could forget: with each the graph computes what Keras does, or the layer is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from keras_networks import L, chain, keras, same, saved
from spikewright.errors import UnsupportedModelError

ops = keras.ops
IMAGE = (4, 5, 3)

EXACT: dict[str, Callable[[], Any]] = {
    "ceiling": lambda: L.ReLU(max_value=0.7),
    "leak": lambda: L.ReLU(negative_slope=0.2),
    "leak that grows": lambda: L.LeakyReLU(negative_slope=2.0),
    "leak of nothing": lambda: L.LeakyReLU(negative_slope=0.0),
    "an activation with settings": lambda: L.Dense(2, activation=L.ReLU(max_value=0.5)),
    "a function as activation": lambda: L.Dense(2, activation=keras.activations.relu6),
    "a norm without centre": lambda: L.BatchNormalization(center=False, epsilon=0.1),
    "a norm without scale": lambda: L.BatchNormalization(scale=False),
    "a norm of rows": lambda: L.BatchNormalization(axis=1),
    "groups": lambda: L.Conv2D(6, 2, groups=3),
    "dilation": lambda: L.Conv2D(2, 2, dilation_rate=(2, 1), padding="same"),
    "a filled stride": lambda: L.Conv2DTranspose(2, 2, strides=3, output_padding=1),
    "multiplier": lambda: L.SeparableConv2D(2, 2, depth_multiplier=2, strides=2, padding="same"),
    "kept axes": lambda: L.GlobalMaxPooling2D(keepdims=True),
    "sides": lambda: L.ZeroPadding2D(((0, 1), (2, 0))),
    "cut sides": lambda: L.Cropping2D(((0, 1), (2, 0))),
    "sizes": lambda: L.UpSampling2D((1, 3)),
    "scale of a row": lambda: L.Rescaling([0.5, 2.0, 1.0], offset=[0.1, 0.0, 1.0]),
    "inverse": lambda: L.Normalization(axis=None, mean=0.5, variance=4.0, invert=True),
    "regularisers": lambda: L.Dense(2, activity_regularizer="l2", kernel_regularizer="l1", bias_constraint="non_neg"),
    "softmax of an axis": lambda: L.Softmax(axis=1),
    "softmax of an axis as an operation": lambda: lambda x: ops.softmax(x, axis=1),
    "an operation": lambda: ops.relu6,
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    same(chain(EXACT[name](), shape=IMAGE), files=False)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "ceiling of 0": (lambda: L.ReLU(max_value=0.0), "ReLU at .*: its lower bound 0 is not below"),
    "division by zero": (lambda: lambda x: x / 0.0, "TrueDivide at .*: it divides by zero"),
    "division by nearly zero": (
        lambda: lambda x: x / 1e-42,
        "TrueDivide at .*: its constant is infinite, or no number",
    ),
    "infinite": (lambda: lambda x: x * np.float32("inf"), "Multiply at .*: its constant is infinite, or no number"),
    "no number": (lambda: lambda x: x + np.float32("nan"), "Add at .*: its constant is infinite, or no number"),
    "dropout in training": (
        lambda: lambda x: L.Dropout(0.5)(x, training=True),
        "Dropout at .*: it is called with training",
    ),
    "whole numbers": (lambda: lambda x: ops.cast(ops.cast(x, "int32"), "float32"), "Cast at"),
    "floor division": (lambda: lambda x: x // 2, "FloorDivide at"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    made, message = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        sw.load(chain(made(), shape=IMAGE))
    assert "not make sense" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_a_model_in_a_model_that_is_called_in_training(suffix: str) -> None:
    """What it drops, it drops whenever the whole is called."""
    start = L.Input((4,))
    inner = keras.Model(start, L.Dropout(0.5)(L.Dense(3)(start)), name="inner")
    outer = L.Input((4,))
    model = keras.Model(outer, inner(outer, training=True))
    with pytest.raises(UnsupportedModelError, match="Functional at 'inner': it is called with training=True"):
        saved(model, suffix) if suffix else sw.load(model)
