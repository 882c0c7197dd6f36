"""Rows of a layered drawing: which row everything stands in, and in which order.

Rows follow the longest path that leads to a vertex, and are ordered by barycentres (Sugiyama, Tagawa & Toda 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Size = tuple[float, float]
Rows = list[list[int]]
Weighted = list[list[tuple[int, int]]]
"""The neighbours of every item on one side, each with what its segment weighs."""

BEND: Size = (0.0, 0.0)
SPINE = 20
"""What the longest path weighs when crossings are counted; anything else weighs 1."""
SWEEPS = 24


@dataclass(frozen=True)
class Edge:
    """An edge from one vertex to another that stands later in the list.

    Attributes:
        source, target: indices of vertices.
        label: width and height of what is written on it; None for nothing.
    """

    source: int
    target: int
    label: Size | None = None


@dataclass(frozen=True)
class Items:
    """Vertices first, then what stands on edges, all alike.

    Attributes:
        sizes: width and height of each.
        row_of: the row of each.
        chains: the items of each edge, from its source to its target.
        up, down: neighbours in the row above and below.
        vertices: how many of them are vertices.
    """

    sizes: list[Size]
    row_of: list[int]
    chains: list[list[int]]
    up: list[list[int]]
    down: list[list[int]]
    vertices: int

    @property
    def rows(self) -> Rows:
        """The items of each row, in no order that means anything."""
        rows: Rows = [[] for _ in range(max(self.row_of, default=-1) + 1)]
        for item, row in enumerate(self.row_of):
            rows[row].append(item)
        return rows

    @property
    def segments(self) -> Iterable[tuple[int, int]]:
        """All pairs of neighbours, the upper one first."""
        return ((u, v) for u, below in enumerate(self.down) for v in below)


def items_of(sizes: Sequence[Size], edges: Sequence[Edge]) -> Items:
    """What has to be placed: vertices, the bends of long edges, and the label of each halfway along it."""
    items = Items(list(sizes), _ranks(len(sizes), edges), [], [], [], len(sizes))
    for edge in edges:
        first, last = items.row_of[edge.source], items.row_of[edge.target]
        chain = [edge.source]
        for row in range(first + 1, last):
            chain.append(len(items.sizes))
            items.sizes.append(edge.label if edge.label and row == (first + last) // 2 else BEND)
            items.row_of.append(row)
        items.chains.append([*chain, edge.target])
    items.up.extend([] for _ in items.sizes)
    items.down.extend([] for _ in items.sizes)
    for chain in items.chains:
        for above, below in pairwise(chain):
            items.down[above].append(below)
            items.up[below].append(above)
    return items


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The row of every vertex: a label needs one between; sources stand right above what reads them."""
    rank = [0] * count
    leaving: list[list[Edge]] = [[] for _ in range(count)]
    for edge in edges:
        leaving[edge.source].append(edge)
    for vertex in range(count):
        for edge in leaving[vertex]:
            rank[edge.target] = max(rank[edge.target], rank[vertex] + _rows_of(edge))
    for source in set(range(count)) - {edge.target for edge in edges}:
        rank[source] = min((rank[e.target] - _rows_of(e) for e in leaving[source]), default=0)
    return rank


def _rows_of(edge: Edge) -> int:
    return 1 if edge.label is None else 2


@dataclass(frozen=True)
class LongestPaths:
    """The longest paths through every item, counted in vertices.

    Attributes:
        before: of a path that leads to it, itself included.
        after: of a path that leads on from it, itself included.
        longest: of any path.
    """

    before: list[int]
    after: list[int]
    longest: int

    def along(self, above: int, below: int) -> int:
        """The length of the longest path through two neighbours."""
        return self.before[above] + self.after[below]

    def weight(self, above: int, below: int) -> int:
        """What it costs to cross a segment, and how strongly it pulls: the longest path is what the eye follows."""
        return SPINE if self.along(above, below) == self.longest else 1


def paths_of(items: Items) -> LongestPaths:
    """The longest paths."""
    before, after = [0] * len(items.sizes), [0] * len(items.sizes)
    rows = items.rows
    for item in (item for row in rows for item in row):
        before[item] = (item < items.vertices) + max((before[u] for u in items.up[item]), default=0)
    for item in (item for row in reversed(rows) for item in row):
        after[item] = (item < items.vertices) + max((after[v] for v in items.down[item]), default=0)
    return LongestPaths(before, after, max(before, default=0))


def ordered(items: Items, paths: LongestPaths) -> Rows:
    """The items of each row from left to right, with the fewest crossings that some sweeps down and up find."""
    down = [[(v, paths.weight(u, v)) for v in below] for u, below in enumerate(items.down)]
    up = [[(u, paths.weight(u, v)) for u in above] for v, above in enumerate(items.up)]
    rows = _first_order(items, paths)
    best, least = rows, _crossings(rows, down)
    for sweep in range(SWEEPS):
        if not least:
            break
        rows = _swept(rows, up) if sweep % 2 == 0 else _swept(rows[::-1], down)[::-1]
        crossings = _crossings(rows, down)
        if crossings < least:
            best, least = rows, crossings
    return best


def _first_order(items: Items, paths: LongestPaths) -> Rows:
    """Rows as a walk through the depth meets them: branches as they come, a shortcut right of what it goes around."""
    rows: Rows = [[] for _ in items.rows]
    seen: set[int] = set()
    for root in (item for row in items.rows for item in row if not items.up[item]):
        stack = [root]
        while stack:
            item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            rows[items.row_of[item]].append(item)
            below = list(items.down[item])
            if len(below) == 2:
                below.sort(key=lambda v: -paths.after[v])
            stack += reversed(below)
    return rows


def _swept(rows: Rows, towards: Weighted) -> Rows:
    """Every row sorted by the mean position of its items' neighbours in the row before it."""
    swept: Rows = []
    index: dict[int, int] = {}
    for row in rows:
        key = {}
        for own, item in enumerate(row):
            total = sum(weight for _, weight in towards[item])
            key[item] = sum(index[n] * weight for n, weight in towards[item]) / total if total else own
        swept.append(sorted(row, key=key.__getitem__))
        index = {item: k for k, item in enumerate(swept[-1])}
    return swept


def _crossings(rows: Rows, down: Weighted) -> int:
    """How many pairs of segments cross, each as often as the product of their weights."""
    total = 0
    for above, below in pairwise(rows):
        index = {item: k for k, item in enumerate(below)}
        passed = [0] * (len(below) + 1)  # weights by where segments end, as a Fenwick tree
        sum_of_all = 0
        for item in above:
            ends = [(index[v] + 1, weight) for v, weight in down[item]]
            for end, weight in ends:
                total += weight * (sum_of_all - _sum_up_to(passed, end))
            for end, weight in ends:
                sum_of_all += weight
                while end < len(passed):
                    passed[end] += weight
                    end += end & -end
    return total


def _sum_up_to(tree: list[int], end: int) -> int:
    total = 0
    while end:
        total += tree[end]
        end -= end & -end
    return total
