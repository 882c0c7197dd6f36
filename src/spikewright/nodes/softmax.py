"""Softmax, which only the end of a network may have; a pass drops it or moves it into the readout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Node):
    """``yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)`` along one axis, or its logarithm.

    Attributes:
        axis: of a sample.
        log: whether it is a log-softmax.
    """

    axis: int = 0
    log: bool = False

    def infer_shape(self, *inputs: Shape) -> Shape:
        if not 0 <= self.axis < len(inputs[0]):
            raise GraphError(f"{self}: an input of shape {inputs[0]} has no axis {self.axis}")
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        if self.log:
            return lambda x: x.log_softmax(dim=self.axis + 1)
        return lambda x: x.softmax(dim=self.axis + 1)
