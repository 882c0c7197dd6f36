"""The charts of the report as plain data: traces and layouts in Plotly's JSON, drawn by ``page.js``, and by
``spikewright.plot`` as figures of matplotlib, which takes the words that are used here and refuses others.

Colours are names of CSS variables ("c0" is the first candidate's; "c0/33" the same, mostly transparent), so that
light and dark are one page. Names of nodes and methods go through ``plain``: Plotly would read markup in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from spikewright.calibration import NodeStatistics
from spikewright.experiment import Candidate
from spikewright.graph import Array
from spikewright.measures import FiringRate, LayerMeasures
from spikewright.reports.names import short_names
from spikewright.synapse_graph.summary import Degrees
from spikewright.text import significant

Chart = dict[str, Any]
BINS = 60
COLOURS = 6
"""How many colours style.css has for candidates; more candidates repeat them, dashed or paler."""
SMALL, LARGE = 270, 380
"""Heights, in pixels."""
FEW = 24
"""Layers up to which bars stand apart."""
SHARE = {"type": "log", "tickformat": "~%", "nticks": 5}
"""A logarithmic axis of shares."""


def plain(name: str) -> str:
    """A name as Plotly shows it literally: no markup, no ``%{...}`` of a hover template."""
    return escape(name).replace("{", "&#123;").replace("}", "&#125;")


def colour(candidate: int) -> str:
    """The colour of a candidate, the same on the whole page."""
    return f"c{candidate % COLOURS}"


def synops(candidates: Sequence[Candidate]) -> Chart:
    """Synaptic operations by layer, side by side for all candidates."""
    names = [n for n in candidates[0].measures.synops if any(_synops(c, n) for c in candidates)]
    shown = short_names(names)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": plain(candidate.label),
            "y": [plain(shown[name]) for name in names],
            "x": [_synops(candidate, name) for name in names],
            "customdata": [plain(name) for name in names],
            "marker": {"color": colour(k), "opacity": 1 if k < COLOURS else 0.55},
            "hovertemplate": "%{customdata}: %{x:.3s}",
        }
        for k, candidate in enumerate(candidates)
    ]
    return framed(
        traces,
        "synaptic operations per sample",
        "",
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        height=120 + (12 + 12 * len(candidates) if len(names) <= FEW else 7 + 7 * len(candidates)) * len(names),
        legend=len(candidates) > 1,
        bargap=0.3,
    )


def raster(trains: Mapping[str, Array], candidate: int) -> Chart:
    """When some neurons of each population fired, for one sample: the first population on top."""
    traces, ticks, names, base = [], [], [], 0
    timesteps = max((len(train) for train in trains.values()), default=1)
    for k, (name, train) in enumerate(reversed([item for item in trains.items() if item[1].shape[1]])):
        when, which = np.nonzero(train)
        traces.append(
            {
                "x": (when + 1).tolist(),
                "y": (which + base).tolist(),
                "mode": "markers",
                "marker": {"symbol": "line-ns-open", "size": 4, "color": "ink" if k % 2 else colour(candidate)},
                "hovertemplate": f"{plain(name)}, timestep %{{x}}",
            }
        )
        ticks.append(base + (train.shape[1] - 1) / 2)
        names.append(plain(name))
        base += train.shape[1] + 6
    return framed(
        traces,
        "timestep",
        "",
        xaxis={"range": [0.3, timesteps + 0.7], "zeroline": False, **whole_numbers(timesteps)},
        yaxis={"tickvals": ticks, "ticktext": names, "range": [-4, base], "showgrid": False, "zeroline": False},
        height=min(90 + 4 * base, 1000),
    )


def rate_over_time(rate: Array, candidate: int) -> Chart:
    """Spikes per neuron of a population in each timestep."""
    steps = list(range(1, len(rate) + 1))
    trace = line(candidate, "rate", steps, [float(value) for value in rate], "timestep %{x}: %{y:.4f}")
    axis = {"zeroline": False, **whole_numbers(len(rate))}
    return framed([trace], "timestep", "spikes per neuron", xaxis=axis, yaxis={"rangemode": "tozero"}, height=SMALL)


def weights(before: Array, after: Array, candidate: int) -> Chart:
    """Weights of a layer before and after normalising."""
    traces = [_steps(before, "before", "muted"), _steps(after, "after", colour(candidate))]
    traces[0] |= {"fill": "tozeroy", "fillcolor": "muted/2e"}
    share = {"rangemode": "tozero", "tickformat": "~%"}
    return framed(traces, "weight", "share of weights", yaxis=share, height=SMALL, legend=True)


def activations(node: NodeStatistics, scale: Array, candidate: int) -> Chart:
    """Positive activations of a population with λ marked; where it is one, an upper axis in units of it.

    Args:
        node: its statistics.
        scale: λ, one number or one a channel.
        candidate: index, for the colour.
    """
    middle, largest = float(np.median(scale)), float(np.max(scale))
    top = max(float(np.max(node.maximum)), largest) * 1.04
    borders = np.linspace(0, top, BINS + 1)
    bins = (node.edges[:-1] + node.edges[1:]) / 2
    share = np.histogram(bins, borders, weights=node.histogram)[0] / max(int(node.histogram.sum()), 1)
    centre = (borders[:-1] + borders[1:]) / 2
    hover = "%{x:.3g}, normalised %{customdata:.3g}: %{y:.2e}" if scale.ndim == 0 else "%{x:.3g}: %{y:.2e}"
    bars = _bars(centre, share, candidate, hover) | {"customdata": (centre / middle).tolist()}
    shapes, text = [_upright(middle)], f"λ = {significant(middle)}"
    traces, above = [bars], {}
    if scale.ndim:
        spread = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below"}
        shapes.append({**spread, "x0": float(np.min(scale)), "x1": largest, "fillcolor": "mark/1f"})
        text = f"median λ = {significant(middle)}"
    else:
        axis = {"range": [0, top / middle], "overlaying": "x", "side": "top", "tickmode": "auto", "nticks": 7}
        above = {"xaxis2": {**axis, "title": {"text": "after normalising, in units of λ"}}}
        traces.append({"x": [0], "y": [None], "xaxis": "x2", "mode": "lines", "hoverinfo": "skip"})
    return framed(
        traces,
        "activation before normalising" if above else "activation",
        "share of positive values",
        xaxis={"range": [0, top]},
        yaxis=dict(SHARE),
        height=SMALL,
        bargap=0,
        shapes=shapes,
        annotations=[_note(middle, text, left=middle > top / 2)],
        **above,
    )


def normalised(values: Array, candidate: int) -> Chart:
    """Positive activations after normalising, where every channel has its own λ.

    Args:
        values: some of them, in units of λ.
        candidate: index, for the colour.
    """
    positive = values[values > 0]
    top = max(float(positive.max(initial=0)), 1.0) * 1.04
    count, edges = np.histogram(positive, BINS // 2, (0, top))
    share = count / max(positive.size, 1)
    return framed(
        [_bars((edges[:-1] + edges[1:]) / 2, share, candidate, "%{x:.3g}: %{y:.2e}")],
        "activation / λ",
        "share of positive values",
        xaxis={"range": [0, top]},
        yaxis=dict(SHARE),
        height=SMALL,
        bargap=0,
        shapes=[_upright(1.0)],
        annotations=[_note(1.0, "λ", left=True)],
    )


def rates(firing: FiringRate, candidate: int) -> Chart:
    """How many neurons fire how much."""
    used = np.flatnonzero(firing.histogram)
    end = firing.edges[min(int(used[-1]) + 2, len(firing.edges) - 1)] if used.size else firing.edges[-1]
    centre = (firing.edges[:-1] + firing.edges[1:]) / 2
    trace = _bars(centre, firing.histogram, candidate, "%{x:.2f}: %{y} neurons")
    return framed(
        [trace],
        "spikes per timestep",
        "neurons",
        xaxis={"range": [0, float(end)]},
        yaxis={"type": "log", "dtick": 1},
        height=SMALL,
        bargap=0,
    )


def degrees(one: Degrees, title: str) -> Chart:
    """How many neurons have how many synapses on one side."""
    centre = (one.edges[:-1] + one.edges[1:]) / 2
    width = float(one.edges[1] - one.edges[0])
    trace = _bars(centre, one.counts, 0, "%{x:.5~r}: %{y} neurons") | {"width": max(width, (one.high - one.low) / 200)}
    return framed([trace], title, "neurons", yaxis={"type": "log", "dtick": 1}, height=SMALL, bargap=0)


def scatter(layer: LayerMeasures, candidate: int) -> Chart:
    """Firing rates against the activations they stand for, in units of λ, and where they would be equal."""
    pairs = layer.correlation
    if pairs is None:
        raise ValueError(f"{layer.name}: has no pairs of activations and rates")
    top = 1.03 * (max(float(pairs.analog.max(initial=0)), float(pairs.spiking.max(initial=0))) or 0.05)
    identity = {
        "x": [0, top],
        "y": [0, top],
        "name": "equal",
        "mode": "lines",
        "line": {"color": "muted", "width": 1.5},
        "hoverinfo": "skip",
    }
    points = {
        "x": pairs.analog.tolist(),
        "y": pairs.spiking.tolist(),
        "mode": "markers",
        "marker": {"size": 5, "opacity": 0.45, "color": colour(candidate)},
        "hovertemplate": "activation %{x:.3f}, rate %{y:.3f}",
    }
    limits = {"range": [-top / 50, top], "zeroline": False}
    return framed([identity, points], "activation / λ", "spikes per timestep", xaxis=limits, yaxis=limits, height=SMALL)


def framed(traces: list[Chart], x: str, y: str, **layout: Any) -> Chart:
    """A chart of traces with titles of its axes; further words are of Plotly's layout."""
    axes: Chart = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    for key in ("xaxis", "yaxis"):
        axes[key] |= layout.pop(key, {})
    return {"data": traces, "layout": {**axes, **layout}}


def whole_numbers(most: float) -> Chart:
    """An axis of whole numbers up to a largest one: no 2.5 between 2 and 3."""
    return {"tickformat": "d", **({"dtick": 1} if most <= 10 else {})}


def line(candidate: int, label: str, x: list[Any], y: list[float], hover: str) -> Chart:
    """A line in the colour of a candidate; one point is a marker."""
    dash = "solid" if candidate < COLOURS else "dash"
    return {
        "x": x,
        "y": y,
        "name": plain(label),
        "mode": "lines" if len(x) > 1 else "markers",
        "line": {"color": colour(candidate), "width": 2.25, "dash": dash},
        "marker": {"color": colour(candidate), "size": 8},
        "hovertemplate": hover,
    }


def _bars(x: Array, y: Array, candidate: int, hover: str) -> Chart:
    marker = {"color": colour(candidate)}
    heights = [value or None for value in y.tolist()]
    return {"type": "bar", "x": x.tolist(), "y": heights, "marker": marker, "hovertemplate": hover}


def _upright(x: float) -> Chart:
    """A line that marks a value."""
    line = {"color": "mark", "width": 2}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _note(x: float, text: str, left: bool) -> Chart:
    """What a marked value is, written beside it."""
    side = {"xanchor": "right", "xshift": -4} if left else {"xanchor": "left", "xshift": 4}
    place = {"x": x, "y": 0.98, "yref": "paper", "yanchor": "top", "showarrow": False, **side}
    return {**place, "text": text, "font": {"color": "mark"}, "bgcolor": "card"}


def _synops(candidate: Candidate, name: str) -> float:
    found = candidate.measures.synops.get(name)
    return 0.0 if found is None else found.total


def _steps(values: Array, name: str, colour: str) -> Chart:
    """A histogram drawn as an outline; as many bins as the values can fill smoothly."""
    low, high = float(values.min()), float(values.max())
    bins = int(np.clip(2 * np.cbrt(values.size), 8, BINS))
    count, edges = np.histogram(values, bins, (low, high if high > low else low + 1))
    return {
        "x": [edges[0], *edges],
        "y": [0.0, *(count / values.size), 0.0],
        "name": f"{name}, {low:.2g} to {high:.2g}".replace("-", "−"),
        "mode": "lines",
        "line": {"shape": "hv", "color": colour, "width": 2},
        "hovertemplate": "%{x:.3g}: %{y:.2g}",
    }
