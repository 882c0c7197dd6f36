"""The section about classes: how many are right, what is taken for what, and what only spikes get wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite

import numpy as np

from spikewright.experiment import Candidate
from spikewright.graph import Array
from spikewright.measures.answered import Answered
from spikewright.reports.pixels import png
from spikewright.reports.table import table

MOST_CLASSES = 20
"""Classes up to which all that is taken for what is shown; of more the commonest pairs are."""
PAIRS = 20
MOST_IN_TABLE = 100


def by_class(candidate: Candidate, pictures: Mapping[int, Array]) -> str:
    """Per-class accuracy, confusion and pictures of the first candidate's first output; "" of other tasks.

    Args:
        candidate: the first one.
        pictures: by number, samples that only its spiking network gets wrong.
    """
    answered = candidate.measures.head.answered
    if answered is None or answered.classes < 2 or (answered.targets is None and answered.analog is None):
        return ""
    known = candidate.conversion.classes
    names = [known[k] if k < len(known) else str(k) for k in range(answered.classes)]
    against = "the label" if answered.targets is not None else "the trained network's answer"
    note = f"{candidate.label}, at T = {candidate.measures.timesteps}, against {against}."
    confused = _matrix(answered, names) if answered.classes <= MOST_CLASSES else _pairs(answered, names)
    return (
        f"<h2>Class by class</h2><p class='soft'>{escape(note)}</p>{_table(answered, names)}{confused}"
        f"{_pictures(answered, names, pictures)}"
    )


def _table(answered: Answered, names: Sequence[str]) -> str:
    count, spiking, analog = answered.by_class()
    order = [k for k in np.argsort(spiking, kind="stable") if count[k]]
    some = order[:MOST_IN_TABLE]
    rows = []
    for k in some:
        trained = [] if analog is None else [_percent(analog[k]), f"{100 * (spiking[k] - analog[k]):+.1f}"]
        rows.append([names[k], f"{count[k]:,}", _percent(spiking[k]), *(cell.replace("-", "−") for cell in trained)])
    header = ["class", "samples", "right, %", *([] if analog is None else ["trained, %", "points more"])]
    left = len(order) - len(some)
    more = f"<p class='soft'>The {len(some)} worst of {len(order):,} classes.</p>" if left else ""
    return more + table(header, rows, text=1)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if isfinite(share) else ""


def _matrix(answered: Answered, names: Sequence[str]) -> str:
    """A row a label, a column an answer; what is wrong the darker the more."""
    found = answered.confusion()
    worst = max(int((found - np.diag(np.diag(found))).max(initial=0)), 1)

    def cell(row: int, column: int) -> str:
        value = int(found[row, column])
        if row == column:
            return f"<td class='right'>{value:,}</td>"
        share = 0 if not value else 12 + round(68 * value / worst)
        shade = f' style="--share:{share}%"' if value else ""
        return f"<td{shade}>{value or ''}</td>"

    head = "".join(f"<th><span>{escape(name)}</span></th>" for name in names)
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(cell(k, j) for j in range(len(names)))}</tr>"
        for k, name in enumerate(names)
    )
    note = "A row is a label, a column an answer of the spiking network."
    return (
        f"<h3>What is taken for what</h3><p class='soft'>{note}</p>"
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _pairs(answered: Answered, names: Sequence[str]) -> str:
    """The pairs that are confused most, where a matrix would be too large."""
    found = answered.confusion()
    np.fill_diagonal(found, 0)
    order = [divmod(int(k), answered.classes) for k in np.argsort(-found, axis=None, kind="stable")[:PAIRS]]
    rows = [[names[a], names[b], f"{found[a, b]:,}"] for a, b in order if found[a, b]]
    return f"<h3>What is taken for what, most often</h3>{table(['label', 'answer', 'samples'], rows, text=2)}"


def _pictures(answered: Answered, names: Sequence[str], pictures: Mapping[int, Array]) -> str:
    """Samples that only the spiking network gets wrong."""
    wrong = answered.only_spiking_wrong()
    if answered.analog is None or not len(wrong):
        return ""
    title = "Only the spiking network is wrong" if answered.targets is not None else "The two networks differ"
    told = f"{len(wrong):,} of {len(answered.spiking):,} samples" + (
        f", the first {len(pictures)} of them as pictures." if pictures and len(pictures) < len(wrong) else "."
    )
    figures = []
    low = min((float(one.min()) for one in pictures.values()), default=0.0)
    high = max((float(one.max()) for one in pictures.values()), default=1.0)
    for number, picture in pictures.items():
        expected = answered.analog[number] if answered.targets is None else answered.targets[number]
        words = f"{names[answered.spiking[number]]}, not {names[expected]}"
        label = f"sample {number}: {words}"
        source = png(_pixels(picture, low, high))
        figures.append(
            f'<figure class="sample"><img src="{source}" alt="{escape(label)}" title="{escape(label)}">'
            f"<figcaption>{escape(words)}</figcaption></figure>"
        )
    shown = f'<div class="samples">{"".join(figures)}</div>' if figures else ""
    return f"<h3>{title}</h3><p class='soft'>{escape(told)}</p>{shown}"


def _pixels(picture: Array, low: float, high: float) -> Array:
    """``(rows, columns, 4)`` of bytes: grey or coloured, as light as its values are high."""
    values = np.clip((picture - low) / ((high - low) or 1.0), 0, 1)
    colours = np.repeat(values, 3, axis=0) if len(values) == 1 else values
    opaque = np.ones_like(values[:1])
    return (255 * np.concatenate([colours, opaque]).transpose(1, 2, 0)).astype(np.uint8)
