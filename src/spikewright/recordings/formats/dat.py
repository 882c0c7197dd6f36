"""Prophesee's ``.dat``: lines that begin with ``%``, the kind and size of an event, then 64 bits an event.

32 bits of microseconds; x in bits 0 to 13, y in bits 14 to 27, polarity in bit 28; little endian.
Source: docs.prophesee.ai, "DAT file format".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import Clock, header_lines, size_in, words

KINDS = (0x00, 0x0C)


class Dat(RecordingFormat):
    """``.dat`` of Prophesee, with events of contrast (CD): N-CARS, GEN1."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return suffix == ".dat" and not head.startswith(b"#!AER-DAT")

    @property
    def sensor_size(self) -> Size | None:
        return size_in(header_lines(self.path, b"% ")[0])

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        _, start = header_lines(self.path, b"% ")
        with self.path.open("rb") as file:
            file.seek(start)
            kind = file.read(2)
        if len(kind) < 2 or kind[0] not in KINDS or kind[1] != 8:
            raise ValueError(f"events of kind {kind.hex() or 'none'}, where 0008 and 0c08 are contrast events")
        clock = Clock(32)
        for found in words(self.path, start + 2, ("<u4", 2), counted):
            data = found[:, 1].astype(np.int64)
            yield Columns.of(data & 0x3FFF, data >> 14 & 0x3FFF, clock(found[:, 0]), data >> 28 & 1)
