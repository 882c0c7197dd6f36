"""The charts of the report as plain data: traces and layouts in Plotly's JSON, drawn by ``page.js``.

Colours are names of CSS variables ("c0" is the first candidate's), so that light and dark are one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration import NodeStatistics
from spikewright.graph import Array
from spikewright.measure import FiringRate, LayerMeasures, Measures
from spikewright.report.candidate import Candidate

Chart = dict[str, Any]
BINS = 60


def _chart(traces: list[Chart], x: str, y: str, **layout: Any) -> Chart:
    axes = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    for key in ("xaxis", "yaxis"):
        axes[key] |= layout.pop(key, {})
    return {"data": traces, "layout": {**axes, **layout}}


def accuracy(candidates: Sequence[Candidate]) -> Chart:
    """Accuracy, or agreement without labels, against timesteps."""
    first = candidates[0].measures
    labelled = first.accuracy is not None
    steps = np.arange(1, first.timesteps + 1)
    traces: list[Chart] = []
    for k, candidate in enumerate(candidates):
        curve = candidate.measures.accuracy if labelled else candidate.measures.agreement
        traces.append(
            {
                "x": steps.tolist(),
                "y": _percent(curve),
                "name": candidate.label,
                "mode": "lines",
                "line": {"color": f"c{k}", "width": 2.5},
                "hovertemplate": "T = %{x}: %{y:.2f} %",
            }
        )
    if first.analog_accuracy is not None:
        analog = {"color": "muted", "dash": "dash", "width": 1.5}
        level = [100 * first.analog_accuracy] * 2
        traces.append(
            {
                "x": [1, first.timesteps],
                "y": level,
                "name": f"analog, {level[0]:.2f} %",
                "mode": "lines",
                "line": analog,
                "hoverinfo": "skip",
            }
        )
    what = "accuracy, %" if labelled else "agreement with the analog network, %"
    ticks = [2**k for k in range(20) if 2**k <= first.timesteps]
    return _chart(
        traces,
        "timesteps",
        what,
        xaxis={"type": "log", "tickvals": ticks, "ticktext": [str(t) for t in ticks]},
        yaxis={"rangemode": "tozero"},
        height=380,
        legend=True,
    )


def against_synops(candidates: Sequence[Candidate]) -> Chart:
    """The same curves against the work done: synaptic operations up to each timestep, taken as even over time."""
    traces = []
    for k, candidate in enumerate(candidates):
        measures = candidate.measures
        curve = measures.accuracy if measures.accuracy is not None else measures.agreement
        done = measures.total_synops * np.arange(1, measures.timesteps + 1) / measures.timesteps
        traces.append(
            {
                "x": done.tolist(),
                "y": _percent(curve),
                "name": candidate.label,
                "mode": "lines",
                "line": {"color": f"c{k}", "width": 2.5},
                "hovertemplate": "%{x:.3s} synops: %{y:.2f} %",
            }
        )
    return _chart(traces, "synaptic operations per sample", "%", xaxis={"type": "log"}, height=380, legend=False)


def synops(measures: Measures, colour: str) -> Chart:
    """Synaptic operations by layer."""
    names = [name for name, layer in measures.synops.items() if layer.spikes]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": names[::-1],
        "x": [measures.synops[name].spikes for name in names[::-1]],
        "marker": {"color": colour},
        "hovertemplate": "%{y}: %{x:.3s}",
    }
    height = 110 + 22 * len(names)
    return _chart([trace], "synaptic operations per sample", "", height=height, yaxis={"automargin": True})


def raster(trains: dict[str, Array], colours: int) -> Chart:
    """When some neurons of each population fired, for one sample."""
    traces, ticks, names, base = [], [], [], 0
    for k, (name, train) in enumerate(reversed(trains.items())):
        when, which = np.nonzero(train)
        if not train.shape[1]:
            continue
        traces.append(
            {
                "x": (when + 1).tolist(),
                "y": (which + base).tolist(),
                "mode": "markers",
                "marker": {"symbol": "line-ns-open", "size": 5, "color": f"c{k % colours}"},
                "hovertemplate": f"{name}, t = %{{x}}",
            }
        )
        ticks.append(base + train.shape[1] / 2)
        names.append(name)
        base += train.shape[1] + 6
    rows = {"tickvals": ticks, "ticktext": names, "automargin": True, "showgrid": False, "zeroline": False}
    return _chart(traces, "timestep", "", yaxis=rows, height=min(160 + 3 * base, 900))


def weights(before: Array, after: Array) -> Chart:
    """Weights of a layer before and after normalising."""
    return _chart(
        [_steps(before, "before", "muted"), _steps(after, "after", "c0")], "weight", "share", height=250, legend=True
    )


def activations(node: NodeStatistics, scale: float) -> Chart:
    """Positive activations of a population, with λ marked; the upper axis of the eye is in units of λ."""
    edges, histogram = node.edges, node.histogram
    top = max(float(np.max(node.maximum)), scale) * 1.02 or 1.0
    borders = np.linspace(0, top, BINS + 1)
    share = np.histogram((edges[:-1] + edges[1:]) / 2, borders, weights=histogram)[0] / max(int(histogram.sum()), 1)
    centre = (borders[:-1] + borders[1:]) / 2
    trace = {
        "type": "bar",
        "x": centre.tolist(),
        "y": [value or None for value in share.tolist()],
        "customdata": (centre / scale).tolist(),
        "marker": {"color": "c0"},
        "hovertemplate": "%{x:.3g}, after normalising %{customdata:.3g}: %{y:.2e}",
    }
    lines = [{"x0": scale, "x1": scale, "y0": 0, "y1": 1, "yref": "paper", "type": "line", "line": {"color": "mark"}}]
    note = {"x": scale, "y": 1, "yref": "paper", "text": f"λ = {scale:.3g}", "showarrow": False, "yanchor": "bottom"}
    return _chart(
        [trace],
        "activation (λ becomes 1)",
        "share of positives",
        yaxis={"type": "log", "exponentformat": "power"},
        height=250,
        bargap=0,
        shapes=lines,
        annotations=[note],
    )


def rates(firing: FiringRate) -> Chart:
    """How many neurons fire how much."""
    centre = (firing.edges[:-1] + firing.edges[1:]) / 2
    trace = {
        "type": "bar",
        "x": centre.tolist(),
        "y": [int(n) or None for n in firing.histogram],
        "marker": {"color": "c1"},
        "hovertemplate": "%{x:.2f}: %{y} neurons",
    }
    return _chart([trace], "spikes per timestep", "neurons", yaxis={"type": "log"}, height=250, bargap=0)


def scatter(layer: LayerMeasures) -> Chart:
    """Firing rates against the activations they stand for."""
    pairs = layer.correlation
    if pairs is None:
        return _chart([], "", "", height=250)
    top = float(max(pairs.analog.max(initial=1.0), pairs.spiking.max(initial=1.0)))
    points = {
        "type": "scattergl" if len(pairs.analog) > 5000 else "scatter",
        "x": np.round(pairs.analog, 4).tolist(),
        "y": np.round(pairs.spiking, 4).tolist(),
        "mode": "markers",
        "marker": {"color": "c0", "size": 4, "opacity": 0.45},
        "hovertemplate": "activation %{x:.3f}, rate %{y:.3f}",
    }
    line = {"color": "muted", "dash": "dot", "width": 1.5}
    identity = {"x": [0, top], "y": [0, top], "mode": "lines", "line": line, "hoverinfo": "skip"}
    return _chart([identity, points], "activation / λ", "spikes per timestep", height=250)


def _percent(curve: NDArray[np.float64] | None) -> list[float]:
    return [] if curve is None else (100 * curve).round(4).tolist()


def _steps(values: Array, name: str, colour: str) -> Chart:
    """A histogram drawn as an outline."""
    low, high = float(values.min()), float(values.max())
    share, edges = np.histogram(values, BINS, (low, high if high > low else low + 1))
    return {
        "x": ((edges[:-1] + edges[1:]) / 2).tolist(),
        "y": (share / values.size).tolist(),
        "name": f"{name} ({low:.2g} to {high:.2g})",
        "mode": "lines",
        "line": {"shape": "hvh", "color": colour, "width": 2},
        "hovertemplate": "%{x:.3g}: %{y:.3f}",
    }
