"""The same values in another shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Node):
    """Values read and written in row-major order.

    Attributes:
        shape: of a sample.
    """

    shape: Shape

    def infer_shape(self, *inputs: Shape) -> Shape:
        if prod(inputs[0]) != prod(self.shape):
            raise GraphError(f"{self}: {inputs[0]} does not hold as many values as {self.shape}")
        return self.shape

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.reshape(-1, *self.shape)

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[0].reshape(self.shape)
