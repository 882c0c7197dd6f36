"""Sums of floats that do not depend on their order: each is rounded once, at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.parts import storable

DIGITS, LOWEST = 53, 1127
"""Bits of a double, and how many bits below 1 the last bit of the smallest one lies, at most."""


@storable
class ExactSums:
    """Adds up doubles as whole multiples of 2^-1127, which all of them are.

    Args:
        count: how many sums there are.
    """

    def __init__(self, count: int) -> None:
        self.totals = [0] * count

    def add(self, values: NDArray[np.float64]) -> None:
        """Add one finite number to each sum."""
        fraction, exponent = np.frexp(np.asarray(values, np.float64).reshape(-1))
        digits = np.ldexp(fraction, DIGITS).astype(np.int64).tolist()
        shifts = (exponent + (LOWEST - DIGITS)).tolist()
        self.totals = [total + (d << s) for total, d, s in zip(self.totals, digits, shifts, strict=True)]

    def merge(self, other: ExactSums) -> None:
        """Add the sums of another one."""
        self.totals = [a + b for a, b in zip(self.totals, other.totals, strict=True)]

    @property
    def values(self) -> NDArray[np.float64]:
        """The sums, correctly rounded."""
        return np.array([total / (1 << LOWEST) for total in self.totals])

    @property
    def whole(self) -> float:
        """The sum of all of them, correctly rounded."""
        return sum(self.totals) / (1 << LOWEST)
