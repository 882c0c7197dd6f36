"""The sections about the answers: how good they are, how soon, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from spikewright.experiment import Candidate
from spikewright.measures import HeadMeasures, Measures
from spikewright.reports import curves
from spikewright.reports.charts import Chart
from spikewright.reports.document import Document
from spikewright.tasks import SCORES


def facts(measures: Measures) -> list[tuple[str, str]]:
    """What stands at the top of the page: values and what they are, for each output."""
    found = []
    for name, head in measures.heads.items():
        before = "" if len(measures.heads) == 1 else f"{name}: "
        for score in head.task.agreed:
            kind, value = SCORES[score], float(head.curves[score][-1])
            what = kind.title if head.labelled else kind.against
            found.append((kind.text(value, unit=True), f"{before}{what} at T = {measures.timesteps}"))
            if score == head.task.main and score in head.analog:
                analog = head.analog[score]
                found.append((kind.text(analog, unit=True), f"{before}{kind.title} of the analog network"))
                if kind.percent:
                    lost = round(100 * (analog - value), 2)
                    found.append((f"{abs(lost):.2f}", before + ("points lost" if lost >= 0 else "points gained")))
    return found


def how_good(document: Document, candidates: Sequence[Candidate]) -> str:
    """Scores of every output against time and against work."""
    heads = candidates[0].measures.heads
    parts = ["<h2>How good, how soon</h2>"]
    text = "The answer at every timestep: what the outputs have received so far."
    if any(head.labelled for head in heads.values()):
        text += " The dashed line is the trained network on the same samples."
    if any(head.quantised is not None for head in heads.values()):
        text += (
            " Dotted is the trained network rounded to the levels that so many timesteps count: what is lost beyond "
            "comes from the order of spikes and from how they start."
        )
    parts.append(f"<p class='soft'>{text}</p>")
    for name, head in heads.items():
        if len(heads) > 1:
            parts.append(f"<h3>{escape(name)}</h3>")
        if len(heads) > 1 or head.remark is not None or head.task.title != "classification":
            remark = "" if head.remark is None else f" In these data {head.remark}."
            parts.append(f"<p class='soft'>{escape(_about(head) + remark)}</p>")
        parts.append(f'<div class="grid">{_figures(document, candidates, name, head)}</div>')
    return "".join(parts)


def _about(head: HeadMeasures) -> str:
    """What an output is measured by, in a sentence."""
    shape = "one value" if head.answer.single else f"{head.answer}"
    what = "against the labels" if head.labelled else "against the analog network, since there are no labels"
    return f"Task: {head.task.title}, {shape} a sample, {what}."


def _figures(document: Document, candidates: Sequence[Candidate], name: str, head: HeadMeasures) -> str:
    main, against = head.task.main, not head.labelled
    kind = SCORES[main]

    def chart(score: str, agreement: bool, **look: bool) -> Chart:
        return curves.score(candidates, name, score, against=agreement, **look)

    close = "close-up" if kind.percent else "from zero"
    views = [("all" if kind.percent else kind.title, chart(main, against))]
    views += [(close, chart(main, against, close=True)), ("linear time", chart(main, against, linear=True))]
    shown = list(head.curves)
    views += [(SCORES[score].title, chart(score, against)) for score in shown if score != main]
    several = len(head.task.agreed) > 1
    if head.labelled and not several:
        views += [("agreement", chart(main, True))]
    titles = [SCORES[score].title if head.labelled else SCORES[score].against for score in shown]
    if not head.labelled and main == "accuracy":
        titles[0] = "the same answer as the analog network"
    plots = document.figures(views, f"{_listed(titles)} against time")
    if head.labelled and several:
        more = [(SCORES[score].title, chart(score, True)) for score in head.task.agreed]
        plots += document.figures(more, f"the same against the analog network's answers: {_listed(titles)}")
    return plots + document.figure(
        curves.against_synops(candidates, name), f"{titles[0]} against work, spread evenly over time"
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def score_rows(measures: Measures, steps: Sequence[int]) -> list[list[str]]:
    """A row for every output and score: what it is, where there is more than one, and its value at some timesteps."""
    pairs = [(name, score) for name, head in measures.heads.items() for score in head.task.agreed]
    rows = []
    for name, score in pairs:
        curve, kind = measures.heads[name].curves[score], SCORES[score]
        cells = ["" if t > len(curve) else kind.text(curve[t - 1]) for t in steps]
        rows.append(cells if len(pairs) == 1 else [_which(measures, name, score), *cells])
    return rows


def score_columns(measures: Measures, steps: Sequence[int]) -> list[str]:
    """The titles of the columns of ``score_rows``."""
    kinds = [SCORES[score] for head in measures.heads.values() for score in head.task.agreed]
    if len(kinds) == 1:
        return [f"{'% at ' if kinds[0].percent else ''}T={t}" for t in steps]
    return ["score", *(f"T={t}" for t in steps)]


def _which(measures: Measures, name: str, score: str) -> str:
    title = SCORES[score].axis(against=not measures.heads[name].labelled)
    return title if len(measures.heads) == 1 else f"{name}: {title}"
