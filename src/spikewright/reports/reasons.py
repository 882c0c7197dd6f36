"""The sections about trust: how it was measured, and what is lost, where and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from spikewright.experiment import Candidate
from spikewright.measures import HeadMeasures, Interval, Loss, PopulationError, looked_at, losses, reasons
from spikewright.reports.charts import LARGE, Chart, framed, plain
from spikewright.reports.document import Document
from spikewright.reports.names import short_names
from spikewright.reports.table import table
from spikewright.tasks import SCORES, Score

COLOURS = {"inherited": "line", "clipping": "c1", "rounding": "c4", "transient": "c3", "unevenness": "c0"}
"""The colours of the parts of errors; what is inherited is grey."""


def how_measured(candidates: Sequence[Candidate]) -> str:
    """Which samples were used for what, and what was drawn with which seeds."""
    lines: dict[str, None] = {}
    for candidate in candidates:
        protocol = candidate.measures.protocol
        if protocol is not None:
            before = "" if len(candidates) == 1 else f"{candidate.label}: "
            first, *others = protocol.lines
            lines |= dict.fromkeys([before + first, *others])
    if not lines:
        return ""
    shown = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<details class="protocol"><summary>How it was measured</summary><ul>{shown}</ul></details>'


def why_lost(document: Document, candidates: Sequence[Candidate]) -> str:
    """What each candidate loses against the trained network: sentences, numbers, and the errors of its layers."""
    explained = [one for one in candidates if one.measures.errors is not None or one.measures.early_exit is not None]
    if not explained:
        return ""
    parts = ["<h2>What is lost, and why</h2>"]
    for candidate in explained:
        before = "" if len(candidates) == 1 else f"{candidate.label}: "
        early = candidate.measures.early_exit
        sentences = [*reasons(candidate.measures), *([] if early is None else [str(early)])]
        told = (sentence if before else f"{sentence[0].upper()}{sentence[1:]}" for sentence in sentences)
        parts += [f"<p>{escape(before + sentence)}.</p>" for sentence in told]
    note = (
        "Clipping: activations beyond what spikes in every step reach. Rounding: T steps count T levels above zero, "
        "as the quantised network has them. Transient: currents that have not settled, and initial potentials. "
        "Unevenness: the order in which spikes arrive. Intervals hold in 95 of 100 draws of samples; paired ones are "
        "of differences on the same samples."
    )
    found_on = looked_at(one.measures for one in explained)
    note += f" {found_on[0].upper()}{found_on[1:]}." if found_on else ""
    parts.append(f"<p class='soft'>{escape(note)}</p>")
    for name, head in explained[0].measures.heads.items():
        title = f"<h3>{escape(name)}</h3>" if len(explained[0].measures.heads) > 1 else ""
        header = [SCORES[head.task.main].axis(against=not head.labelled), "", *(f"T={t}" for t in head.steps)]
        rows = [row for k, one in enumerate(candidates) for row in _rows(one, name, candidates[0] if k else None)]
        parts.append(title + table(header, rows, text=2))
    figures = "".join(_figure(document, one) for one in explained)
    return "".join([*parts, f'<div class="grid">{figures}</div>'])


def _rows(candidate: Candidate, name: str, first: Candidate | None) -> list[list[str]]:
    """The score of one output, what it loses by what, and how sure that is."""
    measures = candidate.measures
    head = measures.heads[name]
    kind = SCORES[head.task.main]
    curve = head.curves[head.task.main]
    rows = [["score", *(kind.text(curve[t - 1]) for t in head.steps)]]
    rows += _spans("95 % interval", head, kind, head.interval)
    if head.quantised is not None:
        rows.append(["quantised network", *map(kind.text, head.quantised.scores[head.task.main])])
    rows += _spans("above the trained network, paired", head, kind, head.gained)
    if first is not None:
        other = first.measures.heads[name]
        rows += _spans(f"above {first.label}, paired", head, kind, lambda t: head.gained_over(other, t))
    by_steps = {loss.timesteps: loss for loss in losses(measures) if loss.output == name}
    if by_steps:
        causes = list(next(iter(by_steps.values())).parts)
        rows += [[f"lost by {cause}", *(_amount(by_steps.get(t), cause) for t in head.steps)] for cause in causes]
    return [[candidate.label if not k else "", *row] for k, row in enumerate(rows)]


def _spans(title: str, head: HeadMeasures, kind: Score, interval: Callable[[int], Interval | None]) -> list[list[str]]:
    """A row of intervals, where there are any."""
    found = [interval(t) for t in head.steps]
    if not any(found):
        return []
    return [[title, *("" if span is None else span.text(kind.percent) for span in found)]]


def _amount(loss: Loss | None, cause: str) -> str:
    return "" if loss is None else loss.amount(loss.parts[cause], 2)


def _figure(document: Document, candidate: Candidate) -> str:
    errors = candidate.measures.errors
    if errors is None or not any(errors.populations.values()):
        return ""
    views = [(f"T={t}", _by_layer(list(found.values()))) for t, found in errors.populations.items() if found]
    caption = f"{candidate.label}: errors of each population, on {errors.samples:,} samples"
    return document.figures(views[::-1], caption)


def _by_layer(populations: Sequence[PopulationError]) -> Chart:
    """Parts of the mean squared error of each population, against the mean square of its activations."""
    short = short_names([one.name for one in populations])
    names = [plain(short[one.name]) for one in populations]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": part,
            "y": names,
            "x": [one.relative(part) for one in populations],
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}, {part}: %{{x:.2%}}",
        }
        for part, colour in COLOURS.items()
    ]
    return framed(
        traces,
        "squared error / squared activation",
        "",
        xaxis={"tickformat": "~%"},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        height=max(LARGE, 120 + 22 * len(names)),
        legend=True,
        barmode="relative",
        bargap=0.3,
    )
