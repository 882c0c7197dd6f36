"""A sample as one row of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Node):
    """All axes of a sample into one, channels slowest."""

    def infer_shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.flatten(1) if x.ndim > 1 else x[:, None]

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[0].ravel()
