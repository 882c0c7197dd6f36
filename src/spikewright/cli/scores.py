"""Scores as the commands print them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from spikewright.cli.terminal import compact_table
from spikewright.measures import HeadMeasures, Measures, looked_at, reasons
from spikewright.tasks import SCORES, Head
from spikewright.text import short, steps_to_show


def comparison(measures: Mapping[str, Measures]) -> Group:
    """Scores against timesteps by method, a table for each output and score, and one of what it took."""
    first = next(iter(measures.values()))
    shown = steps_to_show(first.timesteps)
    tables: list[Table] = []
    for name, head in first.heads.items():
        for score in head.curves and head.task.agreed:
            kind = SCORES[score]
            title = ("" if len(first.heads) == 1 else f"{escape(name)}: ") + kind.axis(against=not head.labelled)
            compared = any(one.heads[name].analog for one in measures.values())
            table = compact_table(title, ("", *(f"T={t}" for t in shown), *(["analog"] if compared else [])), 1)
            for label, one in measures.items():
                curve, analog = one.heads[name].curves[score], one.heads[name].analog.get(score)
                cells = [kind.text(curve[t - 1]) for t in shown]
                table.add_row(label, *cells, *([] if analog is None else [kind.text(analog)]))
                if score == head.task.main and tuple(shown) == one.heads[name].steps:
                    spans = [one.heads[name].interval(t) for t in shown]
                    ends = ["" if span is None else span.text(kind.percent).replace(" to ", "–") for span in spans]
                    if any(ends):
                        table.add_row("  95 % interval", *ends)
                found = one.heads[name].quantised
                if found is not None and score in found.scores and tuple(shown) == found.steps:
                    table.add_row("  quantised", *map(kind.text, found.scores[score]))
            tables.append(table)
    return Group(*tables, _work(measures))


def _work(measures: Mapping[str, Measures]) -> Table:
    """What the answers took, by method, and what other measures found."""
    first = next(iter(measures.values()))
    late = any(one.run.windows > 1 for one in measures.values())
    latency = ["latency, timesteps"] * late
    header = ("", "firing rate", "synaptic operations", *latency, *(other.title for other in first.others.values()))
    table = compact_table(f"work at T={first.timesteps}, per sample", header, 1)
    for label, one in measures.items():
        others = (one.others[k].text() if k in one.others else "" for k in first.others)
        latency = [f"{one.latency:,}"] * late
        table.add_row(label, f"{one.firing_rate:.3f}", short(one.total_synops), *latency, *others)
    return table


def judgement(measures: Mapping[str, Measures]) -> list[str]:
    """What costs most, what stopping early gives, and what samples were used for: a line each."""
    lines = []
    for label, one in measures.items():
        before = "" if len(measures) == 1 else f"{label}: "
        lines += [before + sentence for sentence in reasons(one)]
        lines += [] if one.early_exit is None else [before + str(one.early_exit)]
    told = looked_at(measures.values())
    lines += [told] if told else []
    lines += _against_the_first(measures)
    protocol = next(iter(measures.values())).protocol
    return lines if protocol is None else [*lines, str(protocol.overlap)]


def _against_the_first(measures: Mapping[str, Measures]) -> list[str]:
    """How far each method is above the first at the last timestep, on the same samples."""
    first, *others = measures
    lines = []
    for label in others:
        for name, head in measures[label].heads.items():
            main = head.task.main
            before = measures[first].heads[name]
            span = head.gained_over(before, measures[label].timesteps)
            if span is not None:
                kind, gained = SCORES[main], float(head.curves[main][-1] - before.curves[main][-1])
                amount = (f"{100 * gained:+.2f} points" if kind.percent else f"{gained:+.3g}").replace("-", "−")
                where = "" if len(measures[label].heads) == 1 else f"{name}: "
                interval = span.text(kind.percent)
                lines.append(f"{where}{label} against {first}: {amount} of {kind.title} (95 % interval {interval})")
    return lines


def agreement_lines(measures: Measures) -> list[str]:
    """How near labelled answers are to the analog network's at the last timestep: a line for each output."""
    lines = []
    for name, head in measures.heads.items():
        if head.labelled and head.agreement:
            values = [f"{SCORES[k].title} {SCORES[k].text(v[-1], unit=True)}" for k, v in head.agreement.items()]
            prefix = "" if len(measures.heads) == 1 else f"{name}, "
            lines.append(f"{prefix}against the analog network's answers at T={measures.timesteps}: {', '.join(values)}")
    return lines


def tasks_text(heads: Mapping[str, Head] | Mapping[str, HeadMeasures]) -> str:
    """The tasks of the outputs: "regression", or of several "age regression, sex binary"."""
    return ", ".join(str(head.task) if len(heads) == 1 else f"{name} {head.task}" for name, head in heads.items())
