"""Prophesee's EVT 3.0 (``.raw``): words of 16 bits, the kind in the highest four; what does not change is not repeated.

0: the row. 2: a column, bit 11 its polarity: an event. 3: the first column of vectors, bit 11 their polarity. 4 and 5:
which of the next 12 or 8 columns have events. 6: the lower 12 bits of the time. 8: the upper 12 bits, the lower ones
being zero until they come; time begins anew every 16.8 s. Little endian, behind lines that begin with ``%``.
Source: docs.prophesee.ai, "EVT 3.0 format". Readers differ in the times that they make of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import EARLY, UNKNOWN, UNSAID, Clock, header_lines, size_in, words

ROW, COLUMN, BASE, VECTOR_12, VECTOR_8, LOW, HIGH = 0, 2, 3, 4, 5, 6, 8
OTHERS = (7, 10, 14, 15)
"""Words that continue others, triggers, and what cameras say of themselves."""


class Evt3(RecordingFormat):
    """``.raw`` in EVT 3.0."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return b"% evt 3.0" in head or b"% format EVT3;" in head

    @property
    def sensor_size(self) -> Size | None:
        return size_in(header_lines(self.path, b"% ", b"end")[0])

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        _, start = header_lines(self.path, b"% ", b"end")
        decoder = _Decoder()
        for found in words(self.path, start, "<u2", counted):
            yield decoder(found, counted)


class _Decoder:
    """What was said last, from piece to piece."""

    def __init__(self) -> None:
        self.row, self.high, self.low = UNSAID, UNSAID, 0
        self.base, self.bright = UNSAID, 0
        self.clock = Clock(12)

    def __call__(self, found: NDArray[Any], counted: Counter[str]) -> Columns:
        kind, data = found >> 12, found.astype(np.int64) & 0xFFF
        row, self.row = _said(kind == ROW, data & 0x7FF, self.row)
        time = self._times(kind, data)
        vector = (kind == VECTOR_12) | (kind == VECTOR_8)
        base, polarity = self._bases(kind, data)
        bits = np.where(kind == VECTOR_8, data & 0xFF, data)
        each = [np.flatnonzero(vector & (bits >> bit & 1 == 1)) for bit in range(12)]
        single = np.flatnonzero(kind == COLUMN)
        word = np.concatenate([single, *each])
        x = np.concatenate([data[single] & 0x7FF, *(base[places] + bit for bit, places in enumerate(each))])
        p = np.concatenate([data[single] >> 11, *(polarity[places] for places in each)])
        order = np.lexsort((x, word))
        word, x, p = word[order], x[order], p[order]
        counted[UNKNOWN] += int((~np.isin(kind, (*range(7), HIGH, *OTHERS)) | (kind == 1)).sum())
        said = (row[word] >= 0) & (time[word] > UNSAID // 2) & (x >= 0)
        counted[EARLY] += int((~said).sum())
        return Columns.of(x, row[word], time[word], p)[said]

    def _times(self, kind: NDArray[Any], data: NDArray[np.int64]) -> NDArray[np.int64]:
        """The time at each word: the upper bits with zeros behind, or with the lower bits that came last."""
        highs = np.flatnonzero(kind == HIGH)
        said = np.concatenate([[self.high], self.clock(data[highs]) << 12])
        high = said[np.searchsorted(highs, np.arange(len(kind)), side="right")]
        low, self.low = _said((kind == HIGH) | (kind == LOW), np.where(kind == LOW, data, 0), self.low)
        self.high = int(said[-1])
        return np.asarray(high + low, np.int64)

    def _bases(self, kind: NDArray[Any], data: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each word, the first column of its vector and the polarity."""
        width = np.where(kind == VECTOR_12, 12, np.where(kind == VECTOR_8, 8, 0)).astype(np.int64)
        passed = np.cumsum(width) - width
        start, _ = _said(kind == BASE, (data & 0x7FF) - passed, self.base)
        bright, self.bright = _said(kind == BASE, data >> 11, self.bright)
        self.base = int(start[-1] + passed[-1] + width[-1])
        return start + passed, bright


def _said(where: NDArray[np.bool_], values: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], int]:
    """At each word the value that was said last, this word's own included; and the last of all."""
    place = np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))
    found = np.where(place >= 0, values[place], first)
    return found, int(found[-1])
