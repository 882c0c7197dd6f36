"""The sections about work: synaptic operations per second over time, and what would save some."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from spikewright.chips.bandwidth import Bandwidth
from spikewright.chips.value import Fit
from spikewright.reports.charts import LARGE, Chart, colour, framed, line, plain
from spikewright.reports.document import Document
from spikewright.reports.table import table
from spikewright.text import percent, short


def how_busy(document: Document, fit: Fit) -> str:
    """Operations per second of each core over time, on average and at their peak, beside the limit."""
    busy = fit.bandwidth
    if busy is None:
        return ""
    figure = ""
    if busy.over_time:
        window = 1000 * (busy.window or busy.dt)
        views = [(name, over_time(fit, busy, which)) for name, which in (("peaks", "most"), ("means", "mean"))]
        caption = f"synaptic operations per second of each core, in windows of {window:g} ms"
        figure = document.figures(views, caption)
    cores, rows = fit.cores, []
    for one in busy.layers:
        limit = fit.limit_of(cores.get(one.layer))
        peak = ["", ""] if one.peak is None else [short(one.peak), f"{1000 * (one.peak_at or 0):g} ms"]
        share = [] if fit.synops_limit is None else ["" if limit is None else f"{one.busiest / limit:,.3g} ×"]
        core = str(cores.get(one.layer, "none"))
        rows.append([one.layer, core, short(one.events), short(one.mean), *peak, *share])
    header = ["layer", "core", "events/s", "synops/s, mean", "peak", "peak from"]
    header += [] if fit.synops_limit is None else ["of the limit"]
    note = "An event is one operation for each neuron that it reaches. Peaks: the most of any sample; means: of all."
    if fit.synops_limit is None:
        note += " No limit of a core is public, and none was given (--synops-limit)."
    return f'<h2>How busy the cores are</h2><p class="soft">{escape(note)}</p>{figure}{table(header, rows, text=1)}'


def over_time(fit: Fit, busy: Bandwidth, which: str) -> Chart:
    """Operations per second of each core over time, one line for each, and limits as dashed lines.

    Args:
        fit: whose cores and limits they are.
        busy: how busy they are.
        which: "most" of any sample or the "mean" over samples.
    """
    traces, end = [], 0.0
    for k, load in enumerate(busy.layers):
        course = busy.over_time[load.layer].thinned()
        begins = (1000 * course.begins).tolist()
        core = fit.cores.get(load.layer)
        label = f"{load.layer}, {'no core' if core is None else f'core {core}'}"
        own = line(k, label, begins, getattr(course, which).tolist(), "%{y:.4s} at %{x:.5~g} ms")
        own["line"] = {**own["line"], "width": 1.75, "shape": "hv"}
        traces.append(own)
        end = max(end, begins[-1] + 1000 * (busy.window or busy.dt))
    traces += _limits(fit, busy, end)
    return framed(
        traces,
        "time, ms",
        "synaptic operations per second",
        xaxis={"rangemode": "tozero"},
        yaxis={"rangemode": "tozero", "exponentformat": "SI"},
        height=LARGE,
        legend=True,
    )


def _limits(fit: Fit, busy: Bandwidth, end: float) -> list[Chart]:
    """The limits that were given, as dashed lines: one for all, or one a core in its colour."""

    def dashed(limit: float, label: str, shade: str) -> Chart:
        return {
            "x": [0, end],
            "y": [limit, limit],
            "name": plain(f"{label}, {short(limit)}"),
            "mode": "lines",
            "line": {"color": shade, "dash": "dash", "width": 1.75},
            "hoverinfo": "skip",
        }

    limit = fit.synops_limit
    if limit is None:
        return []
    if not isinstance(limit, Mapping):
        return [dashed(limit, "limit", "mark")]
    cores = {core: k for k, load in enumerate(busy.layers) if (core := fit.cores.get(load.layer)) is not None}
    return [dashed(most, f"limit of core {core}", colour(cores.get(core, 0))) for core, most in limit.items()]


def what_saves(fit: Fit) -> str:
    """What each remedy would save on this network, and what those that were tried cost."""
    parts = []
    if fit.savings:
        judged = any(one.enough is not None for one in fit.savings)
        rows = [
            [
                one.layer,
                one.remedy.removesuffix(","),
                f"{percent(one.share)}%",
                "yes" if one.train else "no",
                *([{None: "", True: "yes", False: "no"}[one.enough]] if judged else []),
            ]
            for one in fit.savings
        ]
        header = ["layer", "remedy", "saves", "train again", *(["enough for the limit"] if judged else [])]
        note = "Computed from the events that arrive at each layer here. What training again costs is not known."
        parts.append(f'<p class="soft">{note}</p><div class="told">{table(header, rows, text=2)}</div>')
    if fit.tried:
        first, *others = fit.tried
        rows = []
        for trial in others:
            costs = 100 * (first.score - trial.score)
            told = [f"{100 * trial.score:.1f}", f"{costs:.1f}".replace("-", "−")]
            saved = [
                f"{percent(1 - trial.busiest[name] / most)}%" if most > 0 else ""
                for name, most in first.busiest.items()
            ]
            rows.append([trial.remedy.removesuffix(","), *told, *saved])
        header = ["remedy, simulated", "score, %", "costs, points", *(f"saves at {name}" for name in first.busiest)]
        note = f"Tried without training again; as it is the network scores {100 * first.score:.1f} %."
        parts.append(f'<h3>Tried</h3><p class="soft">{note}</p>{table(header, rows, text=1)}')
    return f"<h2>What would save work</h2>{''.join(parts)}" if parts else ""
