"""What a chip is sent of a recording: its events in memory, in order of time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.recorded import SHARED
from spikewright.data.recorded import is_recording as is_recording_by_name
from spikewright.errors import DataError
from spikewright.graph import SampleShapes, Shape
from spikewright.npz import npz_headers, read_npy, read_npz
from spikewright.recordings import Recording, load_recording

LABELS = ("t", "x", "y", "p")
MOST_STEPS, MOST_VALUES = 2**20, 2**31
"""The most steps that a recording is cut into, and the most values of all of them together."""
Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SensorEvents:
    """The events of a recording, in order of time; all arrays are ``(E,)``.

    Attributes:
        t: in microseconds, from the first event on.
        x, y: the column and the row of each.
        p: its polarity, 0 or 1.
        name: of the file, for messages.
    """

    t: Longs
    x: Longs
    y: Longs
    p: Longs
    name: str = "the recording"

    def __len__(self) -> int:
        return len(self.t)

    @property
    def fingerprint(self) -> str:
        """Changes when an event does."""
        made = hashlib.sha256()
        for label in LABELS:
            made.update(np.ascontiguousarray(getattr(self, label), np.int64).tobytes())
        return made.hexdigest()

    @classmethod
    def read(cls, source: Any) -> SensorEvents:
        """Events from anywhere.

        Args:
            source: by name ``(events,)`` arrays: t in microseconds, x the column, y the row, and p, 0 or 1; or one
                structured array with these fields; or an ``.npz`` or ``.npy`` file of either; or a Recording, or a file
                of any other format that ``load_recording`` knows.

        Raises:
            DataError: for what is no recording.
        """
        if isinstance(source, SensorEvents):
            return source
        if isinstance(source, Path | str) and Path(source).suffix.lower() not in SHARED:
            source = load_recording(source)
        if isinstance(source, Recording):
            name, source = source.name, dict(zip(LABELS, source.columns(*LABELS), strict=True))
            return replace(cls.read(source), name=name)
        where, arrays = ("the recording", source) if not isinstance(source, Path | str) else _opened(Path(source))
        fields = arrays.keys() if isinstance(arrays, Mapping) else np.asarray(arrays).dtype.names or ()
        lacking = [label for label in LABELS if label not in fields]
        if lacking:
            raise DataError(f"{where}: a recording has t (microseconds), x, y and p; it lacks {', '.join(lacking)}")
        t, x, y, p = found = [np.asarray(arrays[label]) for label in LABELS]
        if t.ndim != 1 or {x.shape, y.shape, p.shape} != {t.shape} or any(a.dtype.kind not in "iub" for a in found):
            raise DataError(f"{where}: t, x, y and p are whole numbers, one each for every event")
        if not len(t):
            raise DataError(f"{where}: it holds no events")
        if any(int(a.max()) >= 2**62 or int(a.min()) < -(2**62) for a in found):
            raise DataError(f"{where}: its events have numbers beyond all sensors: t is in microseconds")
        t, x, y, p = (a.astype(np.int64) for a in found)
        order = np.argsort(t, kind="stable")
        return cls(t[order] - int(t.min()), x[order], y[order], p[order], where)

    def fitting(self, inputs: SampleShapes) -> tuple[Shape, str]:
        """The shape of the one input that a network has, and where its channels are.

        Raises:
            DataError: for a network of several inputs.
        """
        if len(inputs) != 1:
            raise DataError(f"{self.name}: a recording is of one input; the network has {len(inputs)}")
        ((name, shape),) = inputs.items()
        return shape, inputs.channels.get(name, "first")

    def places(self, shape: Shape, channels: str = "first") -> Longs:
        """Which value of a sample each event is, in C order, ``(E,)``.

        Args:
            shape: of the network's input: 1 or 2 channels and a map; with two channels p is the channel, with one p
                makes no difference.
            channels: where the channels are in it, "first" or "last".

        Raises:
            DataError: for an input of another shape, or events outside it.
        """
        last = channels == "last"
        sizes = (shape[-1], *shape[:-1]) if last else shape
        if len(sizes) != 3 or sizes[0] not in (1, 2):
            raise DataError(f"{self.name}: events of a sensor fit an input of 1 or 2 channels and a map, not {shape}")
        count, rows, columns = sizes
        x, y, p = self.x, self.y, self.p
        if x.min() < 0 or y.min() < 0 or x.max() >= columns or y.max() >= rows or not np.isin(p, (0, 1)).all():
            raise DataError(
                f"{self.name}: its events reach x {x.max()}, y {y.max()}, p {p.max()}; the network's input has "
                f"{columns} columns, {rows} rows and p of 0 and 1: crop it"
            )
        channel = p if count == 2 else np.zeros_like(p)
        return (y * columns + x) * count + channel if last else (channel * rows + y) * columns + x

    def steps(self, dt: float) -> int:
        """How many steps it lasts.

        Args:
            dt: how long a step is, in seconds.

        Raises:
            DataError: for more than a million.
        """
        steps = int(self.t[-1] / (dt * 1e6)) + 1
        if steps > MOST_STEPS:
            raise DataError(
                f"{self.name}: it lasts {steps:,} steps of {dt:g} s; at most {MOST_STEPS:,}: take a part, or longer "
                "steps"
            )
        return steps

    def frames(self, inputs: SampleShapes, dt: float, timesteps: int | None = None) -> NDArray[np.float32]:
        """Its events, counted in steps.

        Args:
            inputs: of the network.
            dt: how long a step is, in seconds.
            timesteps: how many of them; what comes later is left out. All by default.

        Returns:
            ``(1, steps, *shape)``: one sample for the encoder "events".

        Raises:
            DataError: for a network of several inputs, events outside its input, or too many steps.
        """
        shape, channels = self.fitting(inputs)
        places, count = self.places(shape, channels), self.steps(dt) if timesteps is None else timesteps
        if count * prod(shape) > MOST_VALUES:
            raise DataError(
                f"{self.name}: {count:,} steps of {dt:g} s with {prod(shape):,} values each are more than "
                f"{MOST_VALUES:,} values in memory: take a part, or longer steps"
            )
        step = (self.t / (dt * 1e6)).astype(np.int64)
        inside = step < count
        found = np.zeros((1, count, *shape), np.float32)
        np.add.at(found.reshape(count, -1), (step[inside], places[inside]), 1)
        return found


def sensor_events(data: Any) -> Any:
    """The events of a recording; data of other kinds as they are.

    Raises:
        DataError: for a damaged recording, or one without events.
    """
    return SensorEvents.read(data) if isinstance(data, Recording) else data


def is_recording(path: Path | str) -> bool:
    """Whether a file is a recording: an ``.npz`` or ``.npy`` of t, x, y and p, or of another format by its name.

    An ``.npz`` without p that was meant to be one counts too: ``read`` says what it lacks.
    """
    file = Path(path)
    if not file.is_file():
        return False
    if file.suffix.lower() not in SHARED:
        return is_recording_by_name(file)
    if file.suffix.lower() == ".npy":
        return set(LABELS) <= set(read_npy(file).dtype.names or ())
    headers = npz_headers(file)
    if {"t", "x", "y"} <= set(headers):
        return "p" in headers or len(headers["x"].shape) == 1  # without p it is one too, and refused for that
    alone = next(iter(headers.values())) if len(headers) == 1 else None
    return alone is not None and set(LABELS) <= set(alone.dtype.names or ())


def _opened(path: Path) -> tuple[str, Any]:
    """The name of a file, and what it holds."""
    if path.suffix.lower() == ".npy":
        return str(path), read_npy(path)
    arrays = read_npz(path)
    alone = next(iter(arrays.values())) if len(arrays) == 1 else None
    return str(path), alone if alone is not None and alone.dtype.names else arrays
