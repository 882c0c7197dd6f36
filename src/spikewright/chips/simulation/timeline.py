"""The order of what a chip is sent: events of inputs and ticks of the slow clock on one line of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError

Longs = NDArray[np.int64]
Shape = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(frozen=True, eq=False)
class EventTrain:
    """Events of one input, of one sample, in any order; all arrays are ``(E,)``.

    Attributes:
        time: in microseconds, from 0 on.
        y, x, channel: the row, column and channel of each.
    """

    time: Longs
    y: Longs
    x: Longs
    channel: Longs

    def __post_init__(self) -> None:
        for label in ("time", "y", "x", "channel"):
            object.__setattr__(self, label, np.asarray(getattr(self, label), np.int64))
        shapes = {getattr(self, label).shape for label in ("time", "y", "x", "channel")}
        if len(shapes) > 1 or len(next(iter(shapes))) != 1:
            raise DataError(f"events need a time, y, x and channel each, rows of one length; these have {shapes}")
        if len(self.time) and self.time.min() < 0:
            raise DataError(f"events cannot come before 0 µs; one comes at {self.time.min()} µs")

    def __len__(self) -> int:
        return len(self.time)

    def check(self, name: str, shape: Shape) -> None:
        """Refuse events outside an input.

        Args:
            name: of the input.
            shape: of the input.

        Raises:
            DataError: naming the first.
        """
        for label, values, end in zip(("channel", "y", "x"), (self.channel, self.y, self.x), shape, strict=True):
            wrong = (values < 0) | (values >= end)
            if wrong.any():
                raise DataError(
                    f"input '{name}' has {label} 0 to {end - 1}; event {int(wrong.argmax())} has {values[wrong][0]}"
                )


@dataclass(frozen=True, eq=False)
class Timeline:
    """What happens one after the other. A *turn* is a tick, or events that have to be worked off, with all their
    consequences, before the next turn: one event, or all of a microsecond where these are to be permuted.

    Attributes:
        time: of each turn, in microseconds, ``(turns,)``, not falling.
        tick: whether the slow clock ticks in it, before its events, ``(turns,)``.
        turns: by input, the turn of each event, ``(E,)``, not falling.
        neurons: by input, where each event is, ``(E, 3)``: row, column, channel; in the order of the turns.
    """

    time: Longs
    tick: NDArray[np.bool_]
    turns: Mapping[str, Longs]
    neurons: Mapping[str, Longs]


def timeline(
    trains: Mapping[str, EventTrain], shapes: Mapping[str, Shape], ticks: Sequence[int] | Longs, together: bool
) -> Timeline:
    """Events and ticks in order: by time, a tick first, then by input, row, column and channel.

    Args:
        trains: by input, its events; an input may send none.
        shapes: by input, in the order of the network.
        ticks: the times of ticks, in microseconds.
        together: whether all events of a microsecond share a turn.

    Raises:
        DataError: for events of no input, or outside it.
    """
    unknown = trains.keys() - shapes.keys()
    if unknown:
        raise DataError(f"no input is called '{min(unknown)}'; there are {', '.join(shapes)}")
    for name, train in trains.items():
        train.check(name, shapes[name])
    times, places, inputs = _in_order(trains, shapes)
    beats = np.unique(np.asarray(ticks, np.int64))
    if len(beats) and beats[0] < 0:
        raise DataError(f"the slow clock cannot tick before 0 µs, as at {beats[0]} µs")
    turn, at, tick = _turns(times, beats, together)
    own = {name: np.flatnonzero(inputs == k) for k, name in enumerate(shapes)}
    turns = {name: turn[mine] for name, mine in own.items()}
    return Timeline(at, tick, turns, {name: places.take(mine, axis=0) for name, mine in own.items()})


def _turns(times: Longs, beats: Longs, together: bool) -> tuple[Longs, Longs, NDArray[np.bool_]]:
    """The turn of each event, and of each turn the time and whether the slow clock ticks in it.

    Args:
        times: of events, ``(E,)``, not falling.
        beats: the times of ticks, rising.
        together: whether all events of a microsecond share a turn, with the tick if there is one.
    """
    first = np.ones(len(times), np.bool_)  # whether a turn of its own begins with an event
    alone = beats
    if together:
        first[1:] = times[1:] != times[:-1]
        at = np.searchsorted(times, beats)
        alone = beats[(at == len(times)) | (times.take(at, mode="clip") != beats)] if len(times) else beats
    turn = np.cumsum(first) - 1 + np.searchsorted(alone, times, side="right")
    moments = np.empty(int(first.sum()) + len(alone), np.int64)
    moments[np.searchsorted(times[first], alone) + np.arange(len(alone))] = alone
    moments[turn] = times
    tick = np.zeros(len(moments), np.bool_)
    tick[np.searchsorted(moments, beats)] = True
    return turn, moments, tick


def _in_order(trains: Mapping[str, EventTrain], shapes: Mapping[str, Shape]) -> tuple[Longs, Longs, Longs]:
    """Events of all inputs in the stated order: their times ``(E,)``, rows, columns and channels ``(E, 3)``, inputs."""
    columns = [np.zeros((5, 0), np.int64)]
    for k, name in enumerate(shapes):
        if name in trains:
            train = trains[name]
            columns.append(np.stack([train.time, np.full(len(train), k), train.y, train.x, train.channel]))
    together = np.concatenate(columns, axis=1)
    key = together[0]
    for values in together[1:]:  # one number instead of five to sort by; what nearly is in order already costs little
        key = key * (int(values.max(initial=0)) + 1) + values
    if (key[1:] < key[:-1]).any():  # trains often are in order
        together = together[:, np.argsort(key, kind="stable")]
    time, inputs, *place = together
    return time, np.stack(place, axis=1), inputs
