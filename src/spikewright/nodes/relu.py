"""The rectifier: what conversion replaces by spiking neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Shape, ToTensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Node):
    """``y = min(max(x, 0), ceiling)``, or the same in steps.

    With levels it is ``y = ceiling/levels · clip(floor(levels·x/ceiling + shift), 0, levels)``: for a shift of ½ the
    activation of QCFS (Bu et al. 2022), trained to be what an integrate-and-fire neuron counts in ``levels`` steps.

    Attributes:
        ceiling: None, one number for all (6 for a ReLU6), or, after normalising, one for each channel.
        levels: how many steps lead from 0 to the ceiling; None for no steps.
        shift: of the rounding, in steps: in [0, 1).
        ties: what lies halfway between two whole numbers, where a network rounds to the nearest (a shift of ½): goes
            "up", as in the equation, or to the "even" or the "odd" one, as frameworks round.
    """

    ceiling: Array | float | None = None
    levels: int | None = None
    shift: float = 0.5
    ties: Literal["up", "even", "odd"] = "up"

    def infer_shape(self, *inputs: Shape) -> Shape:
        if isinstance(self.ceiling, float | int) and not 0 < self.ceiling <= float(np.finfo(np.float32).max):
            raise GraphError(f"{self}: the ceiling must be positive and finite, not {self.ceiling}")
        if self.levels is not None and (self.ceiling is None or self.levels < 1 or not 0 <= self.shift < 1):
            raise GraphError(f"{self}: {self.levels} levels need a ceiling, and a shift in [0, 1), not {self.shift}")
        if self.ties not in ("up", "even", "odd"):
            raise GraphError(f"{self}: ties go 'up', or to the 'even' or 'odd' number, not {self.ties!r}")
        return inputs[0]

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        if self.ceiling is None:
            return lambda x: x.relu()
        levels = self.levels
        if levels is None and isinstance(self.ceiling, float | int):
            limit = float(self.ceiling)
            return lambda x: x.clamp(0.0, limit)
        ceiling = to_tensor(np.asarray(self.ceiling))

        def forward(x: Tensor) -> Tensor:
            wide = ceiling if ceiling.ndim in (0, x.ndim - 1) else ceiling.view(-1, *(1 for _ in x.shape[2:]))
            if levels is None:
                return x.relu().minimum(wide)
            scaled = x * (levels / wide)  # what follows takes its place: it is far larger than caches
            if self.ties == "up":
                rounded = scaled.add_(self.shift).floor_()
            else:
                odd = float(self.ties == "odd")
                rounded = scaled.add_(self.shift - 0.5 + odd).round_().sub_(odd)
            return rounded.clamp_(0, levels).mul_(wide / levels)

        return forward
