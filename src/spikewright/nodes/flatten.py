"""A sample as one row of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Array, Node, Place, Shape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Node):
    """All axes of a sample into one, channels slowest."""

    def infer_shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def bind(self, place: Place) -> Callable[..., Tensor]:
        return lambda x: x.flatten(1) if x.ndim > 1 else x[:, None]

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return counts[0].ravel()

    def carry_scale(self, *scales: Array) -> Array:
        return scales[0].ravel()
