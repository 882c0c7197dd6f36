"""Charts of the report as figures of matplotlib, which is imported with this file.

A figure belongs to nobody: it is not one of pyplot's, so that it is gone when the last name of it is, and style sheets
of the process do not change it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from spikewright.drawing import shortened, text_width
from spikewright.plot.colours import painted
from spikewright.plot.panel import Panel
from spikewright.plot.scales import finish_scales, prepare_scales
from spikewright.plot.traces import POINTS, check_words, draw_bars, draw_line, literal
from spikewright.provenance import History

DPI = 110
WIDE, NARROW = 7.6, 4.8
"""Widths of a chart that stands alone and of one beside another, in inches."""
_LAYOUT = {
    *("xaxis", "yaxis", "xaxis2", "height", "legend", "bargap", "barmode", "shapes", "annotations", "hovermode"),
}
TITLE = 9.5


class Picture(Figure):
    """A figure that notebooks show where it is the value of a cell.

    Attributes:
        provenance: how what it shows was made; ``save`` writes it into files.
    """

    provenance: History = ()

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")
            self.savefig(file, format="png")
        return file.getvalue()


def drawn(panels: Sequence[Panel | None], *, columns: int = 1, width: float | None = None, title: str = "") -> Picture:
    """Charts as one figure, row by row.

    Args:
        panels: the charts; None leaves a place empty.
        columns: how many stand side by side.
        width: of each, in inches.
        title: above all.
    """
    columns = max(1, min(columns, len(panels)))
    width = width or (WIDE if columns == 1 else NARROW)
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    above = [max((_above(panel) for panel in row if panel is not None), default=0.0) for row in rows]
    heights = [
        top + max((_height(panel) for panel in row if panel is not None), default=0.0)
        for top, row in zip(above, rows, strict=True)
    ]
    head = 0.35 if title else 0.0
    size = (width * columns, sum(heights) + head)
    with matplotlib.style.context("default"):
        figure = Picture(size, dpi=DPI, facecolor="white", layout="constrained" if len(panels) == 1 else None)
        for y, row in enumerate(rows):
            for x, panel in enumerate(row):
                if panel is None:
                    continue
                bottom = sum(heights[y + 1 :]) + BELOW
                inner = (width * x + LEFT, bottom, width - LEFT - RIGHT, heights[y] - above[y] - BELOW)
                place = (inner[0] / size[0], inner[1] / size[1], inner[2] / size[0], inner[3] / size[1])
                _draw(figure.add_subplot() if len(panels) == 1 else figure.add_axes(place), panel, width)
        if title:
            figure.suptitle(literal(title), x=0.01, ha="left", fontsize=11, color=painted("ink"))
    return figure


LEFT, RIGHT, BELOW = 1.0, 0.15, 0.55
"""Margins around the axes of one chart of several, in inches: to find what each needs takes minutes where many are."""


def _height(panel: Panel) -> float:
    """Of the axes and what is below, in inches."""
    return float(panel.chart["layout"]["height"]) / 100


def _above(panel: Panel) -> float:
    """How much stands above the axes, in inches: the title, an axis, a legend."""
    layout = panel.chart["layout"]
    more = 0.42 if "xaxis2" in layout else 0.22 if layout.get("legend") else 0.0
    return 0.2 + (0.22 if panel.title else 0.0) + more


def _draw(axes: Axes, panel: Panel, width: float) -> None:
    traces, layout = panel.chart["data"], panel.chart["layout"]
    check_words(layout, _LAYOUT, "a layout")
    prepare_scales(axes, layout)
    draw_bars(axes, [trace for trace in traces if trace.get("type") == "bar"], layout)
    for trace in traces:
        if trace.get("type") != "bar" and (trace.get("name") or any(value is not None for value in trace["y"])):
            draw_line(axes, trace)
    finish_scales(axes, layout)
    if not axes.has_data():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", fontsize=TITLE, color=painted("soft"))
    for shape in layout.get("shapes", ()):
        _mark(axes, shape)
    for note in layout.get("annotations", ()):
        _write(axes, note)
    rows = _legend(axes, width) if layout.get("legend") else 0
    if panel.title:
        facts = f": {panel.facts}" if panel.facts else ""
        room = 100 * width - 115 - text_width(facts, TITLE / POINTS)
        text = shortened(panel.title, max(room, 80), TITLE / POINTS) + facts
        axes.set_title(literal(text), loc="left", fontsize=TITLE, color=painted("ink"), pad=6 + 15 * rows)


def _mark(axes: Axes, shape: Mapping[str, Any]) -> None:
    """An upright line, or an upright stripe, over the whole height."""
    check_words(shape, {"type", "x0", "x1", "y0", "y1", "yref", "line", "fillcolor", "layer"}, "a shape")
    x0, x1, line = shape["x0"], shape["x1"], shape["line"]
    if shape["type"] == "line":
        axes.axvline(x0, color=painted(line["color"]), linewidth=POINTS * line["width"])
    else:
        place = axes.get_xaxis_transform()
        axes.add_patch(
            Rectangle((x0, 0), x1 - x0, 1, transform=place, facecolor=painted(shape["fillcolor"]), zorder=0.5)
        )


def _write(axes: Axes, note: Mapping[str, Any]) -> None:
    words = {*("x", "y", "yref", "yanchor", "xanchor", "xshift", "showarrow", "text", "font", "bgcolor")}
    check_words(note, words, "an annotation")
    axes.annotate(
        literal(note["text"]),
        (note["x"], note["y"]),
        xycoords=("data", "axes fraction"),
        xytext=(POINTS * note["xshift"], 0),
        textcoords="offset points",
        ha=note["xanchor"],
        va=note["yanchor"],
        fontsize=8.5,
        color=painted(note["font"]["color"]),
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
    )


def _legend(axes: Axes, width: float) -> int:
    """A legend above where its entries fit into two rows, else on the right; how many rows stand above."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return 0
    handles = [_plain(handle) for handle in handles]
    longest = max(text_width(label, 8.5 / POINTS) for label in labels) + 45
    across = max(1, int((100 * width - 70) // longest))
    rows = math.ceil(len(labels) / across)
    look: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "labelcolor": painted("ink"), "handlelength": 1.6}
    if rows <= 2:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": min(across, len(labels))}
        look |= {"borderaxespad": 0.2, "borderpad": 0.0, "columnspacing": 1.4}
    else:
        place, rows = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}, 0
    axes.legend(handles, labels, **place, **look)
    return rows


def _plain(handle: Any) -> Any:
    """What stands in a legend: points without transparency, that are seen."""
    if isinstance(handle, Line2D) and handle.get_linestyle() == "None" and handle.get_markersize() < 5:
        larger = Line2D([], [], linestyle="none", marker=handle.get_marker(), color=handle.get_color(), markersize=5)
        larger.set_markeredgewidth(0)
        return larger
    return handle
