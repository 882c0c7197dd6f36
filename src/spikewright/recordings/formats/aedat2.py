"""AEDAT 2.0 of jAER: lines that begin with ``#``, then an address and a time in µs an event, 32 bits each, big endian.

What an address means depends on the camera, which the lines name. DVS128 (CIFAR10-DVS too): x in bits 8 to 14, y in
bits 1 to 7, polarity in bit 0. DAVIS: bit 31 is 0 for an event of a pixel, y in bits 22 to 30, x in bits 12 to 21,
polarity in bit 11; bits 10 set are samples of its frames. Source: inivation.github.io, "AEDAT 2.0".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import Clock, header_lines, words

CAMERAS = (("davis346", (346, 260)), ("davis640", (640, 480)), ("davis208", (208, 192)), ("davis", (240, 180)))


class Aedat2(RecordingFormat):
    """``.aedat`` of jAER, version 2: DVS128 and DAVIS cameras."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return head.startswith(b"#!AER-DAT2")

    @cached_property
    def _lines(self) -> tuple[tuple[str, ...], int]:
        return header_lines(self.path, b"#")

    @property
    def _davis(self) -> Size | None:
        """The size of a DAVIS camera, where the file was written by one."""
        text = " ".join(line for line in self._lines[0] if re.search(r"(?i)chip|davis", line)).lower()
        return next((size for name, size in CAMERAS if name in text), None)

    @property
    def sensor_size(self) -> Size:
        return self._davis or (128, 128)

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        clock = Clock(32)
        for found in words(self.path, self._lines[1], (">u4", 2), counted):
            address, t = found[:, 0].astype(np.int64), clock(found[:, 1])
            if self._davis is None:
                yield Columns.of(address >> 8 & 127, address >> 1 & 127, t, address & 1)
                continue
            pixel = (address >> 31 == 0) & (address >> 10 & 1 == 0)
            yield Columns.of(address >> 12 & 1023, address >> 22 & 511, t, address >> 11 & 1)[pixel]
