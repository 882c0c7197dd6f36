"""A picture of a network: boxes for groups of neurons, arrows for what lies between, as one SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from spikewright.drawing import Picture, resource, shortened, text_width, xml
from spikewright.drawing.vector import number as _n
from spikewright.graph import Graph
from spikewright.reports.network.diagram import Arrow, Diagram, Operator, Vertex, diagram
from spikewright.reports.network.folding import columns, folded, sections
from spikewright.reports.network.layered import Layout, Point, Rectangle, layered
from spikewright.reports.network.rows import Edge, Size
from spikewright.text import short
from spikewright.wiring import has_neurons

SIZES = {"title": 16.0, "name": 13.0}
NAME, LINE = SIZES["name"], 11.5
"""Sizes of letters, in pixels; network.css has the same."""
BOLDER = 1.06
"""How much wider bold letters are."""
STEP = 16.0
"""Distance from one line of text to the next."""
WIDEST = 216.0
"""The greatest width of a line of text."""
PADDING = 16.0
"""Between the sides of a box and its text."""
MARGIN = 24.0
"""Around the whole."""
JOINT = 22.0
SMALL, TALLEST = 1400.0, 1100.0
"""Pixels: how high a network is at most that is drawn whole, and a column of a larger one, about."""


@dataclass(frozen=True)
class Text:
    """One line: what stands there, and its class in network.css."""

    text: str
    style: str

    @property
    def size(self) -> float:
        """Size of its letters, in pixels."""
        return SIZES.get(self.style, LINE)

    @property
    def width(self) -> float:
        """Its width at most, in pixels."""
        return text_width(self.text, self.size * (BOLDER if self.style in ("name", "title") else 1.0))


@dataclass(frozen=True)
class Caption:
    """The lines about one operator of an arrow, or about none, and how far below the top of the label they start."""

    operator: Operator | None
    top: float
    lines: tuple[Text, ...]

    @property
    def bottom(self) -> float:
        """The y where it ends."""
        return self.top + STEP * len(self.lines)


def network_picture(
    graph: Graph, *, title: str = "", standalone: bool = True, captions: Mapping[str, Sequence[str]] | None = None
) -> Picture:
    """Draw a graph.

    Args:
        graph: folded or spiking; one as a frontend made it is drawn too.
        title: above it; "" for none.
        standalone: with a background and the palette; else for a page that has them.
        captions: further lines for some nodes.
    """
    return drawn(diagram(graph, captions), _heading(graph, title) if title else [], title, standalone)


@dataclass(frozen=True)
class Pictures:
    """A network as pictures that stand side by side.

    Attributes:
        columns: from left to right; one where the network is small.
        whole: all of it in one, where blocks that repeat are drawn once in the columns; else None.
    """

    columns: tuple[Picture, ...]
    whole: Picture | None = None


def network_pictures(
    graph: Graph, *, standalone: bool = False, captions: Mapping[str, Sequence[str]] | None = None
) -> Pictures:
    """Draw a graph so that it can be overlooked: whole where it is small, else folded, in columns.

    Args:
        graph: folded or spiking.
        standalone: as of ``network_picture``.
        captions: as of ``network_picture``.
    """
    shown = diagram(graph, captions)
    whole = drawn(shown, standalone=standalone)
    if whole.height <= SMALL:
        return Pictures((whole,))
    less = folded(shown)
    heights = [arranged(part).height for part in (columns(less, [1.0] * len(sections(less)), 1.0))]
    found = columns(less, heights, TALLEST)
    pictures = tuple(drawn(one, standalone=standalone) for one in found)
    return Pictures(pictures, whole if len(less.vertices) < len(shown.vertices) else None)


def drawn(shown: Diagram, heading: Sequence[Text] = (), title: str = "", standalone: bool = True) -> Picture:
    """Draw a diagram.

    Args:
        shown: it.
        heading: lines above it.
        title: what is read aloud in its place.
        standalone: as of ``network_picture``.
    """
    layout = arranged(shown)
    top = MARGIN + (58.0 if heading else 0.0)
    inner = max([layout.width, *(line.width for line in heading)])
    width, height = inner + 2 * MARGIN, top + layout.height + MARGIN
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    label = xml(title or "the network as a graph")
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="network" {size} role="img" aria-label="{label}">']
    if standalone:
        style = resource("palette.css") + resource("network.css", "spikewright.reports")
        parts += [f"<style>{style}</style>", '<rect class="paper" width="100%" height="100%"/>']
    parts += [_text(line, MARGIN, MARGIN + 14 + k * 22) for k, line in enumerate(heading)]
    parts.append(f'<g transform="translate({_n(MARGIN + (inner - layout.width) / 2)} {_n(top)})">')
    for arrow, label_box, strokes in zip(shown.arrows, layout.labels, layout.strokes, strict=True):
        parts.append(_arrow(arrow, label_box, strokes, fork=shown.vertices[arrow.target].kind == "fork"))
    parts += [_vertex(vertex, box) for vertex, box in zip(shown.vertices, layout.vertices, strict=True)]
    return Picture("\n".join([*parts, "</g></svg>", ""]), width, height)


def arranged(shown: Diagram) -> Layout:
    """Where everything of a diagram goes: boxes are as wide as the widest of them, so that they stand in columns."""
    wide = max((_box_width(v) for v in shown.vertices if v.kind not in ("joint", "fork")), default=0.0)
    arriving = Counter(arrow.target for arrow in shown.arrows)
    sizes = []
    for number, vertex in enumerate(shown.vertices):
        if vertex.kind == "fork":
            sizes.append((6.0, 6.0))
        elif vertex.kind == "joint":
            room = min(24.0 * arriving[number] + 4, 150.0)
            sizes.append((max(room, text_width(vertex.tag, LINE) + 20), JOINT))
        else:
            sizes.append((wide, STEP * len(_box_text(vertex)) + 14))
    edges = [Edge(arrow.source, arrow.target, _label_size(_label(arrow))) for arrow in shown.arrows]
    return layered(sizes, edges)


def _heading(graph: Graph, title: str) -> list[Text]:
    groups = [node for node in graph if has_neurons(node)]
    neurons = sum(prod(graph.shapes[node.name]) for node in groups)
    weights = sum(node.arrays["weight"].size for node in graph if "weight" in node.arrays)
    populations = f"{len(groups)} population{'' if len(groups) == 1 else 's'}"
    facts = f"{populations}, {short(neurons)} neurons, {short(weights)} weights"
    return [Text(shortened(title, 2 * WIDEST, SIZES["title"] * BOLDER), "title"), Text(facts, "line")]


def _box_text(vertex: Vertex) -> list[Text]:
    name = shortened(vertex.node, WIDEST - text_width(vertex.tag, LINE) - 12, NAME * BOLDER)
    lines = [Text(line, "line") for line in vertex.lines]
    return [Text(name, "name"), *lines, *_notes(vertex.notes)]


def _label(arrow: Arrow) -> list[Caption]:
    """What is written on an arrow; operators stand a little apart, but for those that are one line each."""
    captions = [Caption(None, 0.0, tuple(_notes(arrow.notes)))] if arrow.notes else []
    for operator in arrow.operators:
        name = [Text(shortened(operator.title, WIDEST, NAME * BOLDER), "name")] if operator.title else []
        lines = (*name, Text(operator.line, "line"), *_notes(operator.notes))
        apart = bool(captions) and len(captions[-1].lines) + len(lines) > 2
        captions.append(Caption(operator, (captions[-1].bottom if captions else 0.0) + 6 * apart, lines))
    return captions


def _label_size(captions: Sequence[Caption]) -> Size | None:
    if not captions:
        return None
    return max(line.width for caption in captions for line in caption.lines), captions[-1].bottom + 3


def _notes(notes: Sequence[str]) -> list[Text]:
    return [Text(shortened(note, WIDEST, LINE), "note") for note in notes]


def _box_width(vertex: Vertex) -> float:
    name, *others = _box_text(vertex)
    return max(name.width + 12 + text_width(vertex.tag, LINE), *(line.width for line in others)) + 2 * PADDING


def _vertex(vertex: Vertex, box: Rectangle) -> str:
    if vertex.kind == "fork":
        return f'<circle class="fork" cx="{_n(box.x)}" cy="{_n(box.y)}" r="{_n(box.width / 2)}"/>'
    round_ = {"joint": box.height / 2, "terminal": 14.0}.get(vertex.kind, 5.0)
    outline = _rectangle(box, round_)
    if vertex.kind == "joint":
        inside = _text(Text(vertex.tag, "line"), box.x, box.y + 4, "middle")
    else:
        left, first = box.left + PADDING, box.top + 19
        inside = "".join(_text(line, left, first + STEP * k) for k, line in enumerate(_box_text(vertex)))
        inside += _text(Text(vertex.tag, "tag"), box.right - PADDING, first, "end")
        if vertex.kind != "terminal":
            inside += f'<path class="bar" d="M{_n(box.left + 6)} {_n(box.top + 8)}V{_n(box.bottom - 8)}"/>'
    return _group(vertex.kind, vertex.node, vertex.hover, outline + inside)


def _arrow(arrow: Arrow, label: Rectangle | None, strokes: Sequence[Sequence[Point]], fork: bool) -> str:
    lines = "".join(f'<path class="line" d="{_path(points)}"/>' for points in strokes)
    if not fork:
        x, y = strokes[-1][-1]
        lines += f'<path class="head" d="M{_n(x)} {_n(y)}l-4 -8h8z"/>'
    if label is None:
        return lines
    for caption in _label(arrow):
        first = label.top + caption.top + 13
        text = "".join(_text(line, label.x, first + STEP * k, "middle") for k, line in enumerate(caption.lines))
        about = caption.operator
        lines += text if about is None else _group("part", about.node, about.hover, text)
    return lines


def _group(kind: str, node: str, hover: str, inside: str) -> str:
    return f'<g class="{kind}" data-node="{xml(node)}"><title>{xml(hover)}</title>{inside}</g>'


def _rectangle(box: Rectangle, radius: float) -> str:
    corner = f'x="{_n(box.left)}" y="{_n(box.top)}" width="{_n(box.width)}" height="{_n(box.height)}"'
    return f'<rect class="box" {corner} rx="{_n(radius)}"/>'


def _text(line: Text, x: float, y: float, anchor: str = "start") -> str:
    side = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{line.style}" x="{_n(x)}" y="{_n(y)}"{side}>{xml(line.text)}</text>'


def _path(points: Sequence[Point]) -> str:
    """Straight where it goes down, else a curve that is upright at both ends."""
    (x, y), *others = points
    path = f"M{_n(x)} {_n(y)}"
    for to_x, to_y in others:
        middle = _n((y + to_y) / 2)
        path += f"V{_n(to_y)}" if to_x == x else f"C{_n(x)} {middle} {_n(to_x)} {middle} {_n(to_x)} {_n(to_y)}"
        x, y = to_x, to_y
    return path
