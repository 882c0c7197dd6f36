"""Fully connected: every input to every output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Self

import numpy as np

from spikewright.connections import Connections
from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Node):
    """``y = W x + b``.

    Attributes:
        weight: ``(outputs, inputs)``.
        bias: ``(outputs,)``.
    """

    weight: Array
    bias: Array
    weighted = True

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise GraphError(f"{self}: weight {self.weight.shape} and bias {self.bias.shape} do not belong together")
        if inputs[0] != self.weight.shape[1:]:
            hint = "; flatten it first" if len(inputs[0]) > 1 and prod(inputs[0]) == self.weight.shape[1] else ""
            raise GraphError(f"{self}: takes {self.weight.shape[1]} values, its input has shape {inputs[0]}{hint}")
        return self.weight.shape[:1]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        weight, bias = to_tensor(self.weight), to_tensor(self.bias)
        return lambda x: F.linear(x, weight, bias)

    def connections(self, *inputs: Shape) -> Connections:
        return Connections(inputs[0], self.infer_shape(*inputs), kernel=self.weight[None])

    def rescale(self, before: Array, after: Array) -> Self:
        weight = self.weight.astype(np.float64) * before[None, :] / after[:, None]
        return self.replace(weight=weight, bias=self.bias.astype(np.float64) / after)

    def reweigh(self, change: Callable[[Array], Array]) -> Self:
        return self.replace(weight=change(self.weight))

    def followed_by(self, scale: Array, shift: Array) -> Self:
        return self.replace(weight=self.weight * scale[:, None], bias=self.bias * scale + shift)

    def preceded_by(self, scale: Array, shift: Array, shape: Shape) -> Self:
        repeats = shape[0] // len(scale)  # a Flatten lays a channel out in one piece
        weight = self.weight.astype(np.float64)
        moved = weight @ np.repeat(shift, repeats)
        return self.replace(weight=weight * np.repeat(scale, repeats), bias=self.bias + moved)
