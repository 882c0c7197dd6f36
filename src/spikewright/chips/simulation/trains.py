"""Pictures as trains of events, as somebody would send them to a chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import ChipInput
from spikewright.chips.recording import SensorEvents, sensor_events
from spikewright.chips.simulation.timeline import EventTrain, Longs
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.encoders.poisson import Poisson
from spikewright.errors import DataError, SettingsError
from spikewright.settings import LARGEST, check_fields

MOST_EVENTS = 2**26
"""The most events of one sample: their times and places take gigabytes."""
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole part, spread evenly over [0, 1) however many there are (Weyl 1916)."""


@dataclass(frozen=True)
class StepClock:
    """How long a run is: T steps, in each of which the slow clock ticks; events come whenever they come.

    Attributes:
        timesteps: T.
        dt: the length of a step in seconds; a whole number of microseconds.
        ticks: of the slow clock in a step; its biases are those of a step divided by it.
    """

    timesteps: int = 64
    dt: float = 1e-3
    ticks: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        micros = self.dt * 1e6
        if not (self.dt > 0 and abs(micros - round(micros)) < 1e-6 * micros and micros < 2**40):
            raise SettingsError(f"trains: dt must be a whole number of microseconds, not {self.dt:.6g} s")
        if not 1 <= self.timesteps <= LARGEST:
            raise SettingsError(f"trains: timesteps must be 1 or more, at most {LARGEST:,}, not {self.timesteps}")
        if self.ticks < 1 or self.step % self.ticks:
            raise SettingsError(f"trains: {self.ticks} ticks do not divide a step of {self.step} µs")

    @property
    def sent(self) -> str:
        """How samples are sent, in a word."""
        return "as recorded"

    @property
    def step(self) -> int:
        """The length of a step in microseconds."""
        return round(self.dt * 1e6)

    @property
    def clock_hz(self) -> float:
        """The rate of the slow clock."""
        return self.ticks / self.dt

    def beats(self) -> Longs:
        """When the slow clock ticks, in microseconds: at the beginning of each step, and evenly in it."""
        return np.arange(self.timesteps * self.ticks, dtype=np.int64) * (self.step // self.ticks)


@dataclass(frozen=True)
class PictureTrains(StepClock):
    """How pictures are sent: T steps long, every value as events of its rate.

    A value x sends x ÷ (what one event of the input stands for) events in a step, on average. The events of a step are
    spread evenly over it: event k of n comes k/n of the step after its beginning, in whole microseconds. Or all of them
    come at its beginning, behind the tick.

    Attributes:
        kind: "regular": events of a value come at equal distances, each value with a phase of its own. "poisson": as
            many in each step as a Poisson process has, at times that are drawn.
        order: of the events of a step: "mixed", by the times at which they would come by themselves; or "rows", by row,
            column and channel.
        spread: whether the events of a step are spread evenly over it. If not, all are simultaneous, which the stated
            order works off by row, column and channel, and ``ChipRules(permute=...)`` in any.
        seed: of Poisson trains.
    """

    kind: Literal["regular", "poisson"] = "regular"
    order: Literal["mixed", "rows"] = "mixed"
    spread: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed < 0:
            raise SettingsError(f"trains: seed must be 0 or more, not {self.seed}")

    @property
    def sent(self) -> str:
        """How samples are sent, in a word."""
        return self.kind if self.spread else f"simultaneous {self.kind}"

    def of(self, picture: NDArray[Any], source: ChipInput, sample: int) -> EventTrain:
        """The events of one picture.

        Args:
            picture: ``(channels, rows, columns)``, in the unit of the trained network's input.
            source: where it comes in.
            sample: which one of its data set, for draws.

        Raises:
            DataError: for another shape, and for values below zero, which no event stands for.
        """
        if picture.shape != source.shape:
            raise DataError(f"input '{source.name}' takes pictures of {source.shape}; these have {picture.shape}")
        rates = np.asarray(picture, np.float64) / source.event_value
        if not np.isfinite(rates).all() or rates.min(initial=0) < 0:
            raise DataError(
                f"input '{source.name}' has values down to {picture.min():g}: an event stands for "
                f"{source.event_value:g} and none for less than nothing; move the data above zero, or send recordings"
            )
        events = float(rates.sum()) * self.timesteps
        if events > MOST_EVENTS:
            raise DataError(
                f"input '{source.name}': a sample would be sent as {events:.3g} events, at most {MOST_EVENTS:,}: its "
                f"values reach {picture.max():g}, and an event stands for {source.event_value:g}; take a lower rate"
            )
        flat = rates.transpose(1, 2, 0).reshape(-1)  # so that simultaneous events are in order of row, column, channel
        value, when = self._regular(flat) if self.kind == "regular" else self._poisson(flat, sample)
        order = _order(when.astype(np.int64) if self.order == "rows" else when)
        value, step = value[order], when[order].astype(np.int64)
        inside: Longs | int = 0
        if self.spread:
            begins = np.searchsorted(step, np.arange(self.timesteps + 1))
            inside = (np.arange(len(step)) - begins[step]) * self.step // np.diff(begins)[step]
        place, channel = np.divmod(value, source.shape[0])
        y, x = np.divmod(place, source.shape[2])
        return EventTrain(step * self.step + inside, y, x, channel)

    def frames(self, train: EventTrain, source: ChipInput) -> NDArray[np.float32]:
        """The same events binned to steps, as a stepped network takes them: ``(T, channels, rows, columns)``, each
        event as what it stands for."""
        shape = (self.timesteps, *source.shape)
        index = np.ravel_multi_index((train.time // self.step, train.channel, train.y, train.x), shape)
        counts = np.bincount(index, minlength=int(np.prod(shape))).reshape(shape)
        return (counts * source.event_value).astype(np.float32)

    def _regular(self, rates: NDArray[np.float64]) -> tuple[Longs, NDArray[np.float64]]:
        """Of each event its value and when it comes, in steps: the j-th of a rate r at (j + phase)/r."""
        phase = (np.arange(len(rates)) * GOLDEN) % 1.0
        counts = np.maximum(np.ceil(rates * self.timesteps - phase), 0).astype(np.int64)
        value = np.repeat(np.arange(len(rates)), counts)
        number = np.arange(len(value)) - np.repeat(np.cumsum(counts) - counts, counts)
        when = (number + phase[value]) / rates[value]
        return value, np.minimum(when, np.nextafter(self.timesteps, 0))

    def _poisson(self, rates: NDArray[np.float64], sample: int) -> tuple[Longs, NDArray[np.float64]]:
        """Of each event its value and when it comes, in steps, drawn by seed and sample."""
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=(0, 0, 0, sample)))
        value = np.repeat(np.arange(len(rates)), random.poisson(rates * self.timesteps))
        return value, random.random(len(value)) * self.timesteps


def trains_of(encoder: Encoder | None, **settings: Any) -> PictureTrains:
    """The trains that pictures are sent as in place of an encoder: regular for constant values, Poisson for Poisson.

    Args:
        encoder: None for constant values.
        settings: of the trains: timesteps, dt, ticks, spread.

    Raises:
        SettingsError: for another encoder.
    """
    if isinstance(encoder, Poisson):
        return PictureTrains(kind="poisson", seed=encoder.seed, **settings)
    if isinstance(encoder, Constant | None):
        return PictureTrains(**settings)
    raise SettingsError("samples are no pictures that are sent as trains")


def clock_of(data: Any, timesteps: int | None, dt: float, ticks: int) -> StepClock:
    """How samples are sent where nobody says more: pictures as regular trains, a recording as it is.

    Args:
        data: a Recording, or pictures.
        timesteps: T; of pictures 64 unless given, of a recording all of it.
        dt: of a step, in seconds.
        ticks: of the slow clock in a step.
    """
    data = sensor_events(data)
    if isinstance(data, SensorEvents):
        return StepClock(timesteps=data.steps(dt) if timesteps is None else timesteps, dt=dt, ticks=ticks)
    return PictureTrains(timesteps=StepClock.timesteps if timesteps is None else timesteps, dt=dt, ticks=ticks)


def _order(when: NDArray[Any]) -> Longs:
    """What comes first, second and so on; of what comes at once, what is listed first."""
    order = np.argsort(when)  # twice as fast as a stable sort, and the same where nothing comes at once
    ordered = when[order]
    return np.argsort(when, kind="stable") if (ordered[1:] == ordered[:-1]).any() else order
