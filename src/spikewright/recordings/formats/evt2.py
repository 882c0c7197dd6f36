"""Prophesee's EVT 2.0 (``.raw``): words of 32 bits, the kind in the highest four.

0 and 1: an event darker or brighter, the lowest 6 bits of its time, 11 bits of x, 11 of y. 8: the 28 bits of time above
these. Little endian, behind lines that begin with ``%``. Source: docs.prophesee.ai, "EVT 2.0 format".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import EARLY, UNKNOWN, UNSAID, Clock, header_lines, size_in, words

HIGH, OTHERS = 8, (10, 14, 15)
"""Words that say the upper bits of time; triggers, what cameras say of themselves, and words that continue others."""


class Evt2(RecordingFormat):
    """``.raw`` in EVT 2.0."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return b"% evt 2.0" in head or b"% format EVT2;" in head

    @property
    def sensor_size(self) -> Size | None:
        return size_in(header_lines(self.path, b"% ", b"end")[0])

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        _, start = header_lines(self.path, b"% ", b"end")
        clock, last = Clock(28), UNSAID
        for found in words(self.path, start, "<u4", counted):
            kind, data = found >> 28, found.astype(np.int64)
            highs = np.flatnonzero(kind == HIGH)
            said = np.concatenate([[last], clock(data[highs] & 0xFFFFFFF)])
            last = int(said[-1])
            high = said[np.searchsorted(highs, np.arange(len(found)), side="right")]
            event = kind <= 1
            counted[EARLY] += int((event & (high == UNSAID)).sum())
            counted[UNKNOWN] += int((~event & ~np.isin(kind, (HIGH, *OTHERS))).sum())
            t = high * 64 | data >> 22 & 0x3F
            yield Columns.of(data >> 11 & 0x7FF, data & 0x7FF, t, kind)[event & (high != UNSAID)]
