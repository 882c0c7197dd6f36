"""A recording of an event camera: read lazily, piece after piece, however long it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from spikewright.errors import DataError, SettingsError, SpikewrightError, warn
from spikewright.npz import sane
from spikewright.recordings.columns import NAMES, Columns
from spikewright.recordings.durations import seconds_of
from spikewright.recordings.format import Size
from spikewright.settings import whole
from spikewright.tabular import Table, Tabular

if TYPE_CHECKING:
    import pandas as pd

OUTSIDE = "events outside the sensor"
BACK = "events dated before an event that came before them"
WINDOWS = 2**24
"""How many windows of time a recording is cut into, at most: more than that, and a time in it is damaged."""


class Source(Protocol):
    """Where events come from: a file in a format, or arrays."""

    @property
    def sensor_size(self) -> Size | None:
        """Columns and rows, where they are said."""
        ...

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        """The events, piece after piece; see ``RecordingFormat.pieces``."""
        ...


@dataclass(frozen=True)
class Facts:
    """What is known of a recording once it was gone through.

    Attributes:
        events: how many there are.
        first, last: the times in microseconds of the first one and of the latest; 0 where there are none.
        counted: how much was left out or changed, by what it is.
        width, height: of the smallest sensor that holds them.
    """

    events: int
    first: int
    last: int
    counted: tuple[tuple[str, int], ...]
    width: int
    height: int


class Recording(Tabular):
    """The events of a camera, from a file or from arrays.

    Nothing is read before it is asked for, and no more of it is in memory than one piece, except where ``columns`` asks
    for all. What is left out is counted (``notes``), and warned of once it is known.

    Args:
        source: where the events are from.
        name: of it, for messages.
        sensor: (columns, rows) where nobody but the user says so; it comes before what a file says.
        span: microseconds, from the first on and up to but not including the second; None for all.

    Raises:
        SettingsError: for a sensor that cannot be.
    """

    def __init__(
        self, source: Source, name: str, sensor: Size | None = None, span: tuple[int, int] | None = None
    ) -> None:
        self.source, self.name, self.span = source, name, span
        self._sensor = None if sensor is None else checked_size(sensor)
        self._warned = False

    def __repr__(self) -> str:
        size = self._size
        return f"Recording({self.name}, sensor {'unknown' if size is None else f'{size[0]}×{size[1]}'})"

    def _table(self) -> Table:
        """What is known of it without reading it; of one that was read, how many events and how long."""
        lines = [repr(self)]
        if "facts" in self.__dict__:
            lines += [f"{len(self):,} events in {self.duration:.4g} s", *self.notes]
        return Table({}, tuple(lines))

    def to_pandas(self) -> pd.DataFrame:
        """All events, in memory: a row each, with x, y, t in microseconds, and p, whether it became brighter.

        Raises:
            SettingsError: where pandas is not installed.
            DataError: for a damaged file.
        """
        return Table(dict(zip(NAMES, self.columns(), strict=True))).to_pandas()

    @cached_property
    def _size(self) -> Size | None:
        if self._sensor is not None:
            return self._sensor
        with self._sane():
            found = self.source.sensor_size
            return None if found is None else checked_size(found)

    @property
    def sensor_size(self) -> Size:
        """(columns, rows) of the sensor.

        Raises:
            DataError: where neither the file nor the user says it.
        """
        if self._size is None:
            box = f"{self.facts.width}x{self.facts.height}"
            raise DataError(
                f"{self.name}: does not say how large its sensor is; give sensor=(columns, rows); "
                f"sensor={box} in a binning would hold its events"
            )
        return self._size

    def pieces(self) -> Iterator[Columns]:
        """The events inside the sensor as they are in the file, piece after piece.

        Raises:
            DataError: for a damaged file.

        Warns:
            SpikewrightWarning: at the end, of what was left out.
        """
        counted: Counter[str] = Counter()
        events, first, last, corner = 0, 0, 0, (0, 0)
        pieces = self._checked(counted)
        while True:
            with self._sane():
                piece = next(pieces, None)
            if piece is None:
                break
            first, last = (first, last) if events else (int(piece.t[0]), int(piece.t[0]))
            so_far = np.maximum.accumulate(np.maximum(piece.t, last))
            counted[BACK] += int((so_far != piece.t).sum())
            last = int(so_far[-1])
            corner = (max(corner[0], int(piece.x.max()) + 1), max(corner[1], int(piece.y.max()) + 1))
            events += len(piece)
            yield piece
        told = tuple((what, count) for what, count in counted.items() if count)
        self.__dict__.setdefault("facts", Facts(events, first, last, told, *corner))
        if not self._warned:
            self._warned = True
            warn(self.notes)

    def ordered(self) -> Iterator[Columns]:
        """The same with times that never fall: an event that is dated before one that came before it takes its time."""
        last: int | None = None
        for piece in self.pieces():
            t = np.maximum.accumulate(piece.t if last is None else np.maximum(piece.t, last))
            last = int(t[-1])
            yield Columns(piece.x, piece.y, t, piece.p)

    def _checked(self, counted: Counter[str]) -> Iterator[Columns]:
        """Pieces with events in them, without what lies outside of the sensor or the span."""
        size = self._size
        for piece in self.source.pieces(counted):
            if self.span is not None and len(piece) and int(piece.t.min()) >= self.span[1]:
                return  # what follows is later still
            inside = (piece.x >= 0) & (piece.y >= 0)
            if size is not None:
                inside &= (piece.x < size[0]) & (piece.y < size[1])
            counted[OUTSIDE] += len(piece) - int(inside.sum())
            if self.span is not None:
                inside &= (piece.t >= self.span[0]) & (piece.t < self.span[1])
            kept = piece if inside.all() else piece[inside]
            if len(kept):
                yield kept

    @contextmanager
    def _sane(self) -> Iterator[None]:
        """Whatever a damaged file makes its reader raise, as one line."""
        try:
            with sane(self.name, "record or download it again"):
                yield
        except SpikewrightError:
            raise
        except Exception as error:  # of a reader of another package, say
            raise DataError(f"{self.name}: cannot be read ({type(error).__name__}: {error})") from error

    @cached_property
    def facts(self) -> Facts:
        """How many events there are, and from when to when: the file is gone through once for it."""
        for _ in self.pieces():
            pass
        found: Facts = self.__dict__["facts"]
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, a line each."""
        return tuple(
            f"{self.name}: {count:,} {what if count > 1 else what.replace('s ', ' ', 1)}"
            for what, count in self.facts.counted
        )

    @property
    def outside(self) -> int:
        """How many events lie outside of the sensor; they are left out."""
        return dict(self.facts.counted).get(OUTSIDE, 0)

    @property
    def duration(self) -> float:
        """Seconds from the first event to the last, the last one's microsecond included; of a span, its length."""
        if self.span is not None:
            return (self.span[1] - self.span[0]) * 1e-6
        return (self.facts.last - self.facts.first + 1) * 1e-6 if self.facts.events else 0.0

    @property
    def start(self) -> int:
        """The microsecond in which it begins."""
        return self.facts.first if self.span is None else self.span[0]

    def __len__(self) -> int:
        return self.facts.events

    def check_not_empty(self) -> None:
        """Refuse a recording without events; a stretch of one may have none.

        Raises:
            DataError: saying whether all of them lie outside of the sensor.
        """
        if self.span is None and not len(self):
            outside = f", {self.outside:,} lie outside of its sensor" if self.outside else ""
            raise DataError(f"{self.name}: it holds no events{outside}; take it out")

    def columns(self, *names: str) -> tuple[Any, ...]:
        """All events, column by column, in memory.

        Args:
            names: any of "x", "y", "t" (microseconds) and "p" (True: brighter); all four where there are none.

        Raises:
            SettingsError: for another name.
            DataError: for a damaged file.
        """
        wanted = names or NAMES
        if unknown := [name for name in wanted if name not in NAMES]:
            raise SettingsError(f"a recording has no column '{unknown[0]}'; choose from {', '.join(NAMES)}")
        parts: list[tuple[Any, ...]] = [tuple(getattr(piece, n) for n in wanted) for piece in self.pieces()]
        parts = parts or [tuple(getattr(Columns.joined([]), n) for n in wanted)]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def batches(self, *, time: float | str | None = None, count: int | None = None) -> Iterator[Columns]:
        """The events in batches, by time or by number, of which one at a time is in memory.

        Args:
            time: the length of a batch: seconds, or a text like "50ms". There is a batch for each such window from the
                first event on, also where nothing came.
            count: events of a batch; the last may have fewer.

        Raises:
            SettingsError: for neither or both, or a length that cannot be.
            DataError: for a damaged file, or times that lie absurdly far apart.
        """
        if (time is None) == (count is None):
            raise SettingsError("batches are by time or by count: give batches(time='50ms') or batches(count=10_000)")
        if count is not None:
            return self._by_count(whole("count", count))
        return self._by_time(max(1, round(seconds_of(time, "the time of a batch") * 1e6)))

    def _by_count(self, count: int) -> Iterator[Columns]:
        held: list[Columns] = []
        there = 0
        for piece in self.pieces():
            held.append(piece)
            there += len(piece)
            if there < count:
                continue
            found = Columns.joined(held)
            for first in range(0, there - count + 1, count):
                yield found[first : first + count]
            held = [found[there - there % count :]] if there % count else []
            there %= count
        if there:
            yield Columns.joined(held)

    def _by_time(self, window: int) -> Iterator[Columns]:
        held: list[Columns] = []
        start = self.span[0] if self.span is not None else None
        for piece in self.ordered():
            start = int(piece.t[0]) if start is None else start
            self._check_windows(int(piece.t[-1]) - start, window)
            first = 0
            while piece.t[-1] >= start + window:
                stop = int(np.searchsorted(piece.t, start + window))
                yield Columns.joined([*held, piece[first:stop]])
                held, first, start = [], stop, start + window
            held.append(piece[first:])
        if self.span is None:
            yield from [Columns.joined(held)] if held else []
            return
        start = self.span[0] if start is None else start
        self._check_windows(self.span[1] - start, window)
        while start < self.span[1]:
            yield Columns.joined(held)
            held, start = [], start + window

    def _check_windows(self, span: int, window: int) -> None:
        """Refuse more windows of time than any recording has."""
        if span // window > WINDOWS:
            raise DataError(
                f"{self.name}: times that lie {span / 1e6:,.0f} s apart make more than {WINDOWS:,} windows of "
                f"{window:,} µs; take longer ones, or look at its times"
            )

    def between(self, start: int, stop: int) -> Recording:
        """A stretch of it, from a microsecond on and up to but not including another.

        Raises:
            SettingsError: for a stretch that is empty.
        """
        start, stop = whole("start", start, -(2**62), 2**62), whole("stop", stop, -(2**62), 2**62)
        if stop <= start:
            raise SettingsError(f"a stretch of a recording ends after it begins, not from {start} to {stop}")
        return Recording(self.source, f"{self.name} [{start}, {stop})", self._sensor, (start, stop))


def checked_size(sensor: Any) -> Size:
    """A sensor's size, once it is clear that it is one.

    Raises:
        SettingsError: for anything but two whole numbers from 1 to 32768.
    """
    found = tuple(sensor) if isinstance(sensor, list | tuple) else ()
    if len(found) != 2:
        raise SettingsError(f"a sensor is (columns, rows), as in (346, 260), not {sensor!r:.40}")
    width, height = (whole("columns and rows of a sensor", side, 1, 2**15) for side in found)
    return width, height
