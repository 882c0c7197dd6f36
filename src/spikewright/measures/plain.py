"""Curves and numbers as JSON has them."""

from __future__ import annotations

from math import isfinite

import numpy as np

from spikewright.tasks import Curve


def plain_curve(curve: Curve) -> list[float | None]:
    """A curve as JSON has it."""
    return [plain_number(value) for value in np.asarray(curve).tolist()]


def plain_number(value: float) -> float | None:
    """A number as JSON has it; None where it is none."""
    return value if isfinite(value) else None
