"""Whole numbers as text, many at once: what lists of neurons are mostly made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = 4
_ALL = 10**_DIGITS


def _table(zero: bytes) -> NDArray[np.uint32]:
    """The digits of 0 to 9999 behind nothing, as NUL bytes, then behind other digits; what a 0 behind nothing is."""
    leading = b"".join((b"%d" % n if n else zero).rjust(_DIGITS, b"\0") for n in range(_ALL))
    return np.frombuffer(leading + b"".join(b"%04d" % n for n in range(_ALL)), np.uint32)


_FIRST, _LAST = _table(b""), _table(b"0")
_AT_ONCE = 1 << 14
"""Numbers whose text fits into the caches of a core."""


def decimals(numbers: NDArray[Any], after: NDArray[np.uint8] | int) -> bytes:
    """Numbers that are not negative as text, each followed by one byte.

    Four digits at a time are looked up, with NUL bytes for those that a number does not have, which then are taken out
    of all of it at once.

    Args:
        numbers: ``(n,)`` integers of 0 or more.
        after: the byte behind each, or behind all.
    """
    separators = np.broadcast_to(np.asarray(after, np.uint8), len(numbers))
    return b"".join(
        _decimals(numbers[start : start + _AT_ONCE], separators[start : start + _AT_ONCE])
        for start in range(0, len(numbers), _AT_ONCE)
    )


def _decimals(numbers: NDArray[Any], after: NDArray[np.uint8]) -> bytes:
    largest = int(numbers.max())
    rest: NDArray[Any] = numbers.astype(np.uint32 if largest < 1 << 32 else np.uint64)
    every: Any = rest.dtype.type(_ALL)
    groups = -(-len(str(largest)) // _DIGITS)
    words = np.empty((len(rest), groups + 1), np.uint32)
    table = _LAST
    for k in range(groups - 1, -1, -1):
        above = rest // every
        words[:, k] = table.take(rest - above * every + every * (above > 0))
        rest, table = above, _FIRST
    words[:, groups] = after
    return words.tobytes().translate(None, b"\0")
