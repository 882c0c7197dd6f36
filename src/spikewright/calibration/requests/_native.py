"""The native core of calibration, where it was built: what comes of calibration is the same to the bit without it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def module() -> Any:
    """What counts activations and sorts the largest of them; None where it was not built."""
    try:
        return import_module("spikewright.calibration.requests._activations")
    except ImportError:
        return None
