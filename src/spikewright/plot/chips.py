"""The floor plan of a chip as a figure: how full the memories of its cores are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.plot.figures import figure_of
from spikewright.plot.panel import Panel
from spikewright.reports.charts import Chart, framed, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikewright.chips.value import Fit

COLOURS = {"kernel": "c0", "neuron": "c2", "bias": "c4"}


def floor_plan(fit: Fit) -> Figure:
    """How full each core of a chip is, memory by memory, with the layer that it gets; or what a chip has in all.

    Args:
        fit: from ``check``. A notebook shows it as a picture of cards.

    Raises:
        SettingsError: for anything else, where nothing is known of the chip's memory, and without matplotlib.
    """
    from spikewright.chips.value import Fit  # brings all about chips, which other figures do without

    if not isinstance(fit, Fit):
        raise SettingsError(f"this draws what sw.check found, not a {type(fit).__name__}")
    places = fit.places
    if places:
        rows = [f"{place.title}: {place.layer or 'free'}" for place in places]
        shares = {
            kind: [next(one.share for one in place.memories if one.kind == kind) for place in places]
            for kind in COLOURS
        }
    elif fit.used:
        rows, shares = [one.what for one in fit.used], {"used": [one.number / one.most for one in fit.used]}
    else:
        raise SettingsError(f"nothing is known of the memory of {fit.chip.name}: there is no floor plan to draw")
    verdict = "holds the network" if fit.fits else "does not hold the network"
    return figure_of([Panel(_chart(rows, shares), f"{fit.chip.name} {verdict}")], 1, of=fit)


def _chart(rows: Sequence[str], shares: dict[str, list[float]]) -> Chart:
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "y": [plain(row) for row in rows],
            "x": values,
            "marker": {"color": COLOURS.get(kind, "c0")},
        }
        for kind, values in shares.items()
    ]
    line = {"color": "mark", "width": 1.5}
    full = {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": line}
    end = 1.04 * max([1.0, *(value for values in shares.values() for value in values)])
    return framed(
        traces,
        "memory in use",
        "",
        xaxis={"range": [0, end], "tickformat": "~%"},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        height=120 + (10 + 10 * len(shares)) * len(rows),
        legend=len(shares) > 1,
        bargap=0.3,
        shapes=[full],
    )
