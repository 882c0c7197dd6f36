"""The rectifier: what conversion replaces by spiking neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Place, Shape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Node):
    """``y = min(max(x, 0), ceiling)``.

    Attributes:
        ceiling: None, one number for all (6 for a ReLU6), or, after normalising, one for each channel.
    """

    ceiling: Array | float | None = None

    def infer_shape(self, *inputs: Shape) -> Shape:
        if isinstance(self.ceiling, float | int) and not self.ceiling > 0:
            raise GraphError(f"{self}: the ceiling must be positive, not {self.ceiling}")
        return inputs[0]

    def bind(self, place: Place) -> Callable[..., Tensor]:
        if self.ceiling is None:
            return lambda x: x.relu()
        if isinstance(self.ceiling, float | int):
            limit = float(self.ceiling)
            return lambda x: x.clamp(0.0, limit)
        ceiling = place(self.ceiling)

        def forward(x: Tensor) -> Tensor:
            wide = ceiling if ceiling.ndim == x.ndim - 1 else ceiling.view(-1, *(1 for _ in x.shape[2:]))
            return x.relu().minimum(wide)

        return forward
