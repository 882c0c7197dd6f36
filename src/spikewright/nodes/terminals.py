"""Where values come in and go out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Array, Node, Place, Shape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Node):
    """One input of the network.

    Attributes:
        shape: of one sample, without the batch axis: channels first, unless ``channels`` says otherwise.
        channels: where the trained network has them: "first"; "last", and so has this input; or "moved": last there and
            first here, so that flat samples and those whose axes could be read either way have them last.
    """

    shape: Shape
    channels: Literal["first", "last", "moved"] = "first"
    arity = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        super().__post_init__()

    def infer_shape(self, *inputs: Shape) -> Shape:
        if not self.shape:
            raise GraphError(f"{self}: a sample needs at least one axis besides the batch")
        if self.channels not in ("first", "last", "moved"):
            raise GraphError(f"{self}: channels must be 'first', 'last' or 'moved', not {self.channels!r}")
        return self.shape

    def bind(self, place: Place) -> Callable[..., Tensor]:
        return lambda x: x


@dataclass(frozen=True, eq=False, kw_only=True)
class Output(Node):
    """One output of the network: in a spiking run it adds up what arrives and divides by the time passed.

    Attributes:
        activation: ``"softmax"`` where the network's final softmax was kept: applied to the readout,
            along the first axis of a sample; None otherwise.
    """

    activation: Literal["softmax"] | None = None

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.activation not in (None, "softmax"):
            raise GraphError(f"{self}: activation must be 'softmax' or None, not {self.activation!r}")
        return inputs[0]

    def bind(self, place: Place) -> Callable[..., Tensor]:
        if self.activation == "softmax":
            return lambda x: x.softmax(dim=1)
        return lambda x: x

    def events(self, *counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return counts[0]

    def carry_scale(self, *scales: Array) -> Array:
        return scales[0]
