"""Columns of a layered drawing: how far right everything stands.

Items that follow each other are tied into vertical blocks, long edges and the longest path first (as Brandes & Köpf
2001 tie theirs); the blocks are then moved towards what they are joined to, as far as their neighbours let them.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import inf

from spikewright.reports.network.rows import Items, LongestPaths, Rows

SPACE = 30.0
"""Between things side by side, in pixels."""
BEND_SPACE = 16.0
"""Between a bend and its neighbour."""
SWEEPS = 48


def positions(items: Items, rows: Rows, paths: LongestPaths) -> list[float]:
    """The middle of every item, with nothing left of 0."""
    block = _blocks(items, rows, paths)
    count = max(block, default=-1) + 1
    widths = _widths(items, block)
    left: list[dict[int, float]] = [{} for _ in range(count)]  # the blocks beside each, and how far away at least
    right: list[dict[int, float]] = [{} for _ in range(count)]
    for row in rows:
        for one, other in pairwise(row):
            a, b = block[one], block[other]
            far = (widths[one] + widths[other]) / 2 + (SPACE if widths[one] and widths[other] else BEND_SPACE)
            left[b][a] = right[a][b] = max(far, right[a].get(b, 0.0))
    joined: list[list[int]] = [[] for _ in range(count)]
    for u, v in items.segments:
        if block[u] != block[v]:
            joined[block[u]].append(block[v])
            joined[block[v]].append(block[u])
    x = _settled(left, right, joined)
    middle = [x[b] for b in block]
    edge = min((m - width / 2 for m, (width, _) in zip(middle, items.sizes, strict=True)), default=0.0)
    return [round(m - edge, 1) for m in middle]


def _blocks(items: Items, rows: Rows, paths: LongestPaths) -> list[int]:
    """The block of every item: items tied to each other, each to one above and one below, without crossings."""
    index = {item: k for row in rows for k, item in enumerate(row)}
    row_of = items.row_of

    def rank(segment: tuple[int, int]) -> tuple[bool, int, float]:
        u, v = segment
        along = min(u, v) >= items.vertices  # both on one edge
        shift = index[u] - index[v] + (len(rows[row_of[v]]) - len(rows[row_of[u]])) / 2
        return (not along, -paths.along(u, v), abs(shift))

    above: dict[int, int] = {}
    below: dict[int, int] = {}
    tied: list[list[tuple[int, int]]] = [[] for _ in rows]
    for u, v in sorted(items.segments, key=rank):
        if u in below or v in above:
            continue
        pairs, pair = tied[row_of[u]], (index[u], index[v])
        at = bisect_left(pairs, pair)
        if (at > 0 and pairs[at - 1][1] > pair[1]) or (at < len(pairs) and pairs[at][1] < pair[1]):
            continue
        pairs.insert(at, pair)
        below[u], above[v] = v, u
    block = [0] * len(items.sizes)
    heads = 0
    for row in rows:
        for item in row:
            if item in above:
                block[item] = block[above[item]]
            else:
                block[item], heads = heads, heads + 1
    return block


def _widths(items: Items, block: list[int]) -> list[float]:
    """The room that every item takes: that of the items tied to it above and below too, so that columns stay apart."""
    widths = [width for width, _ in items.sizes]
    for u, v in items.segments:
        if block[u] == block[v]:
            widths[u], widths[v] = max(widths[u], items.sizes[v][0]), max(widths[v], items.sizes[u][0])
    return widths


def _settled(left: list[dict[int, float]], right: list[dict[int, float]], joined: list[list[int]]) -> list[float]:
    """Blocks from as far left as they go, moved one after the other to the middle of what they are joined to."""
    order = _from_left_to_right(left, right)
    x = [0.0] * len(order)
    for b in order:
        x[b] = max((x[a] + far for a, far in left[b].items()), default=0.0)
    for sweep in range(SWEEPS):
        for b in reversed(order) if sweep % 2 == 0 else order:
            if joined[b]:
                wanted = sum(x[other] for other in joined[b]) / len(joined[b])
                low = max((x[a] + far for a, far in left[b].items()), default=-inf)
                high = min((x[c] - far for c, far in right[b].items()), default=inf)
                x[b] = min(max(wanted, low), high)
    return x


def _from_left_to_right(left: list[dict[int, float]], right: list[dict[int, float]]) -> list[int]:
    """The blocks so that each stands after those left of it: they never cross, so there is such an order."""
    waiting = [len(before) for before in left]
    order = [b for b, count in enumerate(waiting) if not count]
    for b in order:  # grows while it is read
        for c in right[b]:
            waiting[c] -= 1
            if not waiting[c]:
                order.append(c)
    return order
