"""AEDAT 3.1 of cAER (DVS128 Gesture): lines that begin with ``#``, then packets of 28 bytes about events, and events.

A packet says: kind of event (1 is polarity), source, size of an event, where its time lies, how often 31 bits of time
have run over, capacity, number, valid ones. A polarity event: 32 bits with x from bit 17, y in bits 2 to 16, polarity
in bit 1, valid in bit 0; 32 bits of microseconds. All little endian. Source: inivation.github.io, "AEDAT 3.1".
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import CUT, header_lines

HEAD = struct.Struct("<hhiiiiii")
POLARITY = 1
PACKET = 2**28
"""Bytes of a packet that are believed."""
CAMERAS = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS208": (208, 192), "DAVIS240": (240, 180)} | {
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
}


class Aedat3(RecordingFormat):
    """``.aedat`` of cAER, version 3.1."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return head.startswith(b"#!AER-DAT3")

    @cached_property
    def _lines(self) -> tuple[tuple[str, ...], int]:
        return header_lines(self.path, b"#", b"End Of ASCII Header") if self._ended else header_lines(self.path, b"#")

    @cached_property
    def _ended(self) -> bool:
        lines, _ = header_lines(self.path, b"#", b"End Of ASCII Header")
        return "End Of ASCII Header" in lines

    @property
    def sensor_size(self) -> Size | None:
        text = "\n".join(self._lines[0])
        found = re.search(r"(?im)^source \d+:.*?(dvs128|davis ?\d{3})", text)
        return CAMERAS.get(found[1].upper().replace(" ", "")) if found else None

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        with self.path.open("rb") as file:
            file.seek(self._lines[1])
            while head := file.read(HEAD.size):
                if len(head) < HEAD.size:
                    counted[CUT] += len(head)
                    return
                kind, _, size, at, over, capacity, number, _ = HEAD.unpack(head)
                if size < 1 or not 0 <= number <= capacity or size * capacity > PACKET:
                    raise ValueError(f"a packet of {number} events of {size} bytes, room for {capacity}")
                body = file.read(size * number)
                whole = len(body) // size
                if whole < number:
                    counted[CUT] += len(body) % size
                    counted["events of a packet that the file does not hold"] += number - whole
                if kind != POLARITY or not whole:
                    continue
                if size != 8 or at != 4 or over < 0:
                    raise ValueError(f"polarity events of {size} bytes with their time at byte {at}")
                found = np.frombuffer(body, "<u4", 2 * whole).reshape(-1, 2).astype(np.int64)
                data, t = found[:, 0], found[:, 1] + (over << 31)
                yield Columns.of(data >> 17, data >> 2 & 0x7FFF, t, data >> 1 & 1)[data & 1 == 1]
