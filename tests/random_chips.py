"""Random networks of chips, with what they are sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikewright.chips.network import ChipInput, ChipLayer, ChipNetwork, Destination, pooled
from spikewright.chips.simulation.timeline import EventTrain


@dataclass(frozen=True)
class Wire:
    """One destination in the making."""

    source: str
    layer: str
    pool: int
    shift: int


def random_chip(random: np.random.Generator, most: int = 5, channels: int = 4, size: int = 7) -> ChipNetwork:
    """A network of integers: layers that read one or two of what stands before them, a little of everything."""
    inputs = {
        f"in{k}": (int(random.integers(1, channels)), int(random.integers(1, size)), int(random.integers(1, size)))
        for k in range(random.integers(1, 3))
    }
    shapes, wires, layers = dict(inputs), [], []
    for number in range(random.integers(1, most)):
        name = f"layer{number}"
        pool = int(random.choice([1, 1, 2, 4]))
        senders = [sender for sender, shape in shapes.items() if min(shape[1:]) >= pool]
        if not senders:
            pool, senders = 1, list(shapes)
        first = str(random.choice(senders))
        arriving = pooled(shapes[first], pool)
        own = [Wire(first, name, pool, int(random.integers(0, 2)))]
        others = [s for s in senders if pooled(shapes[s], pool)[1:] == arriving[1:]]
        if random.random() < 0.5:
            own.append(Wire(str(random.choice(others)), name, pool, int(random.integers(0, 2))))
        width = max(shapes[wire.source][0] + wire.shift for wire in own)
        layer = random_layer(random, name, (width, *arriving[1:]), int(random.integers(1, channels)))
        layers.append(layer.replace(sources=tuple(dict.fromkeys(wire.source for wire in own))))
        wires += own
        shapes[name] = layer.output_shape

    def destinations(name: str) -> tuple[Destination, ...]:
        return tuple(Destination(wire.layer, wire.pool, wire.shift) for wire in wires if wire.source == name)

    return ChipNetwork(
        tuple(ChipInput(name, shape, destinations(name)) for name, shape in inputs.items()),
        tuple(layer.replace(destinations=destinations(layer.name)) for layer in layers),
    )


def random_layer(random: np.random.Generator, name: str, shape: tuple[int, int, int], width: int) -> ChipLayer:
    padding = tuple(int(p) for p in random.integers(0, 2, 2))
    kernel = int(random.integers(1, min(4, min(n + 2 * p for n, p in zip(shape[1:], padding, strict=True)) + 1)))
    threshold = int(random.choice([1, 20, 60, 200, 32767]))
    layer = ChipLayer(
        name=name,
        sources=(),
        input_shape=shape,
        weights=random.integers(-128, 128, (width, shape[0], kernel, kernel)),
        bias=random.integers(-60, 60, width) if random.random() < 0.5 else None,
        threshold=threshold,
        v_min=random.choice([None, 0, -1, -100, -32768]),
        v_init=int(random.integers(-50, 50)),
        reset=str(random.choice(["subtract", "zero"])),  # type: ignore[arg-type]
        stride=tuple(int(s) for s in random.choice([1, 1, 2, 4], 2)),  # type: ignore[arg-type]
        padding=padding,  # type: ignore[arg-type]
        decimator=int(random.choice([1, 1, 2, 4])),
    )
    if random.random() < 0.3:
        layer = layer.replace(v_init=random.integers(-3 * 10**4, 3 * 10**4, layer.output_shape))
    return layer


def random_trains(random: np.random.Generator, network: ChipNetwork, most: int, ends: int) -> dict[str, EventTrain]:
    """Events of every input, up to so many, before a time."""
    trains = {}
    for source in network.inputs:
        count = int(random.integers(0, most))
        columns = [random.integers(0, end, count) for end in (ends, *source.shape)]
        trains[source.name] = EventTrain(columns[0], columns[2], columns[3], columns[1])
    return trains
