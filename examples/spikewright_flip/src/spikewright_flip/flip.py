"""The values of one axis in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Flip(Node):
    """Reverses one axis of a sample.

    Attributes:
        axis: of the sample, channels being 0.
    """

    axis: int

    def infer_shape(self, *inputs: Shape) -> Shape:
        if not 0 <= self.axis < len(inputs[0]):
            raise GraphError(f"{self}: there is no axis {self.axis} in a sample of shape {inputs[0]}")
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[[Tensor], Tensor]:
        return lambda x: x.flip(self.axis + 1)  # batches have one axis more

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[Any]:
        return np.flip(numbers[0], self.axis)
