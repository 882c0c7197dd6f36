"""Recordings of event cameras as a data set: frames to train and calibrate on, and events of the same to run on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.dataset import Batch, Dataset
from spikewright.data.digests import Raw, values_of_each
from spikewright.data.labels import Targets, as_targets
from spikewright.data.labels import rows as targets_of_rows
from spikewright.data.layout import Inputs, channels_of
from spikewright.data.sampling import Rows, classes_of
from spikewright.errors import DataError, SettingsError, SpikewrightWarning
from spikewright.graph import Shape
from spikewright.recordings import Binning, EventBatch, Recording
from spikewright.recordings.batch import Timing, event_batch, timing_of
from spikewright.recordings.durations import duration_text

MOMENT = 1.5e-6
"""Seconds: a recording that takes no longer is of one microsecond."""


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(Dataset):
    """Recordings with what they are cut into frames by: a sample is a recording, told by the mean of its frames.

    ``frames`` has each frame as a sample, with its recording's label; ``events`` has the recordings as lists of events.

    Attributes:
        items: the recordings, of one sensor.
        binning: how they become frames.
        y: targets ``(N, ...)``, or None.
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        first_sample: of a part, the place of its first sample in the whole.
        channels_last: whether the network has the channels behind rows and columns.
    """

    items: tuple[Recording, ...]
    binning: Binning
    y: Targets | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_sample: int = 0
    channels_last: bool = False

    def __post_init__(self) -> None:
        if self.y is not None:
            object.__setattr__(self, "y", as_targets(self.y, len(self.items)))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def shape(self) -> Shape:
        """The shape of a frame."""
        if not self.items:
            raise DataError("the data set is empty: no recordings")
        shape = self.binning.shape(self.items[0].sensor_size)
        return (*shape[1:], shape[0]) if self.channels_last else shape

    @property
    def has_labels(self) -> bool:
        return self.y is not None

    @property
    def labels(self) -> Rows | None:
        return classes_of(self.y)

    @property
    def targets(self) -> Targets | None:
        return self.y

    def frames_of(self, recording: Recording) -> Iterator[NDArray[np.float32]]:
        """The frames of one recording, as the network takes them, one by one."""
        self.check_sensor(recording)
        for frame in self.binning.frames_in(recording):
            yield np.moveaxis(frame, 0, -1) if self.channels_last else frame

    def check_sensor(self, recording: Recording) -> None:
        """Refuse a recording of another sensor than the first.

        Raises:
            DataError: naming both.
        """
        if recording.sensor_size != self.items[0].sensor_size:
            sizes = [f"{width}×{height}" for width, height in (recording.sensor_size, self.items[0].sensor_size)]
            raise DataError(
                f"{recording.name}: of a sensor of {sizes[0]} pixels, where {self.items[0].name} is of {sizes[1]}; "
                "give sensor=COLUMNSxROWS in the binning for all, and a crop"
            )

    def batches(self, size: int) -> Iterator[Batch]:
        for start in range(0, len(self), size):
            means = [self._mean(recording) for recording in self.items[start : start + size]]
            yield np.stack(means), targets_of_rows(self.y, slice(start, start + size))

    def _mean(self, recording: Recording) -> NDArray[np.float32]:
        total, count = np.zeros(self.shape, np.float64), 0
        for frame in self.frames_of(recording):
            total, count = total + frame, count + 1
        return (total / count).astype(np.float32)

    def subset(self, rows: Rows) -> Recordings:
        y = targets_of_rows(self.y, rows)
        return replace(self, items=tuple(self.items[k] for k in rows), y=y, first_sample=0)

    def with_axes_for(self, inputs: Inputs) -> Recordings:
        if len(inputs) != 1:
            raise DataError(f"recordings are for a network with one input, and this one has {', '.join(inputs)}")
        ((name, shape),) = inputs.items()
        turned = replace(self, channels_last=channels_of(inputs, name) == "last" and len(shape) == 3)
        if turned.shape != tuple(shape):
            width, height = self.items[0].sensor_size
            raise DataError(
                f"the network takes {tuple(shape)}, and frames of {width}×{height} pixels by binning {self.binning} "
                f"have the shape {turned.shape}: change polarity, crop or downsample"
            )
        return turned

    @property
    def fingerprint(self) -> str:
        return self.frames.fingerprint

    @cached_property
    def frames(self) -> FrameDataset:
        """Every frame as a sample of its own."""
        return FrameDataset(self)

    def events(self, dt: float) -> EventDataset:
        """The same recordings as events at timesteps of ``dt`` seconds.

        Raises:
            SettingsError: for a binning that events cannot be given by, or a timestep longer than every frame.
            DataError: for recordings without events.
        """
        self.binning.check_runs_on_events()
        if self.binning.dt is not None and dt > self.binning.dt * (1 + 1e-9):
            raise SettingsError(
                f"a timestep of {duration_text(dt)} is longer than a frame of {duration_text(self.binning.dt)}: give a "
                "shorter dt (--dt)"
            )
        made = EventDataset(self, dt)
        self._check_timestep(dt, made.timings)
        return made

    def _check_timestep(self, dt: float, timings: tuple[Timing, ...]) -> None:
        """Refuse a timestep that is longer than the frames of all recordings, and count those that have shorter ones.

        A recording of one moment has no length that a timestep could be longer than: it runs one.
        """
        lengths = [
            (recording.duration / timing.frames, recording.name)
            for recording, timing in zip(self.items, timings, strict=True)
            if recording.duration > MOMENT
        ]
        short = [name for length, name in lengths if dt > length * (1 + 1e-9)]
        if short and len(short) == len(lengths):
            longest = float(f"{max(lengths)[0]:.3g}")
            raise SettingsError(
                f"a timestep of {duration_text(dt)} is longer than the frames of these recordings by binning "
                f"{self.binning}, {duration_text(longest)} at most: give a shorter dt (--dt)"
            )
        if short:
            warnings.warn(
                f"frames of {len(short):,} of {len(self):,} recordings are shorter than a timestep of "
                f"{duration_text(dt)}, in which all their events come at once; the first is {short[0]}",
                SpikewrightWarning,
                stacklevel=2,
            )


@dataclass(frozen=True, eq=False, repr=False)
class FrameDataset(Dataset):
    """The frames of recordings, each a sample with its recording's label, read one recording at a time.

    Attributes:
        source: the recordings.
        chosen: ``(N,)`` which of all frames these are; None for all.
    """

    source: Recordings
    chosen: Rows | None = None

    @cached_property
    def places(self) -> tuple[Rows, Rows]:
        """``(N,)`` the recording of each frame, and its place among that one's frames."""
        binning = self.source.binning
        counts = np.array([binning.frames_of(recording) for recording in self.source.items], np.int64)
        recording = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(len(recording)) - np.repeat(np.cumsum(counts) - counts, counts)
        return (recording, place) if self.chosen is None else (recording[self.chosen], place[self.chosen])

    def __post_init__(self) -> None:
        for label in ("classes", "notes"):
            object.__setattr__(self, label, getattr(self.source, label))

    def __len__(self) -> int:
        return len(self.places[0])

    @property
    def shape(self) -> Shape:
        return self.source.shape

    @property
    def has_labels(self) -> bool:
        return self.source.has_labels

    @cached_property
    def targets(self) -> Targets | None:
        """The label of each frame's recording."""
        return targets_of_rows(self.source.y, self.places[0])

    @property
    def labels(self) -> Rows | None:
        return classes_of(self.targets)

    def batches(self, size: int) -> Iterator[Batch]:
        frames = self._each()
        for start in range(0, len(self), size):
            held = list(islice(frames, size))
            yield np.stack(held), targets_of_rows(self.targets, slice(start, start + len(held)))

    def _each(self) -> Iterator[NDArray[np.float32]]:
        """The frames in their order; a recording is read on as long as its frames follow one another."""
        frames: Iterator[NDArray[np.float32]] = iter(())
        open_now, at = -1, 0
        for recording, place in zip(*(column.tolist() for column in self.places), strict=True):
            if recording != open_now or place < at:
                frames, open_now, at = self.source.frames_of(self.source.items[recording]), recording, 0
            yield next(islice(frames, place - at, None))
            at = place + 1

    def raw(self) -> Iterator[Raw]:
        for frame in self._each():
            yield from values_of_each(frame[None])

    def subset(self, rows: Rows) -> FrameDataset:
        every = np.arange(len(self)) if self.chosen is None else self.chosen
        return FrameDataset(self.source, every[rows])

    def with_axes_for(self, inputs: Inputs) -> FrameDataset:
        return FrameDataset(self.source.with_axes_for(inputs), self.chosen)

    @property
    def form(self) -> str:
        return f"{self.shape} {self.source.binning}"


@dataclass(frozen=True, eq=False, repr=False)
class EventDataset(Dataset):
    """Recordings as lists of events at timesteps: what engines run in place of frames.

    Attributes:
        source: the recordings.
        dt: seconds of a timestep.
        steps_a_frame: S: timesteps of a frame; the mean over recordings where they differ. A part keeps it.
        timings: how long each recording runs; found out where they are not given.
    """

    source: Recordings
    dt: float
    steps_a_frame: float = 0.0
    timings: tuple[Timing, ...] = ()

    def __post_init__(self) -> None:
        if not self.timings:
            found = tuple(timing_of(recording, self.source.binning, self.dt) for recording in self.source.items)
            object.__setattr__(self, "timings", found)
        for label in ("classes", "notes", "first_sample"):
            object.__setattr__(self, label, getattr(self.source, label))
        if not self.steps_a_frame:
            each = float(np.mean([timing.steps_a_frame for timing in self.timings]))
            cut = self.source.binning.dt
            object.__setattr__(self, "steps_a_frame", each if cut is None else cut / self.dt)

    @property
    def timesteps(self) -> int:
        """T: of the longest recording."""
        return max(timing.steps for timing in self.timings)

    @property
    def mean_frames(self) -> float:
        """How many frames a recording has on average."""
        return float(np.mean([timing.frames for timing in self.timings]))

    def __len__(self) -> int:
        return len(self.source)

    @property
    def shape(self) -> Shape:
        return self.source.shape

    @property
    def has_labels(self) -> bool:
        return self.source.has_labels

    @property
    def labels(self) -> Rows | None:
        return self.source.labels

    @property
    def targets(self) -> Targets | None:
        return self.source.targets

    def batches(self, size: int) -> Iterator[Any]:
        for start in range(0, len(self), size):
            yield self.batch(start, start + size), targets_of_rows(self.source.y, slice(start, start + size))

    def batch(self, start: int, stop: int) -> EventBatch:
        """The recordings from one on and up to but not including another."""
        items = self.source.items[start:stop]
        for recording in items:
            self.source.check_sensor(recording)
        return event_batch(
            items,
            self.timings[start:stop],
            self.source.binning,
            self.dt,
            self.steps_a_frame,
            self.source.channels_last,
        )

    def subset(self, rows: Rows) -> EventDataset:
        timings = tuple(self.timings[k] for k in rows)
        return EventDataset(self.source.subset(rows), self.dt, self.steps_a_frame, timings)

    def raw(self) -> Iterator[Raw]:
        return self.source.raw()

    @property
    def fingerprint(self) -> str:
        return f"{self.source.fingerprint} {self.dt!r}"

    @property
    def known_fingerprint(self) -> str:
        return self.fingerprint if self.source.frames.known_fingerprint else ""


def binning_in(data: Dataset) -> Binning | None:
    """How the recordings of a data set, or those that its frames are of, are cut into frames; None for others."""
    source = data.source if isinstance(data, FrameDataset | EventDataset) else data
    return source.binning if isinstance(source, Recordings) else None


def frames_in(data: Dataset) -> Dataset:
    """Every frame of recordings as a sample; data of other kinds as they are."""
    return data.frames if isinstance(data, Recordings) else data
