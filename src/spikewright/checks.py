"""Settings checked where they come in: one rule for all that count something."""

from __future__ import annotations

from numbers import Real
from operator import index
from typing import Any

import numpy as np

from spikewright.errors import SettingsError


def whole_number(label: str, value: Any, least: int = 1) -> int:
    """A setting that counts something, as an int.

    Args:
        label: what it is called, for the message.
        value: an int, NumPy's or Python's, or a float without a fraction, such as 4.0; nothing else: no text, no truth.
        least: the smallest value it may have.

    Raises:
        SettingsError: naming the setting and what was given.
    """
    refused = f"{label} must be a whole number, not {str(value)[:40] if isinstance(value, Real) else repr(value)[:40]}"
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise SettingsError(refused)
    try:
        number = int(value) if isinstance(value, Real) else index(value)
    except (TypeError, ValueError, OverflowError):  # an object without a number, NaN, infinity
        raise SettingsError(refused) from None
    if isinstance(value, Real) and number != value:
        raise SettingsError(refused)
    if number < least:
        raise SettingsError(f"{label} must be {least} or more, not {number}")
    return number
