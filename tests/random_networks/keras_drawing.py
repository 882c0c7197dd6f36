"""Drawing a Keras model layer by layer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L

from random_networks.drawing import Chance

SMALL = 4000


class Drawing:
    """Draws a functional model layer by layer; ``at`` is the tensor that the next one reads."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        keras.utils.set_random_seed(seed % 2**31)
        self.last = self.chance.happens(0.8)
        shape = self.chance.sample_shape()
        shape = (*shape[1:], shape[0]) if self.last else shape
        self.inputs = [L.Input(shape, name="x")]
        if self.chance.happens(0.1):
            self.inputs.append(L.Input(shape, name="y"))
        self.values: list[Any] = list(self.inputs)
        self.at: Any = self.inputs[0]
        self.layers: list[Any] = []
        self.odd: list[str] = []
        self.story: list[str] = []
        self.layout = "channels_last" if self.last else "channels_first"

    @property
    def sample(self) -> tuple[int, ...]:
        return tuple(self.at.shape[1:])

    @property
    def channels(self) -> int:
        return int(self.sample[-1] if self.last else self.sample[0])

    @property
    def spatial(self) -> tuple[int, ...]:
        return self.sample[:-1] if self.last else self.sample[1:]

    def layer(self, made: Callable[[], Any], *others: Any, told: str = "") -> bool:
        """Add a layer if Keras takes it there."""
        try:
            layer = made()
            found = layer([self.at, *others]) if others else layer(self.at)
            shape = found.shape[1:]
        except Exception:
            return False
        if None in shape or not shape or not 0 < np.prod(shape) <= SMALL:
            return False
        self.layers.append(layer)
        self.values.append(found)
        self.at = found
        self.story.append(f"{told or type(layer).__name__} -> {tuple(shape)}")
        return True
