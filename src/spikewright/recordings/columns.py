"""The events of a piece of a recording, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.text import brief

NAMES = ("x", "y", "t", "p")


@dataclass(frozen=True, eq=False)
class Columns:
    """E events in the order of the file.

    Attributes:
        x: ``(E,)`` int32, columns of the sensor from the left.
        y: ``(E,)`` int32, rows from the top.
        t: ``(E,)`` int64, microseconds.
        p: ``(E,)`` bool, whether it became brighter.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    t: NDArray[np.int64]
    p: NDArray[np.bool_]

    __repr__ = brief

    @classmethod
    def of(cls, x: Any, y: Any, t: Any, p: Any) -> Self:
        """Columns of arrays of any whole numbers that fit; polarities above 0 are bright."""
        return cls(
            np.asarray(x).astype(np.int32),
            np.asarray(y).astype(np.int32),
            np.asarray(t).astype(np.int64),
            np.asarray(p) > 0,
        )

    @classmethod
    def joined(cls, pieces: Sequence[Columns]) -> Columns:
        """Pieces one after the other."""
        if len(pieces) == 1:
            return pieces[0]
        if not pieces:
            return cls.of([], [], [], [])
        return cls(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in NAMES))

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, which: slice | NDArray[Any]) -> Columns:
        """Some of the events."""
        return type(self)(self.x[which], self.y[which], self.t[which], self.p[which])
