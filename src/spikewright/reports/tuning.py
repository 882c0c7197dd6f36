"""The page of a tuning: what each point loses and costs, what was chosen, and how to make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import isfinite
from pathlib import Path

from spikewright.experiment.tuning import Row, Settled, Tried, Tuning
from spikewright.experiment.tuning.point import SETTINGS
from spikewright.files import write_text
from spikewright.reports.charts import COLOURS, LARGE, Chart, colour, framed, plain
from spikewright.reports.curves import logarithmic
from spikewright.reports.document import Document, check_report
from spikewright.reports.reproducing import settings_section
from spikewright.reports.table import table
from spikewright.text import short

MOST_ROWS = 200
Against = tuple[str, str, Callable[[Row], float]]
"""What stands on the horizontal axis: the name of the view, its title, and its value."""
SYNOPS: Against = ("synops", "synaptic operations per sample", lambda row: row.synops)
RATE: Against = ("firing rate", "spikes per neuron and timestep", lambda row: row.firing_rate)
STEPS: Against = ("timesteps", "timesteps", lambda row: float(row.timesteps))


def tuning_report(path: Path | str, tuning: Tuning, *, title: str = "", force: bool = False) -> Path:
    """Write what tuning found as one HTML file that needs nothing else, whole or not at all.

    Args:
        path: of the file.
        tuning: from ``tune``.
        title: of the page.
        force: whether a file that stands there is replaced.

    Returns:
        the path.

    Raises:
        SettingsError: for a name that is no page's.
        StorageError: when a file stands there, or it cannot be written.
    """
    check_report(path, force)
    document = Document()
    sections = [
        _head(title or "Settings of a conversion", tuning),
        f"<h2>What it gains, what it costs</h2><p class='soft'>{escape(_told(tuning))}</p>",
        document.figures(
            [(view[0], pareto_chart(tuning, view)) for view in (SYNOPS, RATE, STEPS)],
            f"{tuning.title} against work: every point at every T, and the front that none beats",
        ),
        *(_varied(document, tuning, name) for name in varied_numbers(tuning)),
        _table(tuning),
        settings_section(tuning.settings),
    ]
    write_text(path, document.html(title or "Settings of a conversion", "\n".join(sections)), force)
    return Path(path)


def pareto_chart(tuning: Tuning, against: Against) -> Chart:
    """Every point at every T: its score against what it costs, the front, what was chosen, the trained network."""
    _, x_title, cost = against
    name = _first_varied(tuning)
    values = list(dict.fromkeys(one.point[name] for one in tuning.tried)) if name else [""]
    traces: list[Chart] = []
    for k, value in enumerate(values):
        rows = [row for row in tuning.rows if not name or row.point[name] == value]
        traces.append(_dots(tuning, rows, cost, f"{name}={value}" if name else "tried", k))
    front = sorted(tuning.front, key=cost)
    if cost is SYNOPS[2]:
        line = {"color": "muted", "width": 1.5, "shape": "hv"}
        traces.append(_line(tuning, front, cost, "front", line) | {"hoverinfo": "skip"})
    for k, settled in enumerate(tuning.settled):
        traces.append(_star(tuning, settled, cost, "recommended" if not k else str(settled.chosen.rule)))
    ends = [cost(row) for row in tuning.rows]
    traces.append(
        {
            "x": [min(ends), max(ends)],
            "y": [_shown(tuning, tuning.reference)] * 2,
            "name": f"trained, {tuning.score_text(tuning.reference)}",
            "mode": "lines",
            "line": {"color": "muted", "dash": "dash", "width": 1.5},
            "hoverinfo": "skip",
        }
    )
    axis = logarithmic(min(ends), max(ends)) if min(ends) > 0 else {"rangemode": "tozero"}
    if cost is STEPS[2]:
        axis |= {"tickvals": (steps := list(tuning.timesteps.values)), "ticktext": [str(t) for t in steps]}
    return framed(traces, x_title, tuning.axis, xaxis=axis, height=LARGE + 40, legend=True)


def varied_numbers(tuning: Tuning) -> list[str]:
    """The settings that are numbers and were tried with three values or more beside the recommended others."""
    names = dict.fromkeys(name for one in tuning.tried for name, _ in one.point.settings if SETTINGS[name].ranges)
    return [name for name in names if len(_along(tuning, name)) >= 3]


def along(tuning: Tuning, name: str, against: Against) -> Chart:
    """The score against what a number costs, a line for each T, its values written beside.

    Args:
        tuning: what was found.
        name: of the number, all else being as recommended.
        against: what stands on the horizontal axis.
    """
    _, x_title, cost = against
    traces: list[Chart] = []
    for k, t in enumerate(tuning.timesteps.values):
        rows = [Row.of(one, t) for one in _along(tuning, name)]
        line = {"color": colour(k), "width": 2}
        traces.append(
            _line(tuning, rows, cost, f"T={t}", line)
            | {
                "mode": "lines+markers+text",
                "marker": {"color": colour(k), "size": 7},
                "text": [row.point[name] for row in rows],
                "textposition": "top center",
                "textfont": {"color": "soft", "size": 11},
            }
        )
    return framed(traces, x_title, tuning.axis, height=LARGE, legend=True)


def _along(tuning: Tuning, name: str) -> list[Tried]:
    """The points that are as recommended but for one number, in its order."""
    best = tuning.recommended.row.point
    names = {label for one in tuning.tried for label, _ in one.point.settings} - {name}
    found = [one for one in tuning.tried if all(one.point[label] == best[label] for label in names)]
    return sorted(
        (one for one in found if one.point[name][:1] in "-.0123456789"), key=lambda one: float(one.point[name])
    )


def _varied(document: Document, tuning: Tuning, name: str) -> str:
    """The section of one number: the gain of the first layer, say."""
    rows = [Row.of(one, t) for one in _along(tuning, name) for t in tuning.timesteps.values]
    number: Against = (name, name, lambda row: float(row.point[name]))
    views = [(view[0], along(tuning, name, view)) for view in (RATE, SYNOPS, number)]
    heading = "The gain of the first layer" if name == "gain" else f"By {name}"
    chosen = tuning.recommended.row.point[name]
    text = f"All else as recommended; the numbers beside the points are {name}, of which {chosen} is recommended."
    plot = document.figures(views, f"{tuning.title} against firing rate and work, by {name}")
    cells = [
        [row.point[name], str(row.timesteps), tuning.score_text(row.score), f"{row.firing_rate:.4f}", short(row.synops)]
        for row in rows
    ]
    header = [name, "T", tuning.title, "firing rate", "synops"]
    return f"<h2>{escape(heading)}</h2><p class='soft'>{escape(text)}</p>{plot}{table(header, cells, text=0)}"


def _head(title: str, tuning: Tuning) -> str:
    """Title, facts and the recommendations with the commands that make them."""
    row = tuning.recommended.row
    facts = [
        (
            tuning.score_text(row.score),
            f"{tuning.title} on samples held out, at T = {row.timesteps}",
        ),
        (tuning.score_text(tuning.reference), "of the trained network on the same samples"),
        (short(row.synops), "synaptic operations per sample"),
        (f"{row.firing_rate:.4f}", "spikes per neuron and timestep"),
    ]
    cards = "".join(f'<div class="fact"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in facts)
    parts = [f'<h1>{escape(title)}</h1><p class="soft">{escape(tuning.held_out)}</p><div class="facts">{cards}</div>']
    for settled in tuning.settled:
        lines = "".join(f"<li>{escape(line)}</li>" for line in tuning.recommendation(settled))
        command = tuning.commands.get(str(settled.chosen.rule), "")
        parts.append(f'<ul class="seen">{lines}</ul>' + (f"<pre>{escape(command)}</pre>" if command else ""))
    notes = "".join(f"<li>{escape(note)}</li>" for note in tuning.notes)
    return "".join(parts) + (f'<ul class="seen">{notes}</ul>' if notes else "")


def _told(tuning: Tuning) -> str:
    judged = "the labels" if tuning.labelled else "the trained network's answers"
    return (
        f"{len(tuning.tried):,} points at T = {', '.join(map(str, tuning.timesteps.values))}, judged by {judged} on "
        "calibration samples that were held out of calibration; test data had no part in it. Work up to a timestep is "
        "taken as spread evenly over time."
    )


def _table(tuning: Tuning) -> str:
    steps = tuning.timesteps.values
    last = [Row.of(one, steps[-1]) for one in tuning.tried]
    order = sorted(range(len(last)), key=lambda k: last[k].lost)[:MOST_ROWS]
    rows = []
    for k in order:
        scores = [tuning.score_text(float(tuning.tried[k].scored.score[t - 1])) for t in steps]
        rows.append([str(last[k].point), *scores, f"{last[k].firing_rate:.4f}", short(last[k].synops)])
    header = ["point", *(f"T={t}" for t in steps), "firing rate", "synops"]
    some = f"the best {MOST_ROWS} of {len(last):,} points" if len(last) > MOST_ROWS else "all points, the best first"
    return f"<h2>{escape(some[0].upper() + some[1:])}</h2>{table(header, rows, text=1)}"


def _first_varied(tuning: Tuning) -> str:
    """The first setting that is not the same for all points; empty where there is none."""
    for name in dict.fromkeys(name for one in tuning.tried for name, _ in one.point.settings):
        if len({one.point[name] for one in tuning.tried}) > 1:
            return name
    return ""


def _shown(tuning: Tuning, score: float) -> float:
    return 100 * score if tuning.percent else score


def _hover(tuning: Tuning, rows: Sequence[Row]) -> list[str]:
    return [
        plain(
            f"{row.point}, T={row.timesteps}: {tuning.score_text(row.score)}, {short(row.synops)} synops, "
            f"rate {row.firing_rate:.4f}"
        )
        for row in rows
    ]


def _line(tuning: Tuning, rows: Sequence[Row], cost: Callable[[Row], float], name: str, line: Chart) -> Chart:
    return {
        "x": [cost(row) for row in rows],
        "y": [_shown(tuning, row.score) if isfinite(row.score) else None for row in rows],
        "name": plain(name),
        "mode": "lines",
        "line": line,
        "customdata": _hover(tuning, rows),
        "hovertemplate": "%{customdata}",
    }


SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
"""Marks of values, one after the other once all colours are taken."""


def _dots(tuning: Tuning, rows: Sequence[Row], cost: Callable[[Row], float], name: str, place: int) -> Chart:
    symbol = SYMBOLS[place // COLOURS % len(SYMBOLS)]
    marker = {"color": colour(place), "size": 7, "opacity": 0.75, "symbol": symbol}
    return _line(tuning, rows, cost, name, {}) | {"mode": "markers", "marker": marker}


def _star(tuning: Tuning, settled: Settled, cost: Callable[[Row], float], name: str) -> Chart:
    marker = {"symbol": "star", "size": 15, "color": "mark"}
    return _line(tuning, [settled.row], cost, name, {}) | {"mode": "markers", "marker": marker}
