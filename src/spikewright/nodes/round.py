"""Rounding to whole numbers: part of quantised activations, which a pass recognises and makes a ReLU with levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Round(Node):
    """``y = round(x)``, halves to the even number, as every framework rounds."""

    def infer_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.round()
