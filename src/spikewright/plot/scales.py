"""What the words of a chart's axes become on the axes of matplotlib: ranges, ticks, numbers as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.drawing import shortened
from spikewright.plot.colours import painted
from spikewright.plot.traces import check_words, literal
from spikewright.text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_WORDS = {
    *("title", "type", "range", "rangemode", "tickvals", "ticktext", "tickformat", "dtick", "nticks"),
    *("showgrid", "zeroline", "autorange", "exponentformat", "hoverformat"),
}
_ABOVE = {"title", "range", "overlaying", "side", "tickmode", "nticks"}
LABEL, TICK = 9.0, 8.5
"""Sizes of what axes are called and of their numbers, in points."""
FLAT = 1.1
"""What varies by less than this factor is drawn as flat."""
LARGE = 10_000
"""Numbers from here on are written short: 20 k."""


def prepare_scales(axes: Axes, layout: Mapping[str, Any]) -> None:
    """Make axes logarithmic, before anything is drawn.

    Args:
        axes: to set.
        layout: of the chart.
    """
    for side in "xy":
        words = layout[f"{side}axis"]
        check_words(words, _WORDS, f"{side}axis")
        if words.get("type") == "log":
            getattr(axes, f"set_{side}scale")("log")


def finish_scales(axes: Axes, layout: Mapping[str, Any]) -> None:
    """Set ranges, ticks and titles of axes, when all is drawn; where there is one, an upper axis.

    Args:
        axes: to set.
        layout: of the chart.
    """
    for side in "xy":
        words = layout[f"{side}axis"]
        _range(axes, side, words)
        _ticks(axes, side, words)
        label = literal(words["title"]["text"])
        getattr(axes, f"set_{side}label")(label, fontsize=LABEL, color=painted("soft"))
        if words.get("showgrid", True):
            axes.grid(True, axis=side, color=painted("grid"), linewidth=0.7)
    axes.set_axisbelow(True)
    for place in ("top", "right"):
        axes.spines[place].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(painted("line"))
    axes.tick_params(which="both", color=painted("line"), labelcolor=painted("soft"), labelsize=TICK)
    if "xaxis2" in layout:
        _above(axes, layout["xaxis"], layout["xaxis2"])


def _range(axes: Axes, side: str, words: Mapping[str, Any]) -> None:
    get, put = getattr(axes, f"get_{side}lim"), getattr(axes, f"set_{side}lim")
    if "range" in words:
        low, high = words["range"]
        put(*((10.0**low, 10.0**high) if words.get("type") == "log" else (low, high)))
    elif words.get("rangemode") == "tozero" and words.get("type") != "log":
        low, high = get()
        least = getattr(axes.dataLim, f"{side}0")
        put(low if least < 0 else 0.0, high)
    elif words.get("type") == "log" and side == "y":
        put(*_logarithmic(axes))
    if words.get("autorange") == "reversed":
        put(*get()[::-1])


def _logarithmic(axes: Axes) -> tuple[float, float]:
    """The range of an upright logarithmic axis: bars are seen, the lowest too, and what hardly varies stays flat."""
    heights = [bar.get_height() for bar in axes.patches if bar.get_height() > 0]
    low, high = (min(heights) / 2, max(heights) * 1.5) if heights else axes.get_ylim()
    return (low, high) if high > FLAT * low else (low / FLAT, high * FLAT)


def _ticks(axes: Axes, side: str, words: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axis: Axis = getattr(axes, f"{side}axis")
    logarithmic, one, named = words.get("type") == "log", words.get("dtick"), "tickvals" in words
    if named:
        labels = words.get("ticktext", [f"{value:g}" for value in words["tickvals"]])
        low, high = sorted(getattr(axes, f"get_{side}lim")())
        axis.set_ticks(words["tickvals"], [literal(shortened(unescape(label), 190, 11)) for label in labels])
        getattr(axes, f"set_{side}lim")(low, high)
        axis.set_minor_locator(NullLocator())
    elif logarithmic:
        low, high = sorted(getattr(axes, f"get_{side}lim")())
        subs = (1.0, 2.0, 5.0) if one == "D2" or high < 30 * low else (1.0,)
        axis.set_major_locator(LogLocator(10, subs, numticks=words.get("nticks", 8)))
        axis.set_minor_locator(NullLocator())
    elif words.get("type") != "category":
        whole = words.get("tickformat") == "d"
        steps = [1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10]
        axis.set_major_locator(MaxNLocator(words.get("nticks", 7), steps=steps, integer=whole))
    form = words.get("tickformat", "")
    if form not in ("", "~%", "~g", "d"):
        raise ValueError(f"{side}axis: matplotlib is not told what tickformat '{form}' means")
    if form == "~%":
        axis.set_major_formatter(lambda value, _: f"{plain_number(100 * value)} %")
    elif form == "~g":
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    elif logarithmic and not named and words.get("exponentformat") != "power":
        axis.set_major_formatter(lambda value, _: short(value))
    elif not (named or logarithmic or words.get("type") == "category"):
        largest = max(map(abs, getattr(axes, f"get_{side}lim")()))
        if largest >= LARGE or words.get("exponentformat") == "SI":
            axis.set_major_formatter(lambda value, _: short(value))


def plain_number(value: float) -> str:
    """A number to three digits without powers of ten: 0.00001."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-")


def _above(axes: Axes, below: Mapping[str, Any], words: Mapping[str, Any]) -> None:
    """A second axis on top, whose range stands over that of the lower one."""
    from matplotlib.ticker import MaxNLocator

    check_words(words, _ABOVE, "xaxis2")
    (low, high), (start, end) = below["range"], words["range"]
    slope = (end - start) / (high - low)
    there = (lambda x: start + (x - low) * slope, lambda x: low + (x - start) / slope)
    upper = axes.secondary_xaxis("top", functions=there)
    upper.set_xlabel(literal(words["title"]["text"]), fontsize=LABEL, color=painted("soft"))
    upper.xaxis.set_major_locator(MaxNLocator(words.get("nticks", 7), steps=[1, 2, 2.5, 5, 10]))
    upper.tick_params(color=painted("line"), labelcolor=painted("soft"), labelsize=TICK)
    upper.spines["top"].set_color(painted("line"))
