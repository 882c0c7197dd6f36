"""AEDAT 4.0 of DV (``.aedat4``): packets of flatbuffers, each packed with LZ4 or Zstandard or not at all.

Behind ``#!AER-DAT4.0`` a flatbuffer IOHE: how packets are packed, where the table of them begins, and an XML text about
the streams. A packet: 32 bits that name its stream, 32 bits of its size, then a flatbuffer EVTS with a vector of events
of 16 bytes: 64 bits of microseconds, 16 bits each of x and y, one byte of polarity. Source: inivation.github.io, "AEDAT
4.0", and flatbuffers.dev, "FlatBuffers internals". What is packed is unpacked by pyarrow.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.recordings.columns import Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.raw import CUT

MAGIC = b"#!AER-DAT4.0\r\n"
PACKINGS = (None, "lz4", "lz4", "zstd", "zstd")
"""Ways of packing by the number that the header has: none, LZ4, LZ4 high, Zstandard, Zstandard high."""
EVENT = np.dtype(
    {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12], "itemsize": 16}
)
HEADER, PACKET = 2**24, 2**28
"""Bytes of a header, and of a packet once it is unpacked, that are believed."""


@dataclass(frozen=True)
class _Stream:
    """What a file says of a stream of events."""

    number: int
    size: Size | None


@dataclass(frozen=True)
class _Header:
    packing: str | None
    start: int
    end: int
    streams: tuple[_Stream, ...]


class Aedat4(RecordingFormat):
    """``.aedat4``: the first stream of events; frames and all else are passed over."""

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return head.startswith(b"#!AER-DAT4")

    @cached_property
    def _header(self) -> _Header:
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("it does not begin with #!AER-DAT4.0")
            length = int.from_bytes(file.read(4), "little")
            if not 8 <= length <= min(HEADER, size):
                raise ValueError(f"a header of {length:,} bytes")
            table = _Table.of(file.read(length), b"IOHE")
            start = file.tell()
        packing, end = table.number(0, "<i", 0), table.number(1, "<q", -1)
        if not 0 <= packing < len(PACKINGS):
            raise ValueError(f"packets packed in a way of number {packing}, which is not known")
        text = table.bytes_at(2).decode("utf-8", "replace")
        return _Header(PACKINGS[packing], start, end if start <= end <= size else size, _streams(text))

    @cached_property
    def _stream(self) -> _Stream:
        if not self._header.streams:
            raise ValueError("it says of no stream that it holds events")
        return self._header.streams[0]

    @property
    def sensor_size(self) -> Size | None:
        return self._stream.size

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        header, wanted = self._header, self._stream.number
        if len(header.streams) > 1:
            counted["streams of events behind the first"] += len(header.streams) - 1
        with self.path.open("rb") as file:
            file.seek(header.start)
            at = header.start
            while at < header.end:
                head = file.read(min(8, header.end - at))
                if len(head) < 8:
                    counted[CUT] += len(head)
                    return
                number, size = struct.unpack("<ii", head)
                if not 0 < size <= PACKET:
                    raise ValueError(f"a packet of {size:,} bytes")
                if at + 8 + size > header.end:
                    counted[CUT] += header.end - at
                    return
                at += 8 + size
                if number != wanted:
                    file.seek(at)
                    continue
                yield _events(_unpacked(file.read(size), header.packing))


def _events(packet: bytes) -> Columns:
    length = int.from_bytes(packet[:4], "little")
    if length > len(packet) - 4:
        raise ValueError(f"a packet of {length:,} bytes in {len(packet) - 4:,}")
    found = _Table.of(packet[4 : 4 + length], b"EVTS").vector(0)
    return Columns.of(found["x"], found["y"], found["t"], found["p"])


def _unpacked(packed: bytes, packing: str | None) -> bytes:
    """The bytes of a packet; no more of them than are believed."""
    if packing is None:
        return packed
    pa = pyarrow()
    with pa.input_stream(pa.py_buffer(packed), compression=packing) as stream:
        found: bytes = stream.read(PACKET + 1)
    if len(found) > PACKET:
        raise ValueError(f"a packet of {len(packed):,} bytes that unpacks to more than {PACKET:,}")
    return found


@dataclass(frozen=True)
class _Table:
    """The root table of a flatbuffer: its bytes, where it lies, and where each of its fields does."""

    data: bytes
    at: int
    fields: tuple[int, ...]

    @classmethod
    def of(cls, data: bytes, name: bytes) -> _Table:
        if data[4:8] != name:
            raise ValueError(f"a part that is called {data[4:8]!r}, where {name.decode()} is expected")
        at = _unpack("<I", data, 0)
        fields = at - _unpack("<i", data, at)
        size = _unpack("<H", data, fields)
        return cls(data, at, tuple(_unpack("<H", data, fields + place) for place in range(4, min(size, 64), 2)))

    def number(self, field: int, kind: str, default: int) -> int:
        """A number, or its default where it is left out."""
        place = self.fields[field] if field < len(self.fields) else 0
        return _unpack(kind, self.data, self.at + place) if place else default

    def bytes_at(self, field: int) -> bytes:
        """The bytes of a text or of a vector of bytes."""
        start, count = self._vector(field)
        return self.data[start : start + count]

    def vector(self, field: int) -> Any:
        """The events of a vector."""
        start, count = self._vector(field)
        return np.frombuffer(self.data, EVENT, count, start) if count else np.zeros(0, EVENT)

    def _vector(self, field: int) -> tuple[int, int]:
        place = self.fields[field] if field < len(self.fields) else 0
        if not place:
            return 0, 0
        start = self.at + place + _unpack("<I", self.data, self.at + place)
        return start + 4, _unpack("<I", self.data, start)


def _unpack(kind: str, data: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("a part that points before its beginning")
    number: int = struct.unpack_from(kind, data, at)[0]
    return number


def _streams(text: str) -> tuple[_Stream, ...]:
    """The streams of events that the text about them names. It is looked through, not parsed: XML could be anything."""
    nodes = re.split(r'(?=<node name="\d+" path="[^"]*/outInfo/\d+/?")', text)
    found = []
    for node in nodes:
        number = re.match(r'<node name="(\d{1,9})"', node)
        if number and re.search(r'key="typeIdentifier"[^>]*>\s*EVTS\s*<', node):
            sizes = [re.search(rf'key="size{axis}"[^>]*>\s*(\d{{1,6}})\s*<', node) for axis in "XY"]
            size = None if None in sizes else (int(sizes[0][1]), int(sizes[1][1]))  # type: ignore[index]
            found.append(_Stream(int(number[1]), size))
    return tuple(found)
