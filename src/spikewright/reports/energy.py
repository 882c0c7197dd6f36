"""The section about work: synaptic operations and energy by layer, and three estimates beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from spikewright.experiment import Candidate
from spikewright.measures import energy_estimates, less_energy_up_to
from spikewright.reports import charts
from spikewright.reports.charts import Chart, framed
from spikewright.reports.document import Document
from spikewright.reports.names import short_names
from spikewright.reports.table import table
from spikewright.text import significant

PARTS = {"spikes": "c0", "relayed values": "c3", "the analog input": "c1"}
"""What costs energy, and its colour."""
SHOWN = 4
"""Candidates whose energy is drawn, and layers whose bars have much room."""


def where_the_work_is(document: Document, candidates: Sequence[Candidate]) -> str:
    """Operations and energy by layer, and the three estimates."""
    views = [
        (one.label if len(candidates) > 1 else "", by_layer(one)) for one in candidates[:SHOWN] if one.measures.synops
    ]
    operations = charts.synops(candidates)
    both = [operations, *(chart for _, chart in views)]
    for chart in both:  # side by side they end together
        chart["layout"]["height"] = max(one["layout"]["height"] for one in both)
    figures = document.figures(views, "energy by layer, the analog input included: an estimate of arithmetic alone")
    figures += document.figure(operations, "synaptic operations, by the layer that spikes arrive at")
    return f'<h2>Where the work is</h2><div class="grid">{figures}</div>{_estimates(candidates)}'


def by_layer(candidate: Candidate) -> Chart:
    """Microjoules per sample of each layer: of spikes, of relayed values, of the analog input."""
    measures = candidate.measures
    parts = measures.energy.by_layer(measures.synops, measures.run.mean_steps)
    names = list(parts)
    shown = short_names(names)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": what,
            "y": [charts.plain(shown[name]) for name in names],
            "x": [parts[name][what] / 1000 for name in names],
            "marker": {"color": colour},
            "customdata": [charts.plain(name) for name in names],
            "hovertemplate": f"%{{customdata}}, {what}: %{{x:.3g}} µJ",
        }
        for what, colour in PARTS.items()
        if any(parts[name][what] for name in names)
    ]
    axis = {"type": "category", "autorange": "reversed", "showgrid": False}
    height = 120 + (24 if len(names) <= charts.FEW else 15) * len(names)
    return framed(traces, "µJ per sample", "", yaxis=axis, height=height, legend=True, barmode="stack", bargap=0.3)


def _estimates(candidates: Sequence[Candidate]) -> str:
    """The three models of each candidate: both networks, and up to which T the spiking one takes less."""
    rows, notes = [], dict[str, str]()
    for candidate in candidates:
        measures = candidate.measures
        for k, one in enumerate(energy_estimates(measures)):
            upto = less_energy_up_to(one.spiking, one.analog, measures.run.mean_steps)
            cells = [*map(significant, (one.spiking / 1000, one.analog / 1000, one.spiking / one.analog))]
            rows.append([candidate.label if not k else "", one.name, *cells, str(upto) if upto else "none"])
            notes.setdefault(one.name, one.counts)
    if not rows:
        return ""
    header = ["method", "estimate", "spiking, µJ", "trained, µJ", "ratio", "less up to T"]
    told = "".join(f"<li><b>{escape(name)}</b>: {escape(counts)}.</li>" for name, counts in notes.items())
    return (
        "<h3>Three estimates of energy</h3><p class='soft'>None is a measurement, and none is of a chip: they differ "
        "in what they leave out. Energy is taken as spread evenly over time.</p>"
        f"{table(header, rows, text=2)}<ul class='soft'>{told}</ul>"
    )
