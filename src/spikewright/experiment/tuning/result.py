"""What tuning found: the points that were tried, those that were chosen, and what came of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from spikewright.conversion import Conversion
from spikewright.experiment.scoring import points_text
from spikewright.experiment.tuning.rule import Chosen, Row, Tried
from spikewright.measures import Measures
from spikewright.tabular import Table, Tabular
from spikewright.text import brief, short, significant
from spikewright.timesteps import Timesteps


@dataclass(frozen=True, eq=False)
class Settled:
    """A chosen point, calibrated and corrected on all calibration samples.

    Attributes:
        chosen: by which rule, the point and its T, and what it did on the samples that were held out.
        conversion: made on all of them.
        measures: on test data at that T; None without such.
    """

    chosen: Chosen
    conversion: Conversion
    measures: Measures | None = None

    __repr__ = brief

    @property
    def row(self) -> Row:
        """The point and its T, and what it did on the samples that were held out."""
        return self.chosen.row


@dataclass(frozen=True, eq=False)
class Tuning(Tabular):
    """What tuning found; ``str`` ends with the recommendation.

    Attributes:
        tried: every point that was judged on all samples held out, in the order in which they were tried.
        settled: what each rule chose; the first is the recommendation.
        timesteps: at which T.
        title: what the main score is called.
        percent: whether it is a share.
        reference: the trained network's main score on the samples held out.
        labelled: whether answers were judged by labels, not by the trained network's answers.
        held_out: what was held out, in words.
        grid: what was tried, as text.
        settings: what reproduces it, by name.
        notes: what a reader should know, a sentence each.
        dt: seconds of a timestep, where recordings were run on their events; None for other data.
        commands: by rule, the command line that makes what it chose, where somebody knows it.
    """

    tried: tuple[Tried, ...]
    settled: tuple[Settled, ...]
    timesteps: Timesteps
    title: str
    percent: bool
    reference: float
    labelled: bool
    held_out: str
    grid: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    dt: float | None = None

    def __repr__(self) -> str:
        found = self.recommendation()[0]
        return f"Tuning({len(self.tried):,} points at T = {self.timesteps}; {found})"

    def _table(self) -> Table:
        """A row a point and T: its score, and what it took."""
        names = list(dict.fromkeys(name for row in self.rows for name, _ in row.point.settings))
        best = {id(one.row.point): one.row.timesteps for one in self.settled}
        rows = []
        for row in self.rows:
            settings = [row.point[name] for name in names]
            chosen = best.get(id(row.point)) == row.timesteps
            rows.append((*settings, row.timesteps, row.score, row.lost, row.synops, row.firing_rate, chosen))
        taken = (self.title, "points lost", "synops", "firing rate", "chosen")
        lines = [line for one in self.settled for line in self.recommendation(one)]
        return Table.of_rows((*names, "T", *taken), rows, [*lines, self.held_out, *self.notes])

    @property
    def recommended(self) -> Settled:
        """What the first rule chose."""
        return self.settled[0]

    @property
    def conversion(self) -> Conversion:
        """The recommended network, calibrated and corrected on all calibration samples."""
        return self.recommended.conversion

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every point that was tried at every T that the range is gone through by."""
        return tuple(Row.of(one, t) for one in self.tried for t in self.timesteps.values)

    @property
    def front(self) -> tuple[Row, ...]:
        """The rows that no other beats in both score and synaptic operations, the cheapest first."""
        return pareto_front(self.rows)

    @property
    def axis(self) -> str:
        """The main score with its unit."""
        return self.title + (", %" if self.percent else "")

    def score_text(self, score: float) -> str:
        """A main score as people read it."""
        return f"{100 * score:.2f} %" if self.percent else f"{score:.4g}"

    def recommendation(self, settled: Settled | None = None) -> list[str]:
        """What was chosen by a rule, in lines; the first rule's where none is given."""
        one = settled or self.recommended
        row = one.row
        met = ":" if one.chosen.met else ": nothing that was tried meets it; the nearest is"
        lines = [
            f"{one.chosen.rule}{met} {row.point or 'as convert has it'} at T={row.timesteps}",
            f"held out: {self.title} {self.score_text(row.score)}, the trained network "
            f"{self.score_text(self.reference)}, {points_text(row.lost)}; {short(row.synops)} synaptic operations a "
            f"sample (taken as even over time), {row.firing_rate:.4f} spikes per neuron and timestep",
        ]
        if self.dt is not None:
            rate, synops = self._per_second(row).values()
            lines.append(f"per second: {significant(rate)} Hz a neuron, {short(synops)} synaptic operations/s")
        if one.measures is not None:
            lines.append(f"test: {self._tested(one.measures)}")
        return lines

    def _tested(self, measures: Measures) -> str:
        head, main = measures.head, measures.head.task.main
        score = self.score_text(float(head.curves[main][-1]))
        trained = "" if main not in head.analog else f", the trained network {self.score_text(head.analog[main])}"
        return (
            f"{self.title} {score}{trained}; {short(measures.total_synops)} synaptic operations a "
            f"sample, {measures.firing_rate:.4f} spikes per neuron and timestep"
        )

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "score": self.title,
            "trained": self.reference,
            "labelled": self.labelled,
            "held_out": self.held_out,
            "timesteps": list(self.timesteps.values),
            "dt": self.dt,
            "points": [self._told(row) for row in self.rows],
            "chosen": [
                {
                    "rule": str(one.chosen.rule),
                    "met": one.chosen.met,
                    **_plain(one.row),
                    "settings": dict(one.row.point.settings),
                    "command": self.commands.get(str(one.chosen.rule)),
                    "test": None if one.measures is None else one.measures.summary(),
                }
                for one in self.settled
            ],
            "notes": list(self.notes),
        }

    def _told(self, row: Row) -> dict[str, Any]:
        settings = dict(row.point.settings)
        return {**_plain(row), **self._per_second(row), "front": row in self.front, "settings": settings}

    def _per_second(self, row: Row) -> dict[str, float]:
        """What a point takes per second; nothing where nobody said how long a timestep is."""
        if self.dt is None:
            return {}
        return {
            "firing_rate_per_second": row.firing_rate / self.dt,
            "synops_per_second": row.synops / (row.mean_steps * self.dt),
        }

    def __str__(self) -> str:
        shown = ", ".join(f"T={t}" for t in self.timesteps.values)
        width = max(len(str(one.point)) for one in self.tried)
        lines = [f"{self.axis} at {shown}, {self.held_out}; the trained network {self.score_text(self.reference)}"]
        for one in self.tried:
            cells = [self.score_text(float(one.scored.score[t - 1])) for t in self.timesteps.values]
            lines.append(f"  {one.point!s:{width}}  {'  '.join(cells)}")
        for settled in self.settled:
            lines += self.recommendation(settled)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def pareto_front(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that no other beats: none loses less at as few synaptic operations; the cheapest first."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda one: (one.synops, one.lost)):
        if not found or row.lost < found[-1].lost:
            found.append(row)
    return tuple(found)


def _plain(row: Row) -> dict[str, Any]:
    numbers = {name: getattr(row, name) for name in ("timesteps", "score", "lost", "synops", "firing_rate")}
    return {"point": str(row.point), **{k: v if isfinite(v) else None for k, v in numbers.items()}}
