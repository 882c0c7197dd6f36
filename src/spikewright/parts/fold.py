"""Sums of floats whose rounding does not depend on how a data set was cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.parts.plain import storable

Sums = tuple[NDArray[np.float64], ...]


@storable
class Fold:
    """Adds up arrays of batches, pair by pair along a binary tree over the numbers of the batches.

    Floats add up to other last digits in another order. Here the order follows from the numbers of the batches alone:
    batches 2k and 2k + 1 are added first, then what came of them and of their neighbours. So the sums of parts that
    were made anywhere merge to those of the whole, bit for bit, and hold about log2(batches) arrays each. The error
    grows with the logarithm of the number of batches too (pairwise summation, Higham 1993).

    Attributes:
        nodes: by (level, number) of a node of the tree, the sums over its batches.
    """

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], Sums] = {}

    def add(self, batch: int, *values: NDArray[Any] | float) -> None:
        """Take in what a batch of such a number has; the same number of arrays, of the same shapes, each time."""
        self._put(0, batch, tuple(np.array(value, np.float64) for value in values))

    def merge(self, other: Fold) -> None:
        """Take in the sums of other batches; those that have the same numbers stand behind these."""
        behind = 0
        if any(a < d and c < b for a, b in map(_span, self.nodes) for c, d in map(_span, other.nodes)):
            unit = 1 << max(level for level, _ in other.nodes)
            behind = -(-max(end for _, end in map(_span, self.nodes)) // unit) * unit
        for (level, number), sums in other.nodes.items():
            self._put(level, number + (behind >> level), sums)

    def _put(self, level: int, number: int, sums: Sums) -> None:
        while (level, number ^ 1) in self.nodes:
            sibling = self.nodes.pop((level, number ^ 1))
            first, second = (sums, sibling) if number % 2 == 0 else (sibling, sums)
            sums = self.joined(first, second)
            level, number = level + 1, number // 2
        self.nodes[level, number] = sums

    @property
    def totals(self) -> Sums:
        """The sums over all batches; none where there were none."""
        found: Sums = ()
        for _, sums in sorted(self.nodes.items(), key=lambda node: node[0][1] << node[0][0]):
            found = self.joined(found, sums) if found else sums
        return found

    def joined(self, first: Sums, second: Sums) -> Sums:
        """The sums of two neighbours, the earlier batches first."""
        return tuple(np.asarray(a + b) for a, b in zip(first, second, strict=True))


def _span(node: tuple[int, int]) -> tuple[int, int]:
    """The number of the first batch of a node, and that behind its last."""
    level, number = node
    return number << level, (number + 1) << level
