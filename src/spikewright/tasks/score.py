"""The scores that tasks are measured by: what they are called, and how people read them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One number that says how good answers are.

    Attributes:
        title: what people call it.
        against: the same of the spiking network against the analog one.
        percent: whether it is a share, shown in percent.
        higher: whether more is better; an error falls.
    """

    title: str
    against: str
    percent: bool = True
    higher: bool = True

    def axis(self, *, against: bool = False) -> str:
        """Its title with its unit."""
        return (self.against if against else self.title) + (", %" if self.percent else "")

    def text(self, value: float, *, unit: bool = False) -> str:
        """A value as people read it; a dash where it does not exist."""
        if not math.isfinite(value):
            return "–"
        if self.percent:
            return f"{100 * value:.2f}" + (" %" if unit else "")
        return f"{value:.4g}"


ACCURACY = Score("accuracy", "agreement with the analog network")
"""The score that several tasks have."""
