"""The axes of a sample in another order."""

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
class Permute(Node):
    """Axis ``i`` of the output is axis ``axes[i]`` of the input.

    Attributes:
        axes: of a sample, without the batch axis.
    """

    axes: Shape

    def infer_shape(self, *inputs: Shape) -> Shape:
        if sorted(self.axes) != list(range(len(inputs[0]))):
            raise GraphError(f"{self}: {self.axes} does not order the axes of an input of shape {inputs[0]}")
        return tuple(inputs[0][axis] for axis in self.axes)

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x.permute(0, *(axis + 1 for axis in self.axes))

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[0].transpose(self.axes)
