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


SCORES = {
    "accuracy": Score("accuracy", "agreement with the analog network"),
    "top5": Score("top-5 accuracy", "analog class among the first five"),
    "mean_iou": Score("mean IoU", "mean IoU with the analog network's classes"),
    "mse": Score("mean squared error", "mean squared error against the analog network", percent=False, higher=False),
    "mae": Score("mean absolute error", "mean absolute error against the analog network", percent=False, higher=False),
    "r2": Score("R²", "R² against the analog network", percent=False),
}
"""All scores, by the name they have in results."""
