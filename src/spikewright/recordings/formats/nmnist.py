"""N-MNIST and N-Caltech101: ``.bin``, five bytes an event, written by an ATIS camera.

Bytes: x; y; polarity in the highest bit of the third, and 23 bits of microseconds, big endian. An event with y = 240 is
none: the clock has run over, and 8192 µs are added to all that follow. Source: Orchard et al., "Converting static image
datasets to spiking neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437 (2015), and its reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat
from spikewright.recordings.raw import words

OVERFLOW, OVERFLOW_US = 240, 8192


class NMnist(RecordingFormat):
    """``.bin`` of N-MNIST (34×34) and N-Caltech101 (of many sizes); a file does not say its sensor's size."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return suffix == ".bin"

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        late = 0
        for found in words(self.path, 0, (np.uint8, 5), counted):
            x, y, high, middle, low = found.T.astype(np.int64)
            over = y == OVERFLOW
            t = ((high & 0x7F) << 16 | middle << 8 | low) + late + OVERFLOW_US * np.cumsum(over)
            late += OVERFLOW_US * int(over.sum())
            yield Columns.of(x, y, t, high >> 7)[~over]
