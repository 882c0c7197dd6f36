"""The rule by which one point and one T are chosen of all that were tried, as the user states it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, Self

from spikewright.errors import SettingsError
from spikewright.experiment.scoring import Scored
from spikewright.experiment.tuning.point import Point
from spikewright.settings import number
from spikewright.timesteps import Timesteps

Goal = Literal["synops", "timesteps", "rate", "score"]
EXAMPLES = '"fewest synops within 1 point", "smallest T within 1 point", "lowest rate within 1 point", "best at T=16"'
_GOALS: dict[str, Goal] = {"fewest synops": "synops", "smallest t": "timesteps", "lowest rate": "rate", "best": "score"}
_WRITTEN = {"synops": "fewest synops", "timesteps": "smallest T", "rate": "lowest rate", "score": "best"}
_NUMBERS = r"\d+(?:\.\.\d+)?"


@dataclass(frozen=True)
class Tried:
    """A point, and what it did on the samples it was judged by.

    Attributes:
        point: how the network was converted.
        scored: what came of it.
    """

    point: Point
    scored: Scored


@dataclass(frozen=True)
class Row:
    """A point at one T.

    Attributes:
        point: how the network was converted.
        timesteps: T.
        lost: points below the trained network.
        score: the main score of the first output.
        synops: synaptic operations per sample up to T.
        firing_rate: spikes per neuron and timestep, of the whole run.
        mean_steps: timesteps of a sample up to T on average: fewer than T where recordings are of different length.
    """

    point: Point
    timesteps: int
    lost: float
    score: float
    synops: float
    firing_rate: float
    mean_steps: float

    @classmethod
    def of(cls, tried: Tried, timesteps: int) -> Row:
        """What a point did up to one T."""
        one, t = tried.scored, timesteps
        lost = float(one.lost[t - 1])
        lost = lost if isfinite(lost) else inf
        return cls(
            tried.point,
            t,
            lost,
            float(one.score[t - 1]),
            one.synops_at(t),
            one.firing_rate,
            one.mean_steps * t / one.timesteps,
        )


@dataclass(frozen=True)
class Chosen:
    """What a rule chose.

    Attributes:
        rule: the rule.
        row: the point, its T, and what it did on the samples it was chosen on.
        met: whether it is what the rule asks for; else nothing is, and this is the nearest.
    """

    rule: Rule
    row: Row
    met: bool = True


@dataclass(frozen=True)
class Rule:
    """What is wanted of a point: little of something, within some points of the trained network; or the best score.

    Points are hundredths of the score of the trained network on the same samples. ``str`` gives its text, which
    ``parse`` reads.

    Attributes:
        goal: what is wanted: few synaptic operations, few timesteps, a low firing rate, or a good score.
        within: at most so many points below the trained network; None for the best score.
        timesteps: T, or between which ones; None for all that were looked at.

    >>> str(Rule.parse("Fewest synops within 0.5 points"))
    'fewest synops within 0.5 points'
    >>> Rule.parse("best at T=16")
    Rule(goal='score', within=None, timesteps=Timesteps(first=16, last=16))
    """

    goal: Goal
    within: float | None = None
    timesteps: Timesteps | None = None

    def __str__(self) -> str:
        text = _WRITTEN[self.goal]
        if self.within is not None:
            text += f" within {self.within:.10g} point{'' if self.within == 1 else 's'}"
        return text if self.timesteps is None else f"{text} at T={self.timesteps}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """A rule from its text.

        Raises:
            SettingsError: for what is none, saying what rules look like.
        """
        plain = " ".join(text.lower().split())
        goals = "|".join(_GOALS)
        found = re.fullmatch(rf"({goals})(?: within (\S+) points?)?(?: at t ?= ?({_NUMBERS}))?", plain)
        if found is None:
            raise SettingsError(f"no rule is written '{text[:60]}'; write one like {EXAMPLES}")
        goal, points, steps = found.groups()
        within = None if points is None else number(points)
        if points is not None and (within is None or not 0 <= within < float("inf")):
            raise SettingsError(f"rule: within how many points? a number like 0.5, not '{points[:40]}'")
        if (within is None) != (goal == "best"):
            way = "the best is within none: leave that away" if goal == "best" else f"write '{goal} within 0.5 points'"
            raise SettingsError(f"rule '{plain}': {way}")
        return cls(_GOALS[goal], within, None if steps is None else Timesteps.parse(steps))

    def check(self, timesteps: Timesteps) -> None:
        """Refuse a rule about a T that is not looked at.

        Raises:
            SettingsError: naming both.
        """
        own = self.timesteps
        if own is not None and not (own.first in timesteps and own.last in timesteps):
            raise SettingsError(f"the rule '{self}' is of a T that is not looked at: T is {timesteps}")

    def choose(self, tried: Sequence[Tried], timesteps: Timesteps) -> Chosen:
        """The point and the T that are wanted.

        Every T is looked at, not only those a range is gone through by. What ties goes to the better score, and then
        to what was tried first.

        Args:
            tried: the points, at least one.
            timesteps: at which T.

        Raises:
            SettingsError: as ``check``.
        """
        self.check(timesteps)
        span = self.timesteps or timesteps
        steps = range(span.first, span.last + 1)
        rows = [Row.of(one, t) for one in tried for t in steps]
        fitting = [row for row in rows if self.within is None or row.lost <= self.within + 1e-9]
        if fitting:
            return Chosen(self, min(fitting, key=self._key))
        return Chosen(self, min(rows, key=lambda row: row.lost), met=False)

    def _key(self, row: Row) -> tuple[float, float]:
        wanted = {"synops": row.synops, "timesteps": row.timesteps, "rate": row.firing_rate, "score": row.lost}
        return (wanted[self.goal], row.lost)
