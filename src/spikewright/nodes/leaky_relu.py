"""A rectifier that lets some of what is negative through; a pass splits it into two populations, if asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyReLU(Node):
    """``y = max(x, 0) + slope · min(x, 0)``.

    Attributes:
        slope: of the negative side: one for all (shape ``()``), one a channel, or one a neuron (a PReLU).
    """

    slope: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", np.asarray(self.slope))  # a plain number is welcome
        super().__post_init__()

    @property
    def parameters(self) -> int:
        return self.slope.size if self.slope.ndim else 0

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.slope.shape not in ((), inputs[0][:1], inputs[0]):
            raise GraphError(f"{self}: a slope of shape {self.slope.shape} does not fit an input of {inputs[0]}")
        return inputs[0]

    def spread(self, shape: Shape) -> Array:
        """Its slope as one number a channel, or one a neuron where it has those."""
        return self.slope if self.slope.shape == shape else np.broadcast_to(self.slope, shape[:1])

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        slope = to_tensor(self.slope)

        def forward(x: Tensor) -> Tensor:
            wide = slope.view(-1, *(1 for _ in x.shape[2:])) if slope.ndim == 1 else slope
            return x.clamp(min=0) + wide * x.clamp(max=0)

        return forward
