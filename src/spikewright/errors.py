"""One exception tree. Every message says what is wrong, where, and what to do about it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from spikewright.causes import Cause
from spikewright.text import QUOTED, one_line


class SpikewrightError(Exception):
    """Anything Spikewright refuses to do. The command line prints it and exits with status 2.

    Args:
        message: what is wrong, where, and what to do. It is kept to one line without control characters and to
            ``LONGEST`` characters, whatever names, paths and words of other libraries went into it.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


class GraphError(SpikewrightError):
    """A graph that cannot be: a missing input, shapes that do not fit, weights that are not finite."""


class NotFiniteError(GraphError):
    """Weights of a trained network that are not finite numbers: the network is damaged, whatever else is refused."""


class SpikewrightWarning(UserWarning):
    """Something that runs, but is likely not what was meant. The command line prints it as a line on stderr.

    Results carry the same lines (``Look.warnings``, ``Run.warnings``, ``Measures.warnings``);
    ``warnings.simplefilter("error", SpikewrightWarning)`` makes errors of them.
    """


def warn(lines: Iterable[str]) -> None:
    """A ``SpikewrightWarning`` for each line, at the place outside of Spikewright that asked for what came of it."""
    for line in lines:
        warnings.warn(line, SpikewrightWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """The stack level, counted from ``warn``, of whoever called Spikewright first."""
    frame: FrameType | None = sys._getframe(1)
    level, depth = 1, 1
    while frame is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            level = depth + 1
        frame, depth = frame.f_back, depth + 1
    return level


_PACKAGE = str(Path(__file__).parent) + os.sep


class ModelFileError(SpikewrightError):
    """A model or graph file that is missing, damaged, or not what its name says."""


class DataError(SpikewrightError):
    """Data that is missing, empty, or does not fit the network."""


class CalibrationError(SpikewrightError):
    """Statistics that do not hold what is asked of them, or that belong to another network.

    Args:
        what: is wrong.
        advice: what to do, where whoever asked has no better one.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        self.what = what
        Exception.__init__(self, f"{what}; {advice}" if advice else what)


class SettingsError(SpikewrightError):
    """A setting outside its domain: an unknown method, zero timesteps, a percentile of 120."""


class StorageError(SpikewrightError):
    """A result that could not be written. What stood at its place before is untouched."""


class Interruption(StorageError):
    """Ctrl-C where something was kept to go on from, with how to. The command line exits with status 130."""


class ClusterError(SpikewrightError):
    """A cluster that cannot be reached, is gone, or whose workers cannot run what is asked."""


@dataclass(frozen=True)
class Problem:
    """One operator a frontend cannot take.

    Attributes:
        operator: what it is, in its framework's words.
        where: it stands.
        advice: what could be done about it.
        cause: why it is refused, where that is one of the known reasons: the advice ends with the cause's own.
    """

    operator: str
    where: str
    advice: str = ""
    cause: Cause | None = None

    @staticmethod
    def of(operator: str, where: str, cause: Cause, detail: str = "") -> Problem:
        """The problem that a cause makes of an operator, with what about it is the matter."""
        return Problem(operator, where, cause.message(detail), cause)

    def __str__(self) -> str:
        return f"{self.operator} at {self.where}" + (f": {self.advice}" if self.advice else "")


class UnsupportedModelError(SpikewrightError):
    """The complete list of what stands in a model's way, found before any data is read.

    Attributes:
        problems: every operator that was refused, in the model's order.
        lines: the message as a list: what it is about, then a line for each kind of problem.

    Args:
        problems: the same.
        purpose: what they cannot be.
    """

    def __init__(self, problems: Sequence[Problem], purpose: str = "converted to spikes") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 operator cannot" if count == 1 else f"{count} operators cannot"
        kinds = _grouped(self.problems)
        self.lines = (f"{head} be {purpose}:", *(f"  {kind}" for kind in kinds))
        Exception.__init__(self, f"{head} be {purpose}: {'; '.join(kinds)}")  # every kind, in full


def _grouped(problems: Sequence[Problem]) -> list[str]:
    """Each kind of problem once: ``Sigmoid at 'a', 'b', 'c' and 31 more places: what could be done``."""
    places: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        places.setdefault((problem.operator, problem.advice), []).append(problem.where)
    found = []
    for (operator, advice), where in places.items():
        more = f" and {len(where) - PLACES} more places" if len(where) > PLACES else ""
        at = ", ".join(_short(place) for place in where[:PLACES]) + more
        found.append(str(Problem(_short(operator), at, one_line(advice, QUOTED))))
    return found


PLACES = 3
"""How many of one kind of problem are named; ``problems`` has them all."""


def _short(name: str) -> str:
    return one_line(name, 80)
