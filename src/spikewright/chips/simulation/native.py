"""The chip's semantics in native code, many samples side by side: to the last event what the reference computes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import ChipLayer, ChipNetwork
from spikewright.chips.simulation.rules import STATE_HIGH, STATE_LOW, ChipRules
from spikewright.chips.simulation.timeline import Longs, Timeline
from spikewright.engines.event.simulation import cores
from spikewright.errors import GraphError, SettingsError
from spikewright.text import brief

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class RecordedSpikes:
    """What a layer sent, samples end to end.

    Attributes:
        sample: of every event, ``(E,)``, counted from 0 in the batch; not falling.
        time: in microseconds.
        neuron: which of the layer's, counted channels last: ``(row · width + column) · channels + channel``.
    """

    sample: Longs
    time: Longs
    neuron: Longs


@dataclass(frozen=True, eq=False)
class ChipRun:
    """What came of a batch; tables are ``(N, layers)``, layers in the order of the network.

    Attributes:
        layers: their names.
        sent: events that left the core, behind its decimator.
        fired: spikes of its neurons.
        synops: synaptic operations: neurons that arriving events reached, one by one.
        windowed: the same by window of time, ``(N, layers, windows)``; None where no windows were asked for.
        spikes: of the layers that were to be recorded.
        potentials: of those that were asked for, at the end, ``(N, channels, rows, columns)``.
    """

    layers: tuple[str, ...]
    sent: Longs
    fired: Longs
    synops: Longs
    windowed: Longs | None = None
    spikes: Mapping[str, RecordedSpikes] = field(default_factory=dict)
    potentials: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)

    __repr__ = brief


class ChipSimulation:
    """A network of integers, ready to run.

    Args:
        network: of integers, as ``quantise`` makes it.
        rules: where the data sheet leaves it open.
        threads: how many samples run side by side; all cores by default.
        isa: an instruction set of the native core; the best one by default.

    Raises:
        GraphError: for numbers that 16 bits do not hold, weights of more than 16 bits among them.
        SettingsError: for an instruction set that does not run here, or where the native core was not built.
    """

    def __init__(
        self, network: ChipNetwork, rules: ChipRules | None = None, threads: int | None = None, isa: str = ""
    ) -> None:
        self.network, self.rules = network, rules or ChipRules()
        self.threads = threads or cores()
        try:
            self._native = import_module("spikewright.engines.event._native")
        except ImportError as error:
            raise SettingsError(
                "the native core was not built: install a C++17 compiler, then install Spikewright again"
            ) from error
        try:
            self._chip = self._native.Chip(isa)
            numbers = {source.name: self._chip.input(*source.shape) for source in network.inputs}
            for layer in network.layers:
                numbers[layer.name] = self._add(layer, numbers)
        except self._native.PlanError as error:
            raise SettingsError(f"the chip cannot be simulated: {error}") from error

    def _add(self, layer: ChipLayer, numbers: Mapping[str, int]) -> int:
        sources = [
            (numbers[source.name], to.pool, to.feature_shift) for source, to in self.network.arriving(layer.name)
        ]
        v_init = np.broadcast_to(layer.v_init, layer.output_shape).transpose(1, 2, 0)
        number: int = self._chip.layer(
            sources=sources,
            shape=layer.input_shape,
            weights=_short(layer, "weights", layer.weights),
            bias=None if layer.bias is None else _short(layer, "bias", layer.bias),
            v_init=_short(layer, "v_init", v_init),
            threshold=_short(layer, "threshold", layer.threshold).item(),
            v_min=STATE_LOW if layer.v_min is None else _short(layer, "v_min", layer.v_min).item(),
            subtract=layer.reset == "subtract",
            stride=layer.stride,
            padding=layer.padding,
            decimator=layer.decimator,
        )
        return number

    def run(
        self,
        timelines: Sequence[Timeline],
        *,
        first: int = 0,
        record: Collection[str] = (),
        potentials: Collection[str] = (),
        window: int | None = None,
        windows: int = 0,
    ) -> ChipRun:
        """Run a batch.

        Args:
            timelines: of every sample what it is sent, made with ``together`` where the rules permute.
            first: the place of the first sample in its data set, for draws.
            record: layers whose events are wanted.
            potentials: layers whose potentials are wanted.
            window: the length of windows in microseconds, in which synaptic operations are to be counted.
            windows: how many of them; what comes later counts in the last.

        Raises:
            GraphError: for a layer that does not exist.
        """
        layers, count = self.network.layers, len(timelines)
        names = [layer.name for layer in layers]
        for name in (*record, *potentials):
            self.network[name]  # says which there are
        totals = np.zeros((3, count, len(layers)), np.int64)
        if not count:
            return ChipRun(tuple(names), totals[0], totals[1], totals[2])
        counted = None if window is None else np.zeros((count, len(layers), windows), np.int64)
        states = {name: np.empty((count, *_last(self.network[name].output_shape)), np.int16) for name in potentials}
        time = np.concatenate([line.time for line in timelines])
        turn_start = _starts([len(line.time) for line in timelines])
        found = self._chip.run(
            samples=count,
            first=first,
            threads=self.threads,
            **self._events(timelines),
            turn_start=turn_start,
            time=time,
            tick=np.concatenate([line.tick for line in timelines]).astype(np.uint8),
            fires_above=self.rules.fires == "above",
            counts_neurons=self.rules.decimator == "neuron",
            ticks_add=self.rules.ticks == "add",
            permute=self.rules.permute,
            totals=totals,
            window=window or 1,
            windowed=counted,
            record=[names.index(name) for name in record],
            potentials=[(names.index(name), array) for name, array in states.items()],
        )
        spikes = {}
        for name, (counts, turns, neurons) in zip(record, found, strict=True):
            sample = np.repeat(np.arange(count), counts)
            spikes[name] = RecordedSpikes(sample, time[turn_start[sample] + turns], neurons.astype(np.int64))
        ends = {name: array.transpose(0, 3, 1, 2) for name, array in states.items()}
        return ChipRun(tuple(names), totals[0], totals[1], totals[2], counted, spikes, ends)

    def _events(self, timelines: Sequence[Timeline]) -> dict[str, Any]:
        """The events of all samples end to end: of each sample input by input."""
        turns, places = [], []
        for line in timelines:
            for source in self.network.inputs:
                channels, _, width = source.shape
                y, x, channel = line.neurons[source.name].T
                turns.append(line.turns[source.name])
                places.append((y * width + x) * channels + channel)
        together = {"turn": turns, "place": places}
        arrays = {label: np.concatenate(values).astype(np.int32) for label, values in together.items()}
        return {"start": _starts([len(values) for values in turns]), **arrays}


def _starts(counts: Sequence[int]) -> Longs:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _last(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """A shape with its channels last."""
    channels, rows, columns = shape
    return rows, columns, channels


def _short(layer: ChipLayer, label: str, values: Any) -> NDArray[np.int16]:
    """Numbers of a layer as 16-bit integers.

    Raises:
        GraphError: for others.
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise GraphError(f"{layer}: its {label} are no integers; quantise the network first")
    low, high = array.min(initial=0), array.max(initial=0)
    if low < STATE_LOW or high > STATE_HIGH:
        raise GraphError(f"{layer}: its {label} reach {low if low < STATE_LOW else high}, more than 16 bits hold")
    return np.ascontiguousarray(array, np.int16)
