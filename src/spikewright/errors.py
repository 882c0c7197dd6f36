"""One exception tree. Every message says what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SpikewrightError(Exception):
    """Anything Spikewright refuses to do. The command line prints it and exits with status 2."""


class GraphError(SpikewrightError):
    """A graph that cannot be: a missing input, shapes that do not fit, weights that are not finite."""


class ModelFileError(SpikewrightError):
    """A model or graph file that is missing, damaged, or not what its name says."""


class DataError(SpikewrightError):
    """Data that is missing, empty, or does not fit the network."""


class CalibrationError(SpikewrightError):
    """Statistics that do not hold what is asked of them, or that belong to another network."""


class SettingsError(SpikewrightError):
    """A setting outside its domain: an unknown method, zero timesteps, a percentile of 120."""


class StorageError(SpikewrightError):
    """A result that could not be written. What stood at its place before is untouched."""


@dataclass(frozen=True)
class Problem:
    """One operator a frontend cannot take: what it is, where it stands, and what could be done."""

    operator: str
    where: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.operator} at {self.where}" + (f": {self.advice}" if self.advice else "")


class UnsupportedModelError(SpikewrightError):
    """The complete list of what stands in a model's way, found before any data is read.

    Attributes:
        problems: every operator that was refused, in the model's order.

    Args:
        problems: the same.
        purpose: what they cannot be.
    """

    def __init__(self, problems: Sequence[Problem], purpose: str = "converted to spikes") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 operator cannot" if count == 1 else f"{count} operators cannot"
        super().__init__(f"{head} be {purpose}: " + "; ".join(str(p) for p in self.problems))
