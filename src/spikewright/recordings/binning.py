"""How recordings become frames: one small value, typed on the command line and stored with the network.

The network is trained on frames and runs on the events that they are made of, by the same value: filters, crop, mirror,
downsampling and polarities say which events reach which input, and ``scale`` what each stands for. What depends on a
whole frame (``normalise``) cannot run on events, and is refused there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError, SettingsError
from spikewright.recordings.durations import duration_text, seconds_of
from spikewright.recordings.filters import NoiseFilter, hot_pixels
from spikewright.recordings.recording import Recording, checked_size
from spikewright.settings import check_fields, digits, number

Polarity = Literal["apart", "merged", "signed"]
Mirror = Literal["none", "columns", "rows", "both"]
MOST_FRAMES = 2**20
Pair = tuple[int, int]


@dataclass(frozen=True)
class Binning:
    """Frames of a recording: by time, by number of events, or so many of each recording.

    In this order: hot pixels and noise are left out; crop; mirror; downsample; polarities; scale. The last frame may be
    cut short: by time and by count it is there where it is at least half a frame, or the only one.

    Attributes:
        dt: seconds of a frame ("50ms"), or
        count: events of a frame, or
        frames: how many frames of equal length a recording has.
        polarity: "apart": two channels, darker and brighter; "merged": one, that counts both; "signed": one, that
            counts brighter as 1 and darker as −1.
        crop: (rows, columns) that are kept; None for all.
        corner: (row, column) of the first that is kept; None for the middle.
        mirror: "columns" (left and right are exchanged), "rows", "both" or "none".
        downsample: the side of a square of pixels that becomes one, whose events are added.
        noise: seconds: events with none at the eight pixels around within that time before are left out; None for no
            such filter.
        hot: events per second above which a pixel is left out, of the whole recording; None for no such filter.
        scale: what one event stands for.
        sensor: (columns, rows) of the sensor, where files do not say it, or in place of what they say.
        normalise: "max" divides every frame by its largest value, for training only: it cannot run on events.

    Raises:
        SettingsError: for none or several ways to cut, and settings outside their domain.
    """

    dt: float | None = None
    count: int | None = None
    frames: int | None = None
    polarity: Polarity = "apart"
    crop: Pair | None = None
    corner: Pair | None = None
    mirror: Mirror = "none"
    downsample: int = 1
    noise: float | None = None
    hot: float | None = None
    scale: float = 1.0
    sensor: Pair | None = None
    normalise: Literal["none", "max"] = "none"

    def __post_init__(self) -> None:
        for label in ("dt", "noise"):
            if getattr(self, label) is not None:
                object.__setattr__(self, label, seconds_of(getattr(self, label), f"binning: {label}"))
        check_fields(self, "binning")
        ways = [label for label in ("dt", "count", "frames") if getattr(self, label) is not None]
        if len(ways) != 1:
            told = f"not {' and '.join(ways)} at once" if ways else "and none is given"
            raise SettingsError(f"binning: frames are cut by one of dt=50ms, count=5000 or frames=10, {told}")
        for label in ("count", "frames", "downsample"):
            value = getattr(self, label)
            if value is not None and not 1 <= value < 2**31:
                raise SettingsError(f"binning: {label} must be 1 or more, not {value}")
        if self.frames is not None and self.frames > MOST_FRAMES:
            raise SettingsError(f"binning: at most {MOST_FRAMES:,} frames, not {self.frames:,}")
        if self.dt is not None and self.dt < 1e-6:
            raise SettingsError(f"binning: dt is 1us or more, as times are in microseconds, not {self.dt:g} s")
        if self.sensor is not None:
            object.__setattr__(self, "sensor", checked_size(self.sensor))
        if self.crop is not None and min(self.crop) < 1:
            raise SettingsError("binning: crop takes rows and columns, 1 or more, like 32x32")
        if self.corner is not None and (self.crop is None or min(self.corner) < 0):
            raise SettingsError("binning: corner is the first row and column of a crop, like crop=32x32,corner=4x0")
        if self.hot is not None and not self.hot > 0:
            raise SettingsError(f"binning: hot is a rate above 0 in events per second and pixel, not {self.hot:g}")
        if not self.scale or abs(self.scale) > 1e30:
            raise SettingsError(f"binning: scale is what an event stands for: a number, not {self.scale:g}")

    @property
    def channels(self) -> int:
        """How many channels a frame has."""
        return 2 if self.polarity == "apart" else 1

    def shape(self, sensor: Pair) -> tuple[int, int, int]:
        """The shape of a frame, (channels, rows, columns), of a sensor of (columns, rows).

        Raises:
            DataError: for a crop that does not lie inside the sensor.
        """
        rows, columns = self._window(sensor)[2:]
        return self.channels, -(-rows // self.downsample), -(-columns // self.downsample)

    def _window(self, sensor: Pair) -> tuple[int, int, int, int]:
        """First row and column, and how many of each, that are kept."""
        width, height = sensor
        if self.crop is None:
            return 0, 0, height, width
        rows, columns = self.crop
        top, left = self.corner or ((height - rows) // 2, (width - columns) // 2)
        if top < 0 or left < 0 or top + rows > height or left + columns > width:
            raise DataError(
                f"binning: a crop of {rows}x{columns} from row {top} and column {left} does not lie inside a sensor "
                f"of {height} rows and {width} columns"
            )
        return top, left, rows, columns

    def inputs(self, recording: Recording) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
        """Which input each event reaches, piece after piece, without what is filtered or lies outside of the crop.

        Args:
            recording: of a camera.

        Yields:
            ``(E,)`` microseconds since the recording began, never falling; the index in a frame, in C order; and what
            the event stands for, before ``scale``: 1 or −1.
        """
        sensor = recording.sensor_size
        top, left, rows, columns = self._window(sensor)
        _, high, wide = self.shape(sensor)
        hot = None if self.hot is None else hot_pixels(recording, self.hot)
        noise = None if self.noise is None else NoiseFilter(*sensor, self.noise * 1e6)
        start = None if recording.span is None else recording.span[0]
        for piece in recording.ordered():
            start = int(piece.t[0]) if start is None else start
            kept = np.ones(len(piece), np.bool_) if hot is None else ~hot[piece.y, piece.x]
            if noise is not None:
                kept[kept] = noise(piece[kept])
            y, x = piece.y - top, piece.x - left
            kept &= (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            y, x = y[kept].astype(np.int64), x[kept].astype(np.int64)
            y = rows - 1 - y if self.mirror in ("rows", "both") else y
            x = columns - 1 - x if self.mirror in ("columns", "both") else x
            place = y // self.downsample * wide + x // self.downsample
            bright = piece.p[kept]
            index = place + bright * (high * wide) if self.polarity == "apart" else place
            value = np.where(bright, 1, -1) if self.polarity == "signed" else np.ones(len(place), np.int64)
            yield piece.t[kept] - start, index, value

    def frames_of(self, recording: Recording) -> int:
        """How many frames a recording has; by time or count it is gone through once for it.

        Raises:
            DataError: for a recording without events, or absurdly many frames.
        """
        if self.frames is not None:
            return self.frames
        if self.dt is not None:
            recording.check_not_empty()
            found = recording.duration / self.dt
        else:
            assert self.count is not None
            found = sum(len(index) for _, index, _ in self.inputs(recording)) / self.count
        if found > MOST_FRAMES:
            raise DataError(
                f"{recording.name}: {found:,.0f} frames of {self}; at most {MOST_FRAMES:,}: take longer ones, or "
                "look at its times"
            )
        return max(1, int(np.floor(found + 0.5 + 1e-9)))

    def frames_in(self, recording: Recording) -> Iterator[NDArray[np.float32]]:
        """The frames of a recording, ``(channels, rows, columns)`` each, of which one is in memory at a time.

        Raises:
            DataError: for a recording without events; a stretch of one may have none.
        """
        recording.check_not_empty()
        count, shape = self.frames_of(recording), self.shape(recording.sensor_size)
        length = round(recording.duration * 1e6)
        number, seen, frame = 0, 0, np.zeros(int(np.prod(shape)), np.float64)
        for t, index, value in self.inputs(recording):
            if self.count is not None:
                which = np.arange(seen, seen + len(t)) // self.count
            elif self.dt is not None:
                which = np.floor(t / (self.dt * 1e6)).astype(np.int64)
            else:
                which = np.minimum(t * count // max(length, 1), count - 1)
            seen += len(t)
            first = 0
            while first < len(which) and which[first] < count:
                while number < which[first]:
                    yield self._finished(frame, shape)
                    number, frame = number + 1, np.zeros(len(frame), np.float64)
                stop = int(np.searchsorted(which, number, side="right"))
                frame += np.bincount(index[first:stop], value[first:stop], len(frame))
                first = stop
        for _ in range(number, count):
            yield self._finished(frame, shape)
            frame = np.zeros(len(frame), np.float64)

    def _finished(self, frame: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[np.float32]:
        if self.normalise == "max" and frame.any():
            frame = frame / np.abs(frame).max()
        return (frame * self.scale).astype(np.float32).reshape(shape)

    def check_runs_on_events(self) -> None:
        """Refuse what depends on whole frames.

        Raises:
            SettingsError: saying what to do.
        """
        if self.normalise != "none":
            raise SettingsError(
                f"binning: normalise={self.normalise} depends on the whole frame, which nobody knows while its events "
                "come: train on frames with a constant scale=… to run on events"
            )

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        return ",".join(
            f"{f.name}={_text(f.name, getattr(self, f.name))}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        )

    @classmethod
    def parse(cls, text: str) -> Binning:
        """The binning that a text says: ``dt=50ms,polarity=merged,downsample=2``.

        Raises:
            SettingsError: for an unknown word or a value outside its domain.
        """
        given: dict[str, Any] = {}
        known = [f.name for f in fields(cls)]
        for word in filter(None, text.replace(" ", "").split(",")):
            label, equals, value = word.partition("=")
            if label not in known or not equals:
                raise SettingsError(f"binning: unknown '{word[:40]}'; write {', '.join(f'{k}=…' for k in known)}")
            if label in given:
                raise SettingsError(f"binning: {label} is given twice")
            given[label] = _read(label, value)
        return cls(**given)


def binning_of(given: Binning | str) -> Binning:
    """A binning from its text; a value as it is.

    Raises:
        SettingsError: for anything else.
    """
    if isinstance(given, Binning):
        return given
    if not isinstance(given, str):
        raise SettingsError(f"binning is a text like 'dt=50ms' or a value like Binning(dt=0.05), not {given!r:.40}")
    return Binning.parse(given)


def _text(label: str, value: Any) -> str:
    if label in ("dt", "noise"):
        return duration_text(value)
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value) if isinstance(value, str | int) else repr(value)


def _read(label: str, text: str) -> Any:
    """The value of a field from its text."""
    if label in ("dt", "noise"):
        return seconds_of(text, f"binning: {label}")
    if label in ("polarity", "mirror", "normalise"):
        return text.lower()
    if label in ("count", "frames", "downsample"):
        whole = digits(text)
        if whole is None:
            raise SettingsError(f"binning: {label} takes a whole number, not '{text[:40]}'")
        return whole
    if label in ("crop", "corner", "sensor"):
        pair = [digits(word) for word in text.lower().split("x")]
        if None in pair or len(pair) > 2:
            sides = "columns and rows like 346x260" if label == "sensor" else "rows and columns like 32x32"
            raise SettingsError(f"binning: {label} takes {sides}, not '{text[:40]}'")
        return (pair[0], pair[-1])
    top, slash, bottom = text.partition("/")
    above, below = number(top), number(bottom) if slash else 1.0
    if above is None or not below:
        raise SettingsError(f"binning: {label} takes a number like 0.5 or 1/255, not '{text[:40]}'")
    return above / below
