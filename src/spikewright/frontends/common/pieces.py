"""Functions of one value that are lines between some cuts, and may jump there: what choices by comparison compute.

``where(x > c, x, 0)``, a threshold, a sign or a shrinkage is one, and so is any choice between such functions of the
same value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.causes import Cause
from spikewright.frontends.common.refusals import Refusal

CONTINUOUS = 1e-6
"""How far apart, as a share, two lines may be where they meet: what the rounding of constants makes."""
Number = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """``slope · x + shift``: numbers, or arrays that are spread over a sample."""

    slope: Number
    shift: Number

    @classmethod
    def of(cls, slope: Any, shift: Any) -> Line:
        """A line of plain numbers, or arrays."""
        return cls(np.asarray(slope, np.float64), np.asarray(shift, np.float64))

    @property
    def uniform(self) -> bool:
        """Whether it is the same for every value of a sample."""
        return all(bool((part == part.flat[0]).all()) for part in (self.slope, self.shift))

    def at(self, x: Any) -> Number:
        """Its value there."""
        return np.asarray(self.slope * x + self.shift)

    def of_line(self, inner: Line) -> Line:
        """The line of a line."""
        return Line(np.asarray(self.slope * inner.slope), self.at(inner.shift))

    def same(self, other: Line) -> bool:
        """Whether both are one line."""
        return bool(np.all(self.slope == other.slope) and np.all(self.shift == other.shift))

    def meets(self, other: Line, at: float) -> bool:
        """Whether both have the same value there, but for rounding."""
        size = sum(np.abs(line.slope * at) + np.abs(line.shift) for line in (self, other))
        return bool((np.abs(self.at(at) - other.at(at)) <= CONTINUOUS * size).all())


@dataclass(frozen=True, order=True)
class Cut:
    """Where one piece ends and the next begins.

    Attributes:
        at: the value of x.
        behind: whether the next piece begins behind it (1), or with it (0).
    """

    at: float
    behind: int = 0


FIRST = Cut(-inf)


@dataclass(frozen=True)
class Pieces:
    """A function: ``lines[k]`` up to ``cuts[k]``, the last one from the last cut on."""

    lines: tuple[Line, ...]
    cuts: tuple[Cut, ...] = ()

    def line_from(self, cut: Cut) -> Line:
        """The piece that begins at a cut, or goes on there."""
        return self.lines[sum(own <= cut for own in self.cuts)]

    def line_at(self, x: float) -> Line:
        """The piece that a value belongs to; next to a cut it counts as lying there."""
        return self.lines[sum(not c.behind if _next_to(x, c.at) else x > c.at for c in self.cuts)]


def _next_to(x: float, at: float) -> bool:
    return abs(x - at) <= 1e-12 * max(abs(x), abs(at))


SAME = Pieces((Line.of(1, 0),))
"""The value itself."""


def constant(value: Any) -> Pieces:
    """A function that is the same everywhere.

    Raises:
        Refusal: for what is not finite.
    """
    if not np.isfinite(value).all():
        raise Refusal(Cause.NOT_FINITE)
    return Pieces((Line.of(0, value),))


def stepped(at: float, below: float, there: float, above: float) -> Pieces:
    """Three numbers: below a cut, there, and above it."""
    return simplified(Pieces(tuple(Line.of(0, value) for value in (below, there, above)), (Cut(at), Cut(at, 1))))


TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
"""Comparisons with their sides exchanged."""


def compared(operator: str, bound: float) -> Pieces:
    """1 where a comparison of x with a bound holds, else 0.

    Args:
        operator: ``">"``, ``">="``, ``"<"`` or ``"<="``.
        bound: what x is compared with.
    """
    less = float("<" in operator)
    return stepped(bound, less, float("=" in operator), 1 - less)


def shrunk(limit: float, shift: float) -> Pieces:
    """``x + shift`` below the negative limit, else ``x − shift`` above the limit, and 0 between and there."""
    if limit < 0:
        return simplified(Pieces((Line.of(1, shift), Line.of(1, -shift)), (Cut(-limit),)))
    return simplified(Pieces((Line.of(1, shift), Line.of(0, 0), Line.of(1, -shift)), (Cut(-limit), Cut(limit, 1))))


def threshold(limit: float, value: float) -> Pieces:
    """x where it exceeds a limit, elsewhere a value."""
    return Pieces((Line.of(0, value), Line.of(1, 0)), (Cut(limit, 1),))


def rectifier(slope: Any = 0.0, ceiling: float | None = None) -> Pieces:
    """x from 0 on, up to a ceiling where there is one; below 0 a slope."""
    lines, cuts = (Line.of(slope, 0), Line.of(1, 0)), (Cut(0.0),)
    return Pieces(lines, cuts) if ceiling is None else Pieces((*lines, Line.of(0, ceiling)), (*cuts, Cut(ceiling)))


# What is made of several.


def combined(function: Callable[..., Line | None], *given: Pieces) -> Pieces | None:
    """What a function of lines makes of some functions of one x, piece by piece; None where it makes nothing."""
    cuts = tuple(sorted({cut for pieces in given for cut in pieces.cuts}))
    lines = [function(*(pieces.line_from(low) for pieces in given)) for low in (FIRST, *cuts)]
    found = tuple(line for line in lines if line is not None)
    return simplified(Pieces(found, cuts)) if len(found) == len(lines) else None


def chosen(mask: Line, one: Line, other: Line) -> Line | None:
    """One of two lines, by one that is 0 or 1."""
    if mask.slope.any() or not mask.uniform or mask.shift.flat[0] not in (0, 1):
        return None
    return one if mask.shift.flat[0] else other


def added(*lines: Line) -> Line:
    """The sum of several lines."""
    zero = np.zeros(())
    return Line(sum((line.slope for line in lines), zero), sum((line.shift for line in lines), zero))


def multiplied(one: Line, other: Line) -> Line | None:
    """The product of two lines one of which is flat."""
    if one.slope.any() and other.slope.any():
        return None
    flat, line = (other, one) if one.slope.any() else (one, other)
    return Line.of(flat.shift * line.slope, flat.shift * line.shift)


def _junction(bits: Callable[[Number, Number], Number]) -> Callable[[Line, Line], Line | None]:
    """A function of lines that are 0 or 1."""

    def function(one: Line, other: Line) -> Line | None:
        flat = not one.slope.any() and not other.slope.any()
        return Line.of(0, bits(one.shift, other.shift)) if flat else None

    return function


JUNCTIONS = {
    "and": _junction(lambda a, b: a * b),
    "or": _junction(lambda a, b: a + b - a * b),
    "xor": _junction(lambda a, b: a + b - 2 * a * b),
}


def through(outer: Pieces, inner: Pieces) -> Pieces | None:
    """``outer(inner(x))``; None where its cuts would lie elsewhere from value to value."""
    if not outer.cuts:
        return Pieces(tuple(outer.lines[0].of_line(piece) for piece in inner.lines), inner.cuts)
    if not all(piece.uniform for piece in inner.lines):
        return None
    cuts = set(inner.cuts)
    for piece in inner.lines:
        slope, shift = float(piece.slope.flat[0]), float(piece.shift.flat[0])
        if slope:  # of a falling line what lies above a cut comes first
            cuts |= {Cut((c.at - shift) / slope, c.behind if slope > 0 else 1 - c.behind) for c in outer.cuts}
    ordered = tuple(sorted(cuts))
    lines = []
    for low, high in pairwise((FIRST, *ordered, Cut(inf))):
        piece = inner.line_from(low)
        lines.append(outer.line_at(float(piece.at(_inside(low.at, high.at)).flat[0])).of_line(piece))
    return simplified(Pieces(tuple(lines), ordered))


def _inside(low: float, high: float) -> float:
    """A value between two cuts, or the only one there."""
    if low == -inf or high == inf:
        ends = [end for end in (low, high) if abs(end) < inf]
        return 0.0 if not ends else ends[0] + max(1.0, abs(ends[0])) * (1 if high == inf else -1)
    return low + (high - low) / 2


def simplified(pieces: Pieces) -> Pieces:
    """The same with as few cuts as there must be."""
    lines, cuts = [pieces.lines[0]], list[Cut]()
    for k, (cut, line) in enumerate(zip(pieces.cuts, pieces.lines[1:], strict=True)):
        point = k + 1 < len(pieces.cuts) and pieces.cuts[k + 1].at == cut.at
        if line.same(lines[-1]) or (point and line.meets(lines[-1], cut.at)):
            continue  # a point on the line before it belongs to that
        begins = cut
        if cuts and cuts[-1].at == cut.at and line.meets(lines[-1], cut.at):
            lines.pop()  # and one on the line behind it to that
            begins = cuts.pop()
        lines.append(line)
        cuts.append(begins)
    return Pieces(tuple(lines), tuple(cuts))
