"""A layered drawing of a directed graph, from top to bottom: geometry alone, the same for the same graph.

Vertices stand in rows. An edge over several rows has an item in each, a bend or its label, and moves sideways only in
the gaps between rows: it never runs into anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikewright.reports.network.columns import positions
from spikewright.reports.network.rows import BEND, Edge, Items, Rows, Size, items_of, ordered, paths_of

Point = tuple[float, float]

GAP = 26.0
"""Between rows; more where edges move far sideways."""
PORT = 12.0
"""Between edges at the same vertex."""


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with its centre at ``x``, ``y``, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x of its left side."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """The y of its upper side."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height / 2

    def overlaps(self, other: Rectangle) -> bool:
        """Whether it shares some area with another."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class Layout:
    """Where everything is, in pixels; x grows to the right, y downwards.

    Attributes:
        width, height: of the whole.
        vertices: in the order given.
        labels: of each edge, None where it has none.
        strokes: of each edge, one line or, where a label interrupts it, two. Each is a list of points; between two of
            the same x it is straight, between others a curve that is upright at both ends.
    """

    width: float
    height: float
    vertices: tuple[Rectangle, ...]
    labels: tuple[Rectangle | None, ...]
    strokes: tuple[tuple[tuple[Point, ...], ...], ...]


def layered(sizes: Sequence[Size], edges: Sequence[Edge]) -> Layout:
    """Lay out a graph.

    Args:
        sizes: width and height of each vertex; a vertex stands after those that lead to it.
        edges: between them.
    """
    items = items_of(sizes, edges)
    paths = paths_of(items)
    rows = ordered(items, paths)
    x = positions(items, rows, paths)
    return _drawn(items, rows, x, edges)


def _drawn(items: Items, rows: Rows, x: list[float], edges: Sequence[Edge]) -> Layout:
    tops, bottoms = _heights(items, rows, x)
    row_of = items.row_of
    boxes = [
        Rectangle(middle, (tops[row_of[item]] + bottoms[row_of[item]]) / 2, *items.sizes[item])
        for item, middle in enumerate(x)
    ]
    labels: list[Rectangle | None] = [None] * len(edges)
    strokes = []
    for number, (chain, leaves, arrives) in enumerate(zip(items.chains, *_ports(items, x), strict=True)):
        source, *between, target = chain
        start, end = x[source] + leaves, x[target] + arrives
        line = [(start, boxes[source].bottom), (start, bottoms[row_of[source]])]
        lines = [line]
        for item in between:
            line.append((x[item], tops[row_of[item]]))
            if items.sizes[item] != BEND:
                labels[number] = boxes[item]
                line.append((x[item], boxes[item].top))
                line = [(x[item], boxes[item].bottom)]
                lines.append(line)
            line.append((x[item], bottoms[row_of[item]]))
        line += [(end, tops[row_of[target]]), (end, boxes[target].top)]
        strokes.append(tuple(tuple(dict.fromkeys(line)) for line in lines))
    width = max((box.right for box in boxes), default=0.0)
    height = max(bottoms, default=0.0)
    return Layout(width, height, tuple(boxes[: items.vertices]), tuple(labels), tuple(strokes))


def _heights(items: Items, rows: Rows, x: list[float]) -> tuple[list[float], list[float]]:
    """Top and bottom of every row; the further edges move sideways below it, the more room they have."""
    moved = [0.0] * len(rows)
    for u, v in items.segments:
        moved[items.row_of[u]] = max(moved[items.row_of[u]], abs(x[u] - x[v]))
    tops, bottoms, y = [], [], 0.0
    for row, shift in zip(rows, moved, strict=True):
        tops.append(y)
        bottoms.append(y + max(items.sizes[item][1] for item in row))
        y = round(bottoms[-1] + GAP + min(shift / 10, GAP), 1)
    return tops, bottoms


def _ports(items: Items, x: list[float]) -> tuple[list[float], list[float]]:
    """How far from the middle of its source each edge leaves, and from that of its target it arrives."""
    leaves, arrives = [0.0] * len(items.chains), [0.0] * len(items.chains)
    for offsets, end, next_to in ((leaves, 0, 1), (arrives, -1, -2)):
        at: dict[int, list[int]] = {}
        for number, chain in enumerate(items.chains):
            at.setdefault(chain[end], []).append(number)
        for vertex, numbers in at.items():
            numbers.sort(key=lambda number: x[items.chains[number][next_to]])
            straight = [k for k, n in enumerate(numbers) if x[items.chains[n][next_to]] == x[vertex]]
            middle = straight[0] if len(straight) == 1 else (len(numbers) - 1) / 2
            widest = max(middle, len(numbers) - 1 - middle)
            room = max(items.sizes[vertex][0] / 2 - PORT, 0.0)
            step = min(PORT, room / widest) if widest else 0.0
            for k, number in enumerate(numbers):
                offsets[number] = round((k - middle) * step, 1)
    return leaves, arrives
