"""Zeros around a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spikewright.connections.moves import NOWHERE
from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor, check_size
from spikewright.nodes._window import Padding, check_pairs, torch_padding

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Node):
    """Zeros before and after along each axis of a sample; a negative number crops.

    Attributes:
        padding: ``(low, high)`` for every axis of a sample, channels included.
    """

    padding: Padding

    def infer_shape(self, *inputs: Shape) -> Shape:
        if len(self.padding) != len(inputs[0]):
            raise GraphError(f"{self}: {self.padding} is not a (low, high) for each axis of {inputs[0]}")
        check_pairs(self, self.padding)
        grown = zip(inputs[0], self.padding, strict=True)
        check_size(self, tuple(n + max(low, 0) + max(high, 0) for n, (low, high) in grown))
        return tuple(n + low + high for n, (low, high) in zip(inputs[0], self.padding, strict=True))

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        import torch.nn.functional as F

        zeros = torch_padding(tuple((max(low, 0), max(high, 0)) for low, high in self.padding))
        crops = torch_padding(tuple((min(low, 0), min(high, 0)) for low, high in self.padding))
        return lambda x: F.pad(F.pad(x, zeros), crops)  # one call refuses to crop more than there was before the zeros

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        grown = tuple((max(low, 0), max(high, 0)) for low, high in self.padding)
        wide = np.pad(numbers[0], grown, constant_values=NOWHERE)
        crop = (slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(wide.shape, self.padding, strict=True))
        return wide[tuple(crop)]
