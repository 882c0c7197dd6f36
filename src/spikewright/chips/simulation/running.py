"""A chip that samples are sent to, batch by batch: pictures as trains, or a recording as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import Readout
from spikewright.chips.quantise import Quantised, pictures_of
from spikewright.chips.recording import SensorEvents
from spikewright.chips.simulation.native import ChipRun, ChipSimulation, RecordedSpikes
from spikewright.chips.simulation.rules import ChipRules
from spikewright.chips.simulation.timeline import EventTrain, Longs, timeline
from spikewright.chips.simulation.trains import PictureTrains, StepClock
from spikewright.chips.storage import fingerprint
from spikewright.errors import SettingsError
from spikewright.events import Events, EventWriter, events_folder
from spikewright.provenance import Provenance
from spikewright.settings import LARGEST

Trains = Mapping[str, EventTrain]
"""The events of one sample, by input."""
Sender = Callable[[int], Sequence[Trains]]
"""What makes the events of a batch, from the place of its first sample in the data set."""


@dataclass(frozen=True, eq=False)
class SentEvents:
    """What layers sent in a batch.

    Attributes:
        events: by layer; a timestep is a microsecond.
    """

    events: Mapping[str, Events]


class ChipRunner:
    """A chip that samples are sent to.

    Args:
        quantised: what it runs.
        clock: how long, in which steps; of pictures how they are sent.
        rules: where the data sheet leaves it open.
        window: microseconds of the windows in which synaptic operations are counted.
        every_event: whether the events of all layers are wanted, not of those alone that are read.
        every_neuron: whether ``run`` counts what each neuron sends.
    """

    def __init__(
        self,
        quantised: Quantised,
        clock: StepClock,
        rules: ChipRules,
        window: int,
        *,
        every_event: bool,
        every_neuron: bool,
    ) -> None:
        self.quantised, self.network, self.clock, self.rules, self.window = (
            quantised,
            quantised.network,
            clock,
            rules,
            window,
        )
        self.chip = ChipSimulation(self.network, rules, threads=1)
        self.shapes = {source.name: source.shape for source in self.network.inputs}
        names = [layer.name for layer in self.network.layers]
        read = {one.layer for one in self.network.readout}
        self.every_neuron = every_neuron
        self.record = [name for name in names if every_event or every_neuron or name in read]

    def pictures(self, x: Any, first: int) -> list[Trains]:
        """Pictures as trains.

        Args:
            x: ``(B, *shape)``.
            first: the place of the first in its data set.

        Raises:
            SettingsError: where nobody says how pictures are sent.
        """
        if not isinstance(self.clock, PictureTrains):
            raise SettingsError("pictures are sent as PictureTrains: say how")
        pictures = pictures_of(self.network, x)
        return [
            {own.name: self.clock.of(pictures[own.name][k], own, first + k) for own in self.network.inputs}
            for k in range(len(x))
        ]

    def recorded(self, recording: SensorEvents, first: int) -> list[Trains]:  # noqa: ARG002 - as of pictures
        """The events of a recording as they are, for as long as the run lasts.

        Raises:
            DataError: for a network of several inputs, or events outside its input.
        """
        places = recording.places(*recording.fitting(self.quantised.inputs))
        (source,) = self.network.inputs
        if source.places is not None:
            places = np.argsort(source.places)[places]
        channel, y, x = np.unravel_index(places, source.shape)
        inside = recording.t < self.clock.timesteps * self.clock.step
        return [{source.name: EventTrain(recording.t[inside], y[inside], x[inside], channel[inside])}]

    def run(self, sender: Sender, first: int) -> tuple[ChipRun, dict[str, Longs]]:
        """A batch, whose first sample has a place in its data set, and the events of each neuron where wanted."""
        beats, together, sent = self.clock.beats(), self.rules.permute is not None, sender(int(first))
        run = self.chip.run(
            [timeline(trains, self.shapes, beats, together) for trains in sent],
            first=int(first),
            record=self.record,
            potentials=[layer.name for layer in self.network.layers],
            window=self.window,
            windows=-(-self.clock.timesteps * self.clock.step // self.window),
        )
        return run, self._counted(run, sent) if self.every_neuron else {}

    def answered(self, run: ChipRun, read: Readout) -> NDArray[np.float64]:
        """What an output answers after each step, ``(samples, T, values)``: spikes a step, as what they stand for."""
        spikes, steps, samples = run.spikes[read.layer], self.clock.timesteps, len(run.sent)
        wanted, value = np.unique(read.neurons, return_inverse=True)
        neuron = self._places(read.layer, spikes)
        row = np.minimum(np.searchsorted(wanted, neuron), len(wanted) - 1)
        seen = wanted[row] == neuron
        step = np.minimum(spikes.time // self.clock.step, steps - 1)
        index = ((spikes.sample * steps + step) * len(wanted) + row)[seen]
        each = np.bincount(index, minlength=samples * steps * len(wanted)).reshape(samples, steps, len(wanted))
        counts = each.cumsum(axis=1)[:, :, value] / np.arange(1, steps + 1)[:, None]
        return counts * np.array(read.spike_values) if read.spike_values else counts

    def folder(
        self, path: Path | str, force: bool, first: int, made: Callable[[], Provenance]
    ) -> AbstractContextManager[EventWriter]:
        """A folder for the events of all layers: see ``events_folder``.

        Raises:
            SettingsError: for a run that is too long for it.
            StorageError: for a place that cannot be written.
        """
        length = self.clock.timesteps * self.clock.step
        if length > LARGEST:
            raise SettingsError(f"events are written of at most {LARGEST:,} µs, not {length:,}")
        shapes = {layer.name: layer.output_shape for layer in self.network.layers}
        key = fingerprint(self.quantised)
        return events_folder(path, key, shapes, length, force, first, made=made)

    def events(self, run: ChipRun, first: int) -> SentEvents:
        """What all layers sent in a batch, whose first sample has a place in its data set."""
        found = {}
        for name, spikes in run.spikes.items():
            neuron = self._places(name, spikes)
            order = np.lexsort((neuron, spikes.time, spikes.sample))
            key = np.stack([spikes.sample, spikes.time, neuron])[:, order]
            new = np.ones(key.shape[1], np.bool_)
            new[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
            begins = np.flatnonzero(new)
            value = np.diff(begins, append=key.shape[1]).astype(np.float32)
            sample, time, place = key[:, begins]
            shape = self.network[name].output_shape
            found[name] = Events(shape, sample + first, time.astype(np.int32), place.astype(np.int32), value)
        return SentEvents(found)

    def _counted(self, run: ChipRun, sent: Sequence[Trains]) -> dict[str, Longs]:
        """The events of each neuron of each input and layer, ``(channels, rows, columns)``."""
        found = {name: np.zeros(shape, np.int64) for name, shape in self.shapes.items()}
        for trains in sent:
            for name, train in trains.items():
                np.add.at(found[name], (train.channel, train.y, train.x), 1)
        for name, spikes in run.spikes.items():
            shape = self.network[name].output_shape
            found[name] = np.bincount(self._places(name, spikes), minlength=prod(shape)).reshape(shape)
        return found

    def _places(self, name: str, spikes: RecordedSpikes) -> Longs:
        """The neurons of recorded spikes in C order of the layer's shape; the simulation counts channels last."""
        channels, rows, columns = self.network[name].output_shape
        place, channel = np.divmod(spikes.neuron, channels)
        return np.asarray(channel * rows * columns + place, np.int64)
