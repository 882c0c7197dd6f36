"""What a network's answer looks like, and what targets look like, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Shape
from spikewright.parts import storable
from spikewright.text import shape_text


@storable
@dataclass(frozen=True)
class Answer:
    """One output of a network.

    Attributes:
        name: of the output.
        shape: of one sample's answer, channels first; () for a number without axes.
        activation: that the output applies: "softmax", "sigmoid", "tanh", ..., or None.
    """

    name: str
    shape: Shape
    activation: str | None = None

    @property
    def single(self) -> bool:
        """Whether it is one number."""
        return prod(self.shape) == 1

    @property
    def classes(self) -> int:
        """How many classes it is one row of; 0 where it is none."""
        return self.shape[0] if self.shape and prod(self.shape) == self.shape[0] > 1 else 0

    @property
    def positions(self) -> Shape:
        """The axes behind the channels, where there are any."""
        return self.shape[1:] if prod(self.shape[1:]) > 1 else ()

    @property
    def threshold(self) -> float:
        """The value above which one answer says yes: a logit's sign, also behind a sigmoid or tanh."""
        return 0.5 if self.activation == "sigmoid" else 0.0

    def __str__(self) -> str:
        if self.single:
            return "1 value"
        return f"{self.classes} values" if self.classes else f"{shape_text(self.shape)} values"


class Labels:
    """Targets of one output, looked at.

    Args:
        values: ``(N, ...)``, whole numbers or finite floats, as ``as_targets`` gives them.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.values)

    @property
    def shape(self) -> Shape:
        """The shape of one sample's target."""
        return tuple(self.values.shape[1:])

    @property
    def floats(self) -> bool:
        """Whether they are of a floating-point type."""
        return self.values.dtype.kind == "f"

    @cached_property
    def low(self) -> float:
        """The smallest label; 0 where there is none."""
        return float(self.values.min()) if self.values.size else 0.0

    @cached_property
    def high(self) -> float:
        """The largest label; 0 where there is none."""
        return float(self.values.max()) if self.values.size else 0.0

    @cached_property
    def whole(self) -> bool:
        """Whether all are whole numbers, of whatever type."""
        return not self.floats or all(bool((part == np.round(part)).all()) for part in self.chunks())

    @cached_property
    def zero_one(self) -> bool:
        """Whether all are 0 or 1."""
        return self.whole and self.low >= 0 and self.high <= 1

    @cached_property
    def signs(self) -> bool:
        """Whether all are −1 or 1."""
        return self.low >= -1 and self.high <= 1 and all(bool((np.abs(part) == 1).all()) for part in self.chunks())

    def chunks(self) -> list[NDArray[Any]]:
        """Some samples at a time: what is made of them all would be large."""
        few = max(1, 2**22 // max(prod(self.shape), 1))
        return [self.values[k : k + few] for k in range(0, self.samples, few)]

    def sums_to_one(self, axis: int) -> bool:
        """Whether all are 0 or more and sum to 1 along an axis of several."""
        if self.values.ndim <= abs(axis) or self.values.shape[axis] < 2 or self.low < 0:
            return False
        return all(bool((np.abs(part.sum(axis=axis, dtype=np.float64) - 1) < 1e-3).all()) for part in self.chunks())

    def __str__(self) -> str:
        shape = "(" + ", ".join(["N", *map(str, self.shape)]) + ("," if not self.shape else "") + ")"
        of = f"of shape {shape}"
        if self.samples and not self.values.size:
            return f"empty, {of}"
        rows = "rows of " if len(self.shape) == 1 else ""
        if rows and self.sums_to_one(1):
            return f"rows of {'0 and 1' if self.zero_one else 'numbers'} that sum to 1, {of}"
        if rows and self.zero_one:
            return f"rows of 0 and 1 that do not sum to 1, {of}"
        kind = "floats" if self.floats else "whole numbers"
        values = f"all {self.low:.6g}" if self.low == self.high else f"from {self.low:.6g} to {self.high:.6g}"
        return f"{kind} {values} {of}"
