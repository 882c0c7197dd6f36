"""The charts of scores: against time, and against the work done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikewright.experiment import Candidate
from spikewright.measures import HeadMeasures, QuantisedScores
from spikewright.reports.charts import LARGE, Chart, colour, framed, line, whole_numbers
from spikewright.tasks import SCORES, Curve, Score
from spikewright.text import short

NARROW = 1.5
"""Up to how many times the least the most may be for an axis that is not logarithmic."""


def score(
    candidates: Sequence[Candidate],
    head: str,
    name: str,
    *,
    against: bool = False,
    close: bool = False,
    linear: bool = False,
) -> Chart:
    """A score against timesteps, one line for each candidate, with the analog network's as a level.

    Args:
        candidates: to compare.
        head: the output.
        name: of the score.
        against: against the analog network instead of the labels.
        close: show only what lies near the final values; of an error, from zero up instead of in powers of ten.
        linear: a linear axis of time instead of one in powers of two.
    """
    kind = SCORES[name]
    heads = [candidate.measures.heads[head] for candidate in candidates]
    curves = [(one.agreement if against else one.scores)[name] for one in heads]
    level = None if against else heads[0].analog.get(name)
    values = _axis(kind, [*curves, *([] if level is None else [np.full(1, level)])], close)
    traces = []
    for k, (candidate, one, curve) in enumerate(zip(candidates, heads, curves, strict=True)):
        steps = list(range(1, candidate.measures.timesteps + 1))
        band = one.band() if name == one.task.main and against is not one.labelled else None
        if band is not None:
            traces.append(_band(k, steps, *(_shown(end, kind) for end in band)))
        traces.append(line(k, labelled(candidate), steps, _shown(curve, kind), _hover(kind) + _later(candidate)))
        found = one.quantised if against is not one.labelled else None
        if found is not None and name in found.scores:
            traces.append(_quantised(k, candidate.label, found, name))
    if len(candidates) > 1:
        traces = _dotted_once(traces)
    end = max(c.measures.timesteps for c in candidates)
    if level is not None and np.isfinite(level):
        traces.append(_level(level, kind, end))
    return _over_time(traces, kind.axis(against=against), values, end, linear)


def plain(curves: Mapping[str, Curve], level: float | None, *, close: bool = False, linear: bool = False) -> Chart:
    """Accuracies against timesteps, one line for each curve, with the analog network's as a level.

    Args:
        curves: ``(T,)`` by label, from 0 to 1.
        level: of the analog network, or None.
        close: as of ``score``.
        linear: as of ``score``.
    """
    kind, end = SCORES["accuracy"], max(map(len, curves.values()))
    traces = [
        line(k, label, list(range(1, len(curve) + 1)), _shown(curve, kind), _hover(kind))
        for k, (label, curve) in enumerate(curves.items())
    ]
    if level is not None:
        traces.append(_level(level, kind, end))
    levels = [] if level is None else [np.full(1, level)]
    return _over_time(traces, kind.axis(), _axis(kind, [*curves.values(), *levels], close), end, linear)


def _level(level: float, kind: Score, end: int) -> Chart:
    """The analog network's score, the same at every timestep."""
    return {
        "x": [1, end],
        "y": _shown(np.full(2, level), kind),
        "name": f"analog, {kind.text(level, unit=True)}",
        "mode": "lines",
        "line": {"color": "muted", "dash": "dash", "width": 1.5},
        "hoverinfo": "skip",
    }


def _over_time(traces: list[Chart], title: str, values: Mapping[str, Any], end: int, linear: bool) -> Chart:
    """Lines against timesteps, in powers of two unless the axis is linear."""
    ticks = [2**k for k in range(24) if 2**k <= end]
    powers = {"type": "log", "tickvals": ticks, "ticktext": [str(t) for t in ticks], "hoverformat": "d"}
    time = {"rangemode": "tozero", **whole_numbers(end)} if linear else powers
    return framed(
        traces, "timesteps", title, xaxis=time, yaxis=values, height=LARGE, legend=True, hovermode="x unified"
    )


def _band(candidate: int, steps: list[int], low: list[float], high: list[float]) -> Chart:
    """The 95 % intervals around a curve."""
    return {
        "x": [*steps, *steps[::-1]],
        "y": [*low, *high[::-1]],
        "name": "95 % interval",
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": f"{colour(candidate)}/24",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _quantised(candidate: int, label: str, found: QuantisedScores, name: str) -> Chart:
    """What the trained network rounded to as many levels scores: no order of spikes gets beyond it, but by chance."""
    kind = SCORES[name]
    own = line(candidate, f"{label}, quantised", list(found.steps), _shown(found.scores[name], kind), _hover(kind))
    look = {"width": 1.25, "dash": "dot", "color": colour(candidate)}
    marker = {"symbol": "diamond-open", "size": 7, "color": colour(candidate)}
    return {**own, "mode": "lines+markers", "line": look, "marker": marker}


def _dotted_once(traces: list[Chart]) -> list[Chart]:
    """Dotted lines with one line in the legend for all of them, which else would be higher than the curves."""
    dotted = [trace for trace in traces if trace["line"].get("dash") == "dot"]
    if not dotted:
        return traces
    line = {**dotted[0]["line"], "color": "muted"}
    marker = {**dotted[0]["marker"], "color": "muted"}
    all_of_them = {"name": "quantised", "x": [None], "y": [None], "line": line, "marker": marker, "hoverinfo": "skip"}
    shown = [{**trace, "showlegend": False} if trace in dotted else trace for trace in traces]
    return [*shown, all_of_them | {"mode": "lines+markers"}]


def against_synops(candidates: Sequence[Candidate], head: str) -> Chart:
    """The main score against the work done: synaptic operations up to each timestep, taken as even over time."""
    first = candidates[0].measures.heads[head]
    kind = SCORES[first.task.main]
    traces, most, least = [], 1.0, np.inf
    for k, candidate in enumerate(candidates):
        measures = candidate.measures
        done = measures.total_synops * np.arange(1, measures.timesteps + 1) / measures.timesteps
        if done[0] <= 0:  # a network that never fires has no place on this axis
            continue
        most, least = max(most, float(done[-1])), min(least, float(done[0]))
        curve = main_curve(measures.heads[head])
        traces.append(line(k, candidate.label, done.tolist(), _shown(curve, kind), _hover(kind) + " at %{x:.3s}"))
    return framed(
        traces,
        "synaptic operations per sample",
        kind.axis(against=not first.labelled),
        xaxis=logarithmic(least, most),
        yaxis=_axis(kind, [main_curve(c.measures.heads[head]) for c in candidates], close=False),
        height=LARGE,
        legend=True,
    )


def logarithmic(least: float, most: float) -> dict[str, Any]:
    """An axis in powers of ten, with numbers as people write them (500 k, 1 M, 2 M); a plain one where all is near."""
    if most < NARROW * least:
        return {}
    for steps in ((1, 2, 5), (1, 1.5, 2, 2.5, *range(3, 10))):
        ticks = [m * 10.0**e for e in range(-6, 16) for m in steps]
        if sum(least <= tick <= most for tick in ticks) > 2:
            break
    shown = [tick for tick in ticks if least / 2 <= tick <= 2 * most]
    return {"type": "log", "tickvals": shown, "ticktext": [short(tick) for tick in shown]}


def labelled(candidate: Candidate) -> str:
    """Its label, with its latency where windows follow one another."""
    windows = candidate.measures.run.windows
    return candidate.label if windows == 1 else f"{candidate.label}, after {windows}·T steps"


def _later(candidate: Candidate) -> str:
    windows = candidate.measures.run.windows
    return "" if windows == 1 else f" after {windows}·%{{x}} steps"


def main_curve(head: HeadMeasures) -> Curve:
    """``(T,)``: the main score of an output, or the agreement in it where there are no labels."""
    return head.curves[head.task.main]


def _axis(kind: Score, curves: Sequence[Curve], close: bool) -> Mapping[str, Any]:
    """The axis of a score: shares from zero up, errors in powers of ten, R² where it says something."""
    ends = [float(curve[-1]) for curve in curves if np.isfinite(curve[-1])]
    if kind.percent:
        if close and ends:
            return {"range": [max(0.0, 100 * min(ends) - 4), min(100.2, 100 * max(ends) + 2)]}
        return {"rangemode": "tozero"}
    if not kind.higher:
        if close and ends and max(ends) > 0:
            return {"range": [0.0, 2 * max(ends)]}
        positive = [float(value) for curve in curves for value in curve[curve > 0]]
        if close or not positive:
            return {"rangemode": "tozero"}
        narrow = max(positive) < 20 * min(positive)  # else digits between the powers would stand on one another
        ticks = {"dtick": "D2", "tickformat": "~g"} if narrow else {"dtick": 1}
        return {"type": "log", "exponentformat": "power", **ticks}
    lowest = min([float(np.nanmin(curve)) for curve in curves if np.isfinite(curve).any()], default=0.0)
    return {"range": [max(lowest, min([-0.1, *(end - 0.5 for end in ends)])) - 0.02, 1.03]}


def _shown(curve: Curve, kind: Score) -> list[float]:
    values: list[float] = (100 * curve if kind.percent else curve).tolist()
    return values


def _hover(kind: Score) -> str:
    return "%{y:.2f} %" if kind.percent else "%{y:.4g}"
