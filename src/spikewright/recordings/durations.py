"""Lengths of time as people write them: ``1ms``, ``50us``, ``0.5s``; numbers are seconds."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from spikewright.errors import SettingsError
from spikewright.settings import number, plain

UNITS = {"us": 1e6, "µs": 1e6, "μs": 1e6, "ms": 1e3, "s": 1.0, "min": 1 / 60}
"""How many of each a second has."""


def seconds_of(value: Any, what: str) -> float:
    """A length of time in seconds.

    Args:
        value: a number of seconds, or a text like ``1ms``; a text without a unit is seconds too.
        what: it is of, for the message.

    Raises:
        SettingsError: for anything else, and for what is not above 0.
    """
    given = plain(value)
    if isinstance(given, str):
        found = re.fullmatch(r"([0-9.eE+-]+)\s*(us|µs|μs|ms|s|min)?", given.strip())
        amount = None if found is None else number(found[1])
        given = None if found is None or amount is None else amount / UNITS[found[2] or "s"]
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given) or not given > 0:
        shown = f"'{value[:40]}'" if isinstance(value, str) else f"{value!r:.40}"
        raise SettingsError(f"{what} takes a time above 0 like 1ms, 500us or 0.02 (seconds), not {shown}")
    return float(given)


def duration_text(seconds: float) -> str:
    """The shortest text of a length of time: ``1ms``; ``seconds_of`` reads the same number back."""
    for unit in ("s", "ms", "us"):
        amount = seconds * UNITS[unit]
        text = f"{amount:.12g}{unit}"
        if amount >= 1 and seconds_of(text, "it") == seconds:
            return text
    return f"{seconds!r}s"
