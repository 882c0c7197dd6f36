"""What binary formats share: lines of text before the data, and words in pieces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings.format import Size

WORDS = 2**19
"""Words of one piece."""
LINE, LINES = 4096, 4096
"""Characters of a line before the data, and how many lines there are, at most."""
CUT = "bytes left over at the end, no whole event"
EARLY = "events before the first time"
UNKNOWN = "words of no known kind"
"""What is counted where a file does not hold what it should."""
UNSAID = -(2**62)
"""A time or place that was not said yet."""


def header_lines(path: Path, mark: bytes, end: bytes = b"") -> tuple[tuple[str, ...], int]:
    """The lines of text that begin with a mark, without it, and where the data begin.

    Args:
        path: of the file.
        mark: what each of them begins with.
        end: what the last line is, behind the mark; by default the last that begins with it.
    """
    status = path.stat()
    return _lines(path, mark, end, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _lines(path: Path, mark: bytes, end: bytes, _size: int, _changed: int) -> tuple[tuple[str, ...], int]:
    lines: list[str] = []
    with path.open("rb") as file:
        at = 0
        while len(lines) < LINES:
            line = file.readline(LINE)
            text = line.rstrip(b"\r\n")
            if not line.startswith(mark) or not line.endswith(b"\n") or not re.fullmatch(rb"[\t\x20-\xff]*", text):
                break
            at = file.tell()
            lines.append(text[len(mark) :].decode("utf-8", "replace").strip())
            if end and text[len(mark) :].strip() == end:
                break
    return tuple(lines), at


def size_in(lines: tuple[str, ...]) -> Size | None:
    """The sensor size that lines say: ``geometry 640x480``, ``width=640;height=480``, ``Width 640``, ``Height 480``."""
    text = "\n".join(lines)
    both = re.search(r"(?im)^geometry:?\s+(\d{1,6})\s*x\s*(\d{1,6})", text)
    if both:
        return int(both[1]), int(both[2])
    found = [re.search(rf"(?im)(?:^|[;\s]){word}[=:\s]\s*(\d{{1,6}})", text) for word in ("width", "height")]
    return None if None in found else tuple(int(one[1]) for one in found if one)  # type: ignore[return-value]


def words(path: Path, start: int, kind: Any, counted: Counter[str]) -> Iterator[NDArray[Any]]:
    """The words of a file from a place on, in pieces; bytes at the end that are no whole word are counted.

    Args:
        path: of the file.
        start: the place of the first byte.
        kind: of numpy, of one word.
        counted: see ``RecordingFormat.pieces``.
    """
    size = np.dtype(kind).itemsize
    with path.open("rb") as file:
        file.seek(start)
        while found := file.read(size * WORDS):
            whole = len(found) // size
            if len(found) % size:
                counted[CUT] += len(found) % size
            if whole:
                yield np.frombuffer(found, kind, whole)


class Clock:
    """Times of a counter that begins anew at a power of two, as times that go on.

    Args:
        bits: of the counter.
    """

    def __init__(self, bits: int) -> None:
        self.period = 1 << bits
        self.last: int | None = None
        self.turns = 0

    def __call__(self, counts: NDArray[Any]) -> NDArray[np.int64]:
        """The times of the next piece; a counter that falls by more than half of its range began anew."""
        found = counts.astype(np.int64)
        if not len(found):
            return found
        steps = np.diff(found, prepend=found[0] if self.last is None else self.last)
        half = self.period // 2
        turns = self.turns + np.cumsum((steps < -half).astype(np.int64) - (steps > half))
        self.last, self.turns = int(found[-1]), int(turns[-1])
        made: NDArray[np.int64] = found + turns * self.period
        return made
