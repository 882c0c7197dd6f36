"""The events of several recordings at their timesteps: what runs in place of a batch of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.recordings.binning import Binning
from spikewright.recordings.recording import Recording
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor

MOST_STEPS = 2**24


@dataclass(frozen=True)
class Timing:
    """How long a recording runs.

    Attributes:
        steps: L: timesteps from its first event to its last.
        frames: how many frames these are; of frames that are cut by time no whole number.
    """

    steps: int
    frames: float

    @property
    def steps_a_frame(self) -> float:
        """S: over so many timesteps a bias acts once."""
        return self.steps / self.frames


def timing_of(recording: Recording, binning: Binning, dt: float) -> Timing:
    """How long a recording runs at a timestep; it is gone through once for it.

    Args:
        recording: of a camera.
        binning: how it is cut into frames.
        dt: of the run, in seconds.

    Raises:
        DataError: for a recording without events, or more timesteps than a run can have.
    """
    recording.check_not_empty()
    steps = max(1, ceil(recording.duration / dt * (1 - 1e-12)))
    if steps > MOST_STEPS:
        raise DataError(
            f"{recording.name}: {recording.duration:,.3g} s are {steps:,} timesteps of {dt:g} s, and a run has at most "
            f"{MOST_STEPS:,}: take longer ones, or a stretch of it"
        )
    if binning.dt is not None:
        return Timing(steps, max(1.0, recording.duration / binning.dt))
    if binning.frames is not None:
        return Timing(steps, float(binning.frames))
    assert binning.count is not None
    events = sum(len(index) for _, index, _ in binning.inputs(recording))
    return Timing(steps, max(1.0, events / binning.count))


@dataclass(frozen=True, eq=False)
class EventBatch:
    """B recordings as lists of events, ordered by recording, timestep and neuron; one event a neuron and timestep.

    Attributes:
        steps_each: ``(B,)`` int64: how many timesteps each recording has.
        frames_each: ``(B,)`` float64: how many frames these are.
        sample: ``(E,)`` int64, from 0.
        timestep: ``(E,)`` int64, from 0.
        neuron: ``(E,)`` int64: the index in the input, in C order.
        value: ``(E,)`` float32: how many events of the camera came together, signed where polarities are.
        sample_shape: of the input.
        unit: what one event stands for.
        steps_a_frame: S of the run: what biases are spread over; those of a recording whose frames are longer or
            shorter are multiplied by ``bias_factors``.
        like: a tensor of the device and type that dense values take; None for float32 on the CPU.
    """

    steps_each: NDArray[np.int64]
    frames_each: NDArray[np.float64]
    sample: NDArray[np.int64]
    timestep: NDArray[np.int64]
    neuron: NDArray[np.int64]
    value: NDArray[np.float32]
    sample_shape: tuple[int, ...]
    unit: float
    steps_a_frame: float
    like: Any = None

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.steps_each)

    @property
    def shape(self) -> tuple[int, ...]:
        """(recordings, timesteps of the longest, *shape of the input)."""
        return (len(self), int(self.steps_each.max(initial=0)), *self.sample_shape)

    @property
    def bias_factors(self) -> NDArray[np.float32] | None:
        """``(B,)``: what the biases of each recording are multiplied by; None where all are 1."""
        found = (self.steps_a_frame * self.frames_each / self.steps_each).astype(np.float32)
        return None if np.allclose(found, 1, rtol=1e-6) else found

    def to(self, like: Tensor) -> EventBatch:
        """The same, with dense values on another device or of another type."""
        return replace(self, like=like)

    def __getitem__(self, part: slice) -> EventBatch:
        """Some of the recordings."""
        start, stop, _ = part.indices(len(self))
        first, last = np.searchsorted(self.sample, (start, max(start, stop)))
        rows, events = slice(start, stop), slice(int(first), int(last))
        return replace(
            self,
            steps_each=self.steps_each[rows],
            frames_each=self.frames_each[rows],
            sample=self.sample[events] - start,
            timestep=self.timestep[events],
            neuron=self.neuron[events],
            value=self.value[events],
        )

    @cached_property
    def _by_step(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The events in the order of their timesteps, and where each of these begins."""
        order = np.argsort(self.timestep, kind="stable")
        return order, np.searchsorted(self.timestep[order], np.arange(self.shape[1] + 1))

    def __abs__(self) -> EventBatch:
        """The same without signs."""
        return replace(self, value=np.abs(self.value))

    def at(self, t: int) -> Tensor:
        """The input of one timestep, ``(B, *shape)``."""
        order, start = self._by_step
        here = order[start[t] : start[t + 1]] if t + 1 < len(start) else order[:0]
        return self._dense(self.sample[here], self.neuron[here], self.value[here])

    def sequence(self) -> Tensor:
        """The input of every timestep, ``(T, B, *shape)``: dense, for what needs all of it at one time."""
        import torch

        found = np.zeros((self.shape[1], len(self), prod(self.sample_shape)), np.float32)
        found[self.timestep, self.sample, self.neuron] = self.value * np.float32(self.unit)
        dense = torch.from_numpy(found.reshape(*found.shape[:2], *self.sample_shape))
        return dense if self.like is None else dense.to(self.like)

    def total(self) -> Tensor:
        """The input of all timesteps together, ``(B, *shape)``."""
        return self._dense(self.sample, self.neuron, self.value)

    def mean_frame(self) -> Tensor:
        """What the trained network sees: the mean over the frames of each recording, ``(B, *shape)``."""
        import torch

        each = torch.as_tensor(1.0 / (self.frames_each * self.steps_a_frame))
        total = self.total()
        return total * each.to(total).view(-1, *(1 for _ in self.sample_shape))

    def _dense(self, sample: NDArray[Any], neuron: NDArray[Any], value: NDArray[Any]) -> Tensor:
        import torch

        size = prod(self.sample_shape)
        found = np.bincount(sample * size + neuron, value, len(self) * size).astype(np.float64) * self.unit
        dense = torch.from_numpy(found.reshape(len(self), *self.sample_shape))
        return dense.to(torch.float32) if self.like is None else dense.to(self.like)


def events_in(x: Any) -> EventBatch | None:
    """A batch of events as such; None for one of values."""
    return x if isinstance(x, EventBatch) else None


def event_batch(
    recordings: Sequence[Recording],
    timings: Sequence[Timing],
    binning: Binning,
    dt: float,
    steps_a_frame: float,
    channels_last: bool = False,
) -> EventBatch:
    """The events of some recordings at the timesteps of a run.

    Args:
        recordings: of one sensor.
        timings: of each.
        binning: which events reach which input.
        dt: of the run, in seconds.
        steps_a_frame: S of the run.
        channels_last: whether the network has the channels of its input behind rows and columns.
    """
    shape = binning.shape(recordings[0].sensor_size)
    channels, positions = shape[0], prod(shape[1:])
    columns: list[tuple[NDArray[Any], ...]] = []
    for row, (recording, timing) in enumerate(zip(recordings, timings, strict=True)):
        parts = [
            (np.minimum((t / (dt * 1e6)).astype(np.int64), timing.steps - 1), index, value)
            for t, index, value in binning.inputs(recording)
        ]
        if not parts:
            continue
        step, index, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        if channels_last:
            index = index % positions * channels + index // positions
        key, place = np.unique(step * (channels * positions) + index, return_inverse=True)
        summed = np.bincount(place.reshape(-1), value, len(key))
        key, summed = key[summed != 0], summed[summed != 0]
        step, index = np.divmod(key, channels * positions)
        columns.append((np.full(len(key), row), step, index, summed))
    sample, step, index, value = (
        (np.concatenate(column) for column in zip(*columns, strict=True)) if columns else (np.zeros(0),) * 4
    )
    return EventBatch(
        steps_each=np.array([timing.steps for timing in timings], np.int64),
        frames_each=np.array([timing.frames for timing in timings], np.float64),
        sample=np.asarray(sample, np.int64),
        timestep=np.asarray(step, np.int64),
        neuron=np.asarray(index, np.int64),
        value=np.asarray(value, np.float32),
        sample_shape=(*shape[1:], channels) if channels_last else shape,
        unit=binning.scale * steps_a_frame,
        steps_a_frame=steps_a_frame,
    )
