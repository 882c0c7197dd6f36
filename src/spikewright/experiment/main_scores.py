"""The main scores of outputs at some timesteps, as numbers and as text: what a table of a comparison shows."""

from __future__ import annotations

from collections.abc import Sequence

from spikewright.measures import HeadMeasures
from spikewright.tasks import SCORES


def main_scores(head: HeadMeasures, steps: Sequence[int]) -> list[float | None]:
    """The main score of an output after some timesteps, and that of the trained network."""
    curve, analog = head.curves.get(head.task.main, ()), head.analog.get(head.task.main)
    return [*(float(curve[t - 1]) if t <= len(curve) else None for t in steps), analog]


def cells(head: HeadMeasures, shown: Sequence[int]) -> str:
    """The main score of an output at some timesteps, and that of the trained network."""
    *scores, analog = main_scores(head, shown)
    text = SCORES[head.task.main].text
    cells = [text(score) for score in scores if score is not None]
    return "  ".join([*cells, *([] if analog is None else [f"trained {text(analog)}"])])


def spans(head: HeadMeasures, shown: Sequence[int]) -> str:
    """The intervals of the main score of an output at some timesteps; empty where there are none."""
    spans = [head.interval(t) for t in shown]
    percent = SCORES[head.task.main].percent
    return ", ".join("–" if span is None else span.text(percent) for span in spans) if any(spans) else ""
