"""Event Stream (``.es``), version 2: DVS events of five bytes; rows count from below.

Behind ``Event Stream``, the version, the kind (1 is DVS), and 16 bits each of width and height: the time since the
event before in seven bits, polarity in the lowest one; 16 bits of x and of y, little endian. A byte of 255 alone is
127 µs without an event, 254 is to be passed over. Source: github.com/neuromorphic-paris/event_stream.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import CUT

MAGIC, DVS, OVERFLOW, RESET, PIECE = b"Event Stream", 1, 255, 254, 2**18
KINDS = {0: "generic events", 2: "ATIS events", 3: "AMD events", 4: "colours"}


class Es(RecordingFormat):
    """``.es`` with DVS events."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return head.startswith(MAGIC)

    @cached_property
    def _header(self) -> Size:
        with self.path.open("rb") as file:
            head = file.read(20)
        if len(head) < 20:
            raise ValueError("it ends before its first event")
        major, kind = head[12], head[15]
        if major != 2:
            raise ValueError(f"Event Stream {major}, where version 2 is read")
        if kind != DVS:
            raise ValueError(f"it holds {KINDS.get(kind, 'events of no known kind')}, where DVS events are read")
        width, height = struct.unpack("<HH", head[16:])
        return width, height

    @property
    def sensor_size(self) -> Size:
        return self._header

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        _, height = self._header
        time = 0
        with self.path.open("rb") as file:
            file.seek(20)
            left = b""
            while more := file.read(PIECE):
                found = np.frombuffer(left + more, np.uint8)
                starts, end = _starts(found)
                left = found[end:].tobytes()
                head = found[starts].astype(np.int64)
                times = time + np.cumsum(np.where(head == OVERFLOW, 127, np.where(head == RESET, 0, head >> 1)))
                time = int(times[-1]) if len(times) else time
                event = head < RESET
                at = starts[event][:, None] + np.arange(1, 5)
                x_low, x_high, y_low, y_high = found[at].astype(np.int64).T
                yield Columns.of(x_low | x_high << 8, height - 1 - (y_low | y_high << 8), times[event], head[event] & 1)
            if left:
                counted[CUT] += len(left)


def _starts(found: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Where whole events and bytes alone begin, from the first byte on, and where the last begins that is not whole.

    Which byte begins one depends on all before it: the places reached from the first are found by doubling steps.
    """
    count = len(found)
    following = np.arange(count) + np.where(found >= RESET, 1, 5)
    leap = np.append(np.minimum(following, count), count)
    reached = np.zeros(1, np.int64)
    while (further := leap[reached]).min() < count:
        reached = np.unique(np.concatenate([reached, further[further < count]]))
        leap = leap[leap]
    whole = following[reached] <= count
    return reached[whole], int(reached[-1]) if not whole[-1] else count
