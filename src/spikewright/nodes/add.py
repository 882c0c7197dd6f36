"""The sum of two or more branches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Node):
    """``y = x₁ + x₂ + …``, all of one shape."""

    arity = None

    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) != 1:
            raise GraphError(f"{self}: its branches have the shapes {', '.join(map(str, inputs))}; they must be equal")
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        def forward(first: Tensor, *others: Tensor) -> Tensor:
            for other in others:
                first = first + other
            return first

        return forward

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sum(counts, axis=0), np.float64)

    def carry_scale(self, *scales: Array) -> Array:
        if any((scale != scales[0]).any() for scale in scales[1:]):
            raise GraphError(f"{self}: its branches arrive with different scales")
        return scales[0]
