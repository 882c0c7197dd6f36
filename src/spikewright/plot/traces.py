"""What a chart's traces become on the axes of matplotlib: bars, lines, markers, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.drawing import shortened
from spikewright.graph import Array
from spikewright.plot.colours import painted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 0.72
"""Points in a pixel of the report, at 100 pixels an inch."""
SYMBOLS = {
    **{"circle": "o", "square": "s", "diamond": "D", "cross": "P", "triangle-up": "^", "x": "X", "star": "*"},
    **{"line-ns": "|"},
}
DASHES = {"solid": "-", "dash": (0, (5, 3)), "dot": (0, (1, 1.6))}
IGNORED = {"hovertemplate", "hoverinfo", "customdata", "type"}
"""What only a page that can be pointed at shows; the type is read by whoever calls."""
_BARS = {"orientation", "name", "x", "y", "marker", "width"}
_LINES = {
    *("name", "x", "y", "mode", "line", "marker", "fill", "fillcolor", "text", "textposition", "textfont", "xaxis"),
    "showlegend",
}


def literal(text: str) -> str:
    """A text of a chart as it stands on the page: without the escapes of HTML, and no mathematics."""
    return unescape(text).replace("$", r"\$")


def check_words(given: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse words of a chart that nothing is drawn of: a chart is drawn whole.

    Raises:
        ValueError: naming them.
    """
    unknown = given.keys() - known
    if unknown:
        raise ValueError(f"{where}: matplotlib is not told what {', '.join(sorted(map(repr, unknown)))} means")


def numbers(values: Sequence[Any]) -> Array:
    """Values as floats; None becomes NaN, where a line is broken."""
    return np.asarray([np.nan if value is None else value for value in values], np.float64)


def draw_bars(axes: Axes, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> None:
    """Bars: of shares upright, of categories lying, side by side or, ``barmode`` "relative" or "stack", one behind the
    other.

    Args:
        axes: on which they are drawn.
        traces: of bars.
        layout: of the chart.
    """
    for trace in traces:
        check_words(trace, _BARS | IGNORED, "bars")
    gap = float(layout.get("bargap", 0.2))
    if traces and traces[0].get("orientation") == "h":
        _lying(axes, traces, gap, relative=layout.get("barmode") in ("relative", "stack"))
        return
    for trace in traces:
        x, heights = numbers(trace["x"]), numbers(trace["y"])
        width = trace.get("width", (x[1] - x[0]) * (1 - gap) if x.size > 1 else 1.0)
        drawn = np.isfinite(heights)
        axes.bar(x[drawn], heights[drawn], width, color=painted(trace["marker"]["color"]), linewidth=0)


def _lying(axes: Axes, traces: Sequence[Mapping[str, Any]], gap: float, *, relative: bool) -> None:
    names = list(dict.fromkeys(name for trace in traces for name in trace["y"]))
    places = np.arange(len(names), dtype=np.float64)
    thick = (1 - gap) / (1 if relative else len(traces))
    behind = np.zeros(len(names))
    for k, trace in enumerate(traces):
        by_name = dict(zip(trace["y"], numbers(trace["x"]), strict=True))
        widths = np.nan_to_num(np.array([by_name.get(name, np.nan) for name in names]))
        offset = 0.0 if relative else (k - (len(traces) - 1) / 2) * thick
        marker = trace["marker"]
        check_words(marker, {"color", "opacity"}, "the marker of bars")
        look: dict[str, Any] = {"color": painted(marker["color"]), "alpha": marker.get("opacity")}
        look["label"] = literal(trace["name"])
        axes.barh(places + offset, widths, thick, left=behind if relative else None, linewidth=0, **look)
        if relative:
            behind = behind + widths
    axes.set_yticks(places, [literal(shortened(unescape(name), 190, 11)) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)


def draw_line(axes: Axes, trace: Mapping[str, Any]) -> None:
    """A line, markers, words beside them, or several of these.

    Args:
        axes: on which it is drawn.
        trace: of a line.
    """
    check_words(trace, _LINES | IGNORED, "a line")
    x, y = numbers(trace["x"]), numbers(trace["y"])
    mode, line, marker = trace.get("mode", "lines").split("+"), trace.get("line", {}), trace.get("marker", {})
    check_words(line, {"color", "width", "dash", "shape"}, "the line of a trace")
    check_words(marker, {"color", "size", "opacity", "symbol"}, "the marker of a trace")
    if trace.get("fill") == "toself":  # an area, such as a band of intervals
        axes.fill(x, y, facecolor=painted(trace["fillcolor"]), linewidth=0)
        return
    name = literal(trace.get("name", "")) if trace.get("showlegend", True) else ""
    steps = {"hv": "post"}.get(line.get("shape", ""))
    look: dict[str, Any] = {"linestyle": "none", "label": name or None}
    if "lines" in mode:
        look |= {"linestyle": DASHES[line.get("dash", "solid")], "linewidth": POINTS * line.get("width", 2)}
        look |= {"color": painted(line["color"])} if "color" in line else {}
        look |= {"drawstyle": f"steps-{steps}"} if steps else {}
    if "markers" in mode:
        symbol, shade = marker.get("symbol", "circle"), painted(marker["color"])
        hollow = symbol.endswith("-open")
        look |= {"marker": SYMBOLS[symbol.removesuffix("-open")], "markersize": POINTS * marker.get("size", 6)}
        look |= {"markerfacecolor": "none" if hollow else shade, "markeredgecolor": shade, "color": shade}
        look |= {"markeredgewidth": 0.8 if hollow else 0.0, "alpha": marker.get("opacity")}
        many = x.size > MANY and "lines" not in mode
        look |= {"rasterized": True} if many else {}
    axes.plot(x, y, **look)
    if "fill" in trace:
        axes.fill_between(x, y, step=steps, color=painted(trace["fillcolor"]), linewidth=0)
    if "text" in mode:
        for at, height, text in zip(x, y, trace["text"], strict=True):
            font = {"color": painted(trace["textfont"]["color"]), "fontsize": POINTS * trace["textfont"]["size"]}
            if np.isfinite(height):
                where = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
                axes.annotate(literal(text), (at, height), **where, **font)


MANY = 20_000
"""Points beyond which a picture of lines (SVG, PDF) holds an image of them, which stays small."""
