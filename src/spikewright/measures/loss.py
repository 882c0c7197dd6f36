"""What a spiking network's score loses against the trained network, by cause, and what helps: numbers and sentences.

Clipping and rounding are measured as they are: by the scores of the trained network clipped, and rounded to the levels
of T timesteps. What the spiking network loses beyond is by unevenness and transients, divided in proportion to the
errors that these two add in all populations. Weights of 8 bits are measured as they are too, by the score of the
trained network with such weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from spikewright.measures.advice import Had, advice
from spikewright.measures.error_split import OWN, PopulationError
from spikewright.measures.intervals import Interval
from spikewright.measures.scores import HeadMeasures
from spikewright.measures.value import Measures
from spikewright.tasks import SCORES

WEIGHTS = "weights"
"""The cause beside ``OWN``: weights of 8 bits."""
PLURAL = {"transient": "transients", WEIGHTS: "weights of 8 bits"}


@dataclass(frozen=True)
class Loss:
    """What the main score of one output loses after T timesteps.

    Attributes:
        output: its name.
        timesteps: T.
        score: the main score, one of ``SCORES``.
        total: what is lost against the trained network; below zero where something is gained. Of an error, by how much
            it is larger.
        parts: by cause of ``OWN``, in order, and before these ``WEIGHTS`` where weights were rounded; they sum up to
            the total.
        interval: the paired 95 % interval of the total; None where there is none.
        layers: by cause, the population that adds most of it, and its share of what all populations add.
        had: what the conversion has been given already, which is not advised again.
    """

    output: str
    timesteps: int
    score: str
    total: float
    parts: Mapping[str, float]
    interval: Interval | None
    layers: Mapping[str, tuple[str, float]]
    had: Had = field(default_factory=Had)

    @property
    def told(self) -> bool:
        """Whether it can be told from chance, and something is lost."""
        return self.total > 0 and (self.interval is None or self.interval.low > 0)

    @property
    def worst(self) -> str:
        """The cause that costs most."""
        return max(self.parts, key=lambda part: self.parts[part])

    def amount(self, value: float, digits: int = 1) -> str:
        """A part of the loss as people read it."""
        if SCORES[self.score].percent:
            text = f"{100 * value:.{digits}f}"
            return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")
        return f"{value:.3g}".replace("-", "−")

    def __str__(self) -> str:
        """In sentences: how much, by what, where, and what helps."""
        kind = SCORES[self.score]
        unit = f"points of {kind.title}" if kind.percent else f"more {kind.title}"
        span = ""
        if self.interval is not None:
            span = f" (95 % interval {self.interval.text(kind.percent)})"
        if not self.told:
            return f"at T = {self.timesteps}, no loss of {kind.title} can be told from chance{span}"
        verb = "are lost" if kind.percent else "than the trained network"
        by = ", ".join(f"{self.amount(value)} by {PLURAL.get(cause, cause)}" for cause, value in self.parts.items())
        where = ""
        if self.worst in self.layers:
            name, share = self.layers[self.worst]
            where = f", above all in '{name}' ({100 * share:.0f} % of what all populations add)"
        help_text = advice(self.worst, self.timesteps, self.had)
        return (
            f"at T = {self.timesteps}, {self.amount(self.total)} {unit} {verb}{span}: {by}. "
            f"Most comes from {PLURAL.get(self.worst, self.worst)}{where}. What helps: {help_text}"
        )


def losses(measures: Measures) -> list[Loss]:
    """What each output loses after each number of timesteps at which it is known; nothing where nobody asked why."""
    if measures.errors is None:
        return []
    found = []
    for name, head in measures.heads.items():
        for t, populations in measures.errors.populations.items():
            if head.quantised is not None and populations:
                found.append(replace(_loss(name, head, t, populations), had=measures.had))
    return found


def reasons(measures: Measures) -> list[str]:
    """Sentences on what costs most: of each output at the end of the run, and at the latest T that loses something."""
    found = []
    for name in measures.heads:
        own = [loss for loss in losses(measures) if loss.output == name]
        shown = {loss.timesteps: loss for loss in [*[one for one in own if one.told][-1:], *own[-1:]]}
        before = "" if len(measures.heads) == 1 else f"{name}: "
        found += [before + str(shown[t]) for t in sorted(shown)]
    return found


def looked_at(all_of: Iterable[Measures]) -> str:
    """Which samples the reasons of some measurements come from, in a sentence; empty where nobody asked why."""
    explained = [one for one in all_of if one.errors is not None]
    counts = {
        n
        for one in explained
        for head in one.heads.values()
        if head.quantised is not None
        for n in head.quantised.samples
    }
    if not counts:
        return ""
    errors = next(one.errors for one in explained if one.errors is not None)
    least, most = min(counts), max(counts)
    rounded = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    if errors.samples == errors.of:
        return f"reasons are found on all {errors.of:,} samples"
    if least == errors.of:
        return (
            f"reasons are found on all {errors.of:,} samples, but for the errors of populations, on {errors.samples:,}"
        )
    return (
        f"reasons are found on samples drawn from these {errors.of:,}: clipping and rounding on {rounded}, as the "
        f"quantised network's line, the errors of populations on {errors.samples:,}"
    )


def _loss(name: str, head: HeadMeasures, t: int, populations: Mapping[str, PopulationError]) -> Loss:
    main = head.task.main
    kind, quantised = SCORES[main], head.quantised
    if quantised is None:
        raise ValueError(f"{name}: its quantised network was not measured")
    sign = 1 if kind.higher else -1
    perfect = head.analog.get(main, 1.0 if kind.higher else 0.0)
    rounded = float(quantised.scores[main][quantised.steps.index(t)])
    levels = [perfect, quantised.clipped[main], rounded, float(head.curves[main][t - 1])]
    clipping, rounding, rest = (sign * (before - after) for before, after in pairwise(levels))
    weights = {} if quantised.narrow is None else {WEIGHTS: sign * (perfect - quantised.narrow[main])}
    rest -= sum(weights.values())
    added = {part: sum(_added(one, part) for one in populations.values()) for part in OWN}
    late = added["transient"] + added["unevenness"]
    transient = rest * (added["transient"] / late if late else 0.0)
    parts = weights | dict(zip(OWN, (clipping, rounding, transient, rest - transient), strict=True))
    layers = {}
    for part in OWN:
        if added[part]:
            most, worst = max((_added(one, part), one.name) for one in populations.values())
            layers[part] = worst, most / added[part]
    gained = head.gained(t) if head.labelled else head.interval(t)
    return Loss(
        name, t, main, sign * (levels[0] - levels[-1]), parts, _lost(gained, head.labelled, sign, perfect), layers
    )


def _lost(gained: Interval | None, paired: bool, sign: int, perfect: float) -> Interval | None:
    """The interval of what is lost, from that of what is gained, or of the score itself."""
    if gained is None:
        return None
    low, high = (gained.low, gained.high) if paired else (gained.low - perfect, gained.high - perfect)
    return Interval(-high, -low) if sign > 0 else Interval(low, high)


def _added(one: PopulationError, part: str) -> float:
    """What a population adds by one cause, against its signal; a part that makes up for others adds nothing."""
    return max(0.0, one.own[part]) / one.signal if one.signal else 0.0
