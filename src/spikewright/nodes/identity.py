"""What does nothing at inference; a pass takes it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Identity(Node):
    """``y = x``.

    Attributes:
        source: what it was in the trained network: ``"dropout"``, ``"noise"``, ``"identity"``.
    """

    source: str = "identity"

    def infer_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[0]
