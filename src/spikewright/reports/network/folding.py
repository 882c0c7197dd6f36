"""Large diagrams made small: blocks that repeat are drawn once, and what is left stands in columns side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from spikewright.reports.network.diagram import Arrow, Diagram

LONGEST_BLOCK = 8
"""Sections of a block that is looked for."""


@dataclass(frozen=True)
class Section:
    """What lies between two vertices that everything passes.

    Attributes:
        first, last: indices of the two vertices; the first one belongs to the section before.
        arrows: that end in it.
    """

    first: int
    last: int
    arrows: tuple[Arrow, ...]


def sections(diagram: Diagram) -> list[Section]:
    """A diagram cut at every vertex that no arrow passes by."""
    passed = [0] * (len(diagram.vertices) + 1)  # how many arrows begin to pass, less how many end to
    for arrow in diagram.arrows:
        passed[arrow.source + 1] += 1
        passed[arrow.target] -= 1
    cuts, passing = [], 0
    for k in range(len(diagram.vertices)):
        passing += passed[k]
        if not passing:
            cuts.append(k)
    if cuts and cuts[-1] != len(diagram.vertices) - 1:
        cuts.append(len(diagram.vertices) - 1)
    found = []
    for first, last in pairwise(cuts):
        found.append(Section(first, last, tuple(a for a in diagram.arrows if first < a.target <= last)))
    return found


def folded(diagram: Diagram) -> Diagram:
    """The same with blocks that follow one another and are alike but for their names drawn once.

    The first arrow of such a block says how often it is there and which vertex ends the last of them.
    """
    parts = sections(diagram)
    alike = [_signature(diagram, part) for part in parts]
    kept: list[Section] = []
    stands_for: dict[int, int] = {}
    notes: dict[int, tuple[str, str]] = {}
    at = 0
    while at < len(parts):
        length, times = _longest(alike, at)
        if times > 1 and _begins_within(diagram, parts, alike, at, (length, times)):
            length, times = 1, 1
        kept += parts[at : at + length]
        if times > 1:
            end = parts[at + times * length - 1].last
            stands_for[end] = parts[at + length - 1].last
            notes[at] = (f"{times} times such a block,", f"to {diagram.vertices[end].node}")
        at += times * length
    return _put_together(diagram, kept, stands_for, {parts[k].first: note for k, note in notes.items()})


def columns(diagram: Diagram, heights: Sequence[float], tallest: float) -> list[Diagram]:
    """A diagram cut into columns; each begins with the vertex that the one before it ends with.

    Args:
        diagram: it.
        heights: of its sections, in pixels.
        tallest: how high a column may be, where a section is not higher by itself.
    """
    parts = sections(diagram)
    wanted = max(1, -(-int(sum(heights)) // int(tallest)))
    even = sum(heights) / wanted
    groups: list[list[Section]] = []
    height = 0.0
    for part, own in zip(parts, heights, strict=True):
        if not groups or height + own > max(even, own) * 1.15:
            groups.append([])
            height = 0.0
        groups[-1].append(part)
        height += own
    return [_put_together(diagram, group, {}, {}) for group in groups]


def _signature(diagram: Diagram, part: Section) -> tuple[object, ...]:
    """What a section is like, whatever its names."""
    vertices = [diagram.vertices[k] for k in range(part.first + 1, part.last + 1)]
    kinds = tuple((one.kind, one.tag if one.tag else "", one.lines[:1]) for one in vertices)
    arrows = tuple(
        (a.source - part.first, a.target - part.first, tuple(operator.line for operator in a.operators))
        for a in part.arrows
    )
    return kinds, arrows


def _longest(alike: Sequence[object], at: int) -> tuple[int, int]:
    """The length of the block that begins at a section, and how often it follows itself: what leaves out most."""
    best = (1, 1)
    for length in range(1, min(LONGEST_BLOCK, (len(alike) - at) // 2) + 1):
        block, times = alike[at : at + length], 1
        while alike[at + times * length : at + (times + 1) * length] == block:
            times += 1
        if (times - 1) * length > (best[1] - 1) * best[0]:
            best = (length, times)
    return best


def _begins_within(
    diagram: Diagram, parts: Sequence[Section], alike: Sequence[object], at: int, best: tuple[int, int]
) -> bool:
    """Whether blocks that begin at a section end where branches meet, and as many that begin further on end behind, at
    neurons: as people see them."""

    def ends_at_a_box(k: int) -> bool:
        return diagram.vertices[parts[k + best[0] - 1].last].kind != "joint"

    later = range(at + 1, min(at + best[0], len(parts) - best[0]))
    return not ends_at_a_box(at) and any(ends_at_a_box(k) and _longest(alike, k) == best for k in later)


def _put_together(
    diagram: Diagram, parts: Sequence[Section], stands_for: dict[int, int], notes: dict[int, tuple[str, str]]
) -> Diagram:
    """Some sections as a diagram: ``stands_for`` says by which kept vertex one that is left out is drawn."""
    if not parts:
        return diagram
    starts = parts[0].first
    wanted = [starts, *(k for part in parts for k in range(part.first + 1, part.last + 1))]
    place = {old: new for new, old in enumerate(dict.fromkeys(wanted))}
    arrows = []
    for part in parts:
        note = notes.get(part.first)
        for arrow in part.arrows:
            source = stands_for.get(arrow.source, arrow.source)
            said = arrow.notes if note is None else (*note, *arrow.notes)
            arrows.append(replace(arrow, source=place[source], target=place[arrow.target], notes=said))
            note = None
    return Diagram(tuple(diagram.vertices[k] for k in place), tuple(arrows))
