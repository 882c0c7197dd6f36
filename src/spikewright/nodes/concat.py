"""Branches side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """Its inputs joined along one axis.

    Attributes:
        axis: of a sample; 0 is the channels.
    """

    axis: int = 0
    arity = None

    def infer_shape(self, *inputs: Shape) -> Shape:
        others = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in inputs}
        if len(others) != 1 or not 0 <= self.axis < len(inputs[0]):
            raise GraphError(f"{self}: shapes {', '.join(map(str, inputs))} cannot be joined along axis {self.axis}")
        shape = list(inputs[0])
        shape[self.axis] = sum(s[self.axis] for s in inputs)
        return tuple(shape)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch

        return lambda *xs: torch.cat(xs, dim=self.axis + 1)

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate(numbers, axis=self.axis)
