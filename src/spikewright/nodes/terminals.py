"""Where values come in and go out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError
from spikewright.graph import Node, Shape, ToTensor
from spikewright.settings import plain

if TYPE_CHECKING:
    from torch import Tensor

MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Node):
    """One input of the network.

    Attributes:
        shape: of one sample, without the batch axis: channels first, unless ``channels`` says otherwise.
        channels: where the trained network has them: "first"; "last", and so has this input; or "moved": last there and
            first here, so that flat samples and those whose axes could be read either way have them last.
        event_value: what one event stands for where values are sent as random events, the λ of the input: learnt by
            calibration, None where nobody said. The network takes values as they are all the same.
    """

    shape: Shape
    channels: Literal["first", "last", "moved"] = "first"
    event_value: float | None = None
    arity = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.event_value is not None:
            value = plain(self.event_value)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise GraphError(f"{self}: event_value must be positive and finite, not {str(value)[:40]}")
            object.__setattr__(self, "event_value", float(value))
        super().__post_init__()

    def infer_shape(self, *inputs: Shape) -> Shape:
        if not self.shape:
            raise GraphError(f"{self}: a sample needs at least one axis besides the batch")
        if self.channels not in ("first", "last", "moved"):
            raise GraphError(f"{self}: channels must be 'first', 'last' or 'moved', not {self.channels!r}")
        return self.shape

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return lambda x: x


Activation = Literal["softmax", "log_softmax", "relu", "sigmoid", "tanh"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Output(Node):
    """One output of the network: in a spiking run it adds up what arrives and divides by the time passed.

    Attributes:
        activation: the network's final activation, where it was kept: applied to the mean so far at every timestep,
            as the analog network applies it to its last layer; None for the values as they are.
        ceiling: of ``"relu"``: 6 for a ReLU6; None for no ceiling.
        axis: of ``"softmax"`` and ``"log_softmax"``: the axis of a sample along which they go.
        scalar: whether the answer has no axes, ``()``; the output then reads a row of one value.
    """

    activation: Activation | None = None
    ceiling: float | None = None
    axis: int = 0
    scalar: bool = False

    def infer_shape(self, *inputs: Shape) -> Shape:
        if self.activation not in (None, *get_args(Activation)):
            known = ", ".join(repr(name) for name in get_args(Activation))
            raise GraphError(f"{self}: activation must be one of {known} or None, not {self.activation!r}")
        if self.ceiling is not None and (self.activation != "relu" or not 0 < self.ceiling <= MOST):
            raise GraphError(
                f"{self}: a ceiling is a positive finite number behind a 'relu', not {self.ceiling} "
                f"behind {self.activation!r}"
            )
        along = range(len(inputs[0])) if self.activation in ("softmax", "log_softmax") else range(1)
        if self.axis not in along:
            raise GraphError(f"{self}: a {self.activation} of an output of shape {inputs[0]} has no axis {self.axis}")
        if self.scalar and inputs[0] != (1,):
            raise GraphError(f"{self}: an answer without axes is read from one value, not from {inputs[0]}")
        return () if self.scalar else inputs[0]

    def answer(self, values: Tensor, lead: int = 1) -> Tensor:
        """What the network answers with, from the values that arrive.

        Args:
            values: ``(*lead axes, *shape of what is read)``.
            lead: how many axes stand before those of a sample: the batch, or the batch and time.
        """
        if self.scalar:
            values = values.squeeze(lead)
        if self.activation == "softmax":
            return values.softmax(dim=self.axis + lead)
        if self.activation == "log_softmax":
            return values.log_softmax(dim=self.axis + lead)
        if self.activation == "relu":
            return values.clamp(0.0, self.ceiling)
        if self.activation == "sigmoid":
            return values.sigmoid()
        return values.tanh() if self.activation == "tanh" else values

    def bind(self, to_tensor: ToTensor) -> Callable[..., Tensor]:
        return self.answer

    def moves(self, *numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[0]
