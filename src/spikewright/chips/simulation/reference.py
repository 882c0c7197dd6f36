"""What a Speck-class chip computes, event by event: the definition, in words of its data sheet.

For one arriving event, for every neuron that it reaches, in order of row, column and channel::

    v ← clamp(v + w, v_min, 2^15 − 1)            (v_min is −2^15 unless the layer has one)
    if v ≥ θ:  send one spike;  v ← v − θ, or 0   (never more than one for one event: the rest waits)

An event *reaches* a neuron if a tap of the kernel lies between them, whatever its weight: a neuron whose potential is
still at the threshold fires again at any event, also by a weight of zero. At each tick of the slow clock every neuron
of a layer with biases gets its bias like the weight of one event; a tick comes before the events of its microsecond. A
decimator of N passes every N-th spike of its core. A sum pool divides the address of an event, and nothing else.

Nothing takes time: an event and all that follows from it are worked off before the next one. What a core gets of one
event comes by source, in the order of the layers, and from each source in the order in which that sent it.

A network of floats runs too, with potentials as long as floats are: what quantising loses can be told from what the
order of events does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination
from spikewright.chips.simulation.rules import STATE_HIGH, STATE_LOW, ChipRules, shuffled
from spikewright.chips.simulation.timeline import EventTrain, Longs, timeline

Neuron = tuple[int, int, int]
"""Row, column, channel."""
Event = tuple[int, int, int, int]
"""The turn in which it happens; row, column, channel."""


@dataclass(frozen=True, eq=False)
class ChipEvents:
    """What happened in a layer for one sample.

    Attributes:
        time: of every event that it sent on, in microseconds, ``(E,)``.
        neuron: the row, column and channel of each, ``(E, 3)``.
        fired: spikes of its neurons, which a decimator may have kept back.
        synops: synaptic operations: neurons that arriving events reached, one by one.
        potentials: at the end, in the shape of the layer.
    """

    time: Longs
    neuron: Longs
    fired: int
    synops: int
    potentials: NDArray[Any]


def run_reference(
    network: ChipNetwork,
    trains: Mapping[str, EventTrain],
    ticks: Sequence[int] | Longs = (),
    rules: ChipRules | None = None,
    sample: int = 0,
) -> dict[str, ChipEvents]:
    """What every layer does for one sample.

    Args:
        network: of integers, or of floats.
        trains: by input, its events.
        ticks: when the slow clock ticks, in microseconds.
        rules: where the data sheet leaves it open.
        sample: which one of its data set, for draws.

    Raises:
        DataError: for events outside their input.
    """
    rules = rules or ChipRules()
    shapes = {source.name: source.shape for source in network.inputs}
    order = timeline(trains, shapes, ticks, together=rules.permute is not None)
    beats = [turn for turn, tick in enumerate(order.tick) if tick]
    sent: dict[str, list[Event]] = {}
    for name in shapes:
        places = zip(order.turns[name].tolist(), order.neurons[name].tolist(), strict=True)
        sent[name] = [(turn, y, x, channel) for turn, (y, x, channel) in places]
    found = {}
    for number, layer in enumerate(network.layers):
        core = _Core(layer, rules)
        waiting = _arriving(layer, network.arriving(layer.name), sent)
        for turn in sorted({*waiting, *beats}):
            queue = waiting.get(turn, [])
            if rules.permute is not None:
                drawn = shuffled(len(queue), rules.permute, sample, number, int(order.time[turn]))
                queue = [queue[k] for k in drawn]
            core.turn(turn, queue, tick=bool(order.tick[turn]))
        sent[layer.name] = core.sent
        times = order.time[[event[0] for event in core.sent]] if core.sent else np.zeros(0, np.int64)
        neurons = np.array([event[1:] for event in core.sent], np.int64).reshape(-1, 3)
        found[layer.name] = ChipEvents(times, neurons, core.fired, core.synops, core.v)
    return found


def _arriving(
    layer: ChipLayer, sources: Iterable[tuple[ChipInput | ChipLayer, Destination]], sent: Mapping[str, Sequence[Event]]
) -> dict[int, list[Neuron]]:
    """By turn, the neurons of the layer's input that events arrive at, in the order of its sources."""
    _, rows, columns = layer.input_shape
    queue = []
    for place, (source, to) in enumerate(sources):
        for turn, y, x, channel in sent[source.name]:
            here = (y // to.pool, x // to.pool, channel + to.feature_shift)
            if here[0] < rows and here[1] < columns:  # what a pool leaves over is dropped
                queue.append((turn, place, here))
    queue.sort(key=lambda event: event[:2])
    return {turn: [here for *_, here in events] for turn, events in groupby(queue, key=lambda event: event[0])}


class _Core:
    """A core that computes one layer."""

    def __init__(self, layer: ChipLayer, rules: ChipRules) -> None:
        self.layer, self.rules = layer, rules
        whole = layer.is_integer
        self.low = layer.v_min if layer.v_min is not None else STATE_LOW if whole else -np.inf
        self.high = STATE_HIGH if whole else np.inf
        self.v = np.broadcast_to(layer.v_init, layer.output_shape).astype(np.int64 if whole else np.float64)
        self.passed: NDArray[np.int64] = np.zeros(layer.output_shape, np.int64)
        self.sent: list[Event] = []
        self.fired = self.synops = 0

    def turn(self, turn: int, queue: Sequence[Neuron], *, tick: bool) -> None:
        """A tick of the slow clock, if there is one, then the events that wait."""
        _, rows, columns = self.layer.output_shape
        if tick and self.layer.bias is not None:
            for y in range(rows):
                for x in range(columns):
                    self._add(turn, y, x, self.layer.bias, fire=self.rules.ticks == "fire")
        for y_in, x_in, channel in queue:
            for y, ky in self._reached(y_in, 0, rows):
                for x, kx in self._reached(x_in, 1, columns):
                    self._add(turn, y, x, self.layer.weights[:, channel, ky, kx])
                    self.synops += len(self.layer.weights)

    def _reached(self, position: int, axis: int, size: int) -> list[tuple[int, int]]:
        """Along one axis, the outputs that an input reaches, each with the tap of the kernel between them."""
        stride, padding, taps = self.layer.stride[axis], self.layer.padding[axis], self.layer.weights.shape[2 + axis]
        pairs = ((out, position + padding - out * stride) for out in range(size))
        return [(out, tap) for out, tap in pairs if 0 <= tap < taps]

    def _add(self, turn: int, y: int, x: int, weights: NDArray[Any], *, fire: bool = True) -> None:
        """One event's weights, at all channels of one position."""
        v = self.v[:, y, x]
        v[:] = np.clip(v + weights, self.low, self.high)
        if not fire:
            return
        threshold = self.layer.threshold
        fires = v >= threshold if self.rules.fires == "at" else v > threshold
        v[fires] = v[fires] - threshold if self.layer.reset == "subtract" else 0
        for channel in np.flatnonzero(fires):
            self.fired += 1
            if self._passes(y, x, int(channel)):
                self.sent.append((turn, y, x, int(channel)))

    def _passes(self, y: int, x: int, channel: int) -> bool:
        """Whether the decimator lets a spike through: every N-th of the core, or of the neuron."""
        self.passed[channel, y, x] += 1
        count = self.fired if self.rules.decimator == "core" else self.passed[channel, y, x]
        return bool(count % self.layer.decimator == 0)
