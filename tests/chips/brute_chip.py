"""Memory, limits and the best cores of random layers, written from the data sheet alone and by trying everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikewright.chips.network import ChipLayer

Tables = Sequence[dict[str, int]]


def words(layer: ChipLayer) -> dict[str, int]:
    """Kernel, neuron and bias words, with bits counted one by one."""
    outputs, inputs, side, _ = layer.weights.shape
    rows = columns = 0
    while rows * layer.stride[0] + side <= layer.input_shape[1] + 2 * layer.padding[0]:
        rows += 1
    while columns * layer.stride[1] + side <= layer.input_shape[2] + 2 * layer.padding[1]:
        columns += 1

    def bits(number: int) -> int:
        found = 0
        while 2**found < number:
            found += 1
        return found

    return {
        "kernel_words": inputs * 2 ** (bits(side * side) + bits(outputs)),
        "neuron_words": outputs * 2 ** (bits(rows) + bits(columns)),
        "bias_words": outputs if layer.bias is not None and np.any(layer.bias != 0) else 0,
    }


def synops(layer: ChipLayer) -> int:
    """Synaptic operations where every place sends once: every tap of every output that lies inside."""
    outputs, inputs, side, _ = layer.weights.shape
    each = []
    for length, stride, padding, count in zip(
        layer.input_shape[1:], layer.stride, layer.padding, layer.output_shape[1:], strict=True
    ):
        inside = 0
        for out in range(count):
            for tap in range(side):
                inside += 0 <= out * stride - padding + tap < length
        each.append(inside)
    return outputs * inputs * math.prod(each)


def limits_kept(layer: ChipLayer, limits: dict[str, Any]) -> bool:
    """Whether a layer keeps the data sheet's limits."""
    outputs, inputs, side, _ = layer.weights.shape
    _, rows, columns = layer.output_shape
    return (
        rows <= limits["conv_output_max_xy"][1]
        and columns <= limits["conv_output_max_xy"][0]
        and max(inputs, outputs) <= limits["features_max"]
        and side <= limits["kernel_max_xy"][0]
        and all(stride in limits["stride"] for stride in layer.stride)
        and all(limits["padding"][0] <= padding <= limits["padding"][1] for padding in layer.padding)
    )


def best(layers: Sequence[ChipLayer], cores: Tables, parallel: Sequence[int]) -> tuple[int, ...] | None:
    """The best of all assignments, by trying every one; shares are exact, as memories are powers of two."""
    needs = [words(layer) for layer in layers]
    work = [synops(layer) for layer in layers]
    found: list[tuple[Any, tuple[int, ...]]] = []

    def go(chosen: tuple[int, ...], share: float) -> None:
        layer = len(chosen)
        if layer == len(layers):
            fast = sum(amount for amount, core in zip(work, chosen, strict=True) if core in parallel)
            found.append(((-fast, -share, chosen), chosen))
            return
        for core in cores:
            if core["core"] not in chosen and all(need <= core[label] for label, need in needs[layer].items()):
                own = [1 - need / core[label] for label, need in needs[layer].items() if core[label]]
                go((*chosen, core["core"]), min([share, *own]))

    go((), 1.0)
    return min(found)[1] if found else None


def random_layers(random: np.random.Generator) -> list[ChipLayer]:
    """Layers of all sizes, most of them near what cores hold, some beyond every limit."""
    found = []
    for k in range(int(random.choice(np.arange(1, 7), p=[0.1, 0.2, 0.25, 0.25, 0.15, 0.05]))):
        side = int(random.choice([1, 2, 3, 3, 3, 5, 7, 17], p=[0.2, 0.1, 0.2, 0.2, 0.1, 0.1, 0.09, 0.01]))
        inputs, outputs = (int(n) for n in 2 ** random.uniform(0, 6.5, 2))
        stride = tuple(int(n) for n in random.choice([1, 1, 1, 2, 3, 4], 2, p=[0.3, 0.3, 0.16, 0.2, 0.02, 0.02]))
        padding = tuple(int(n) for n in random.integers(0, 3, 2))
        most = min(70, int(2 ** random.uniform(2, 6.3)))
        spatial = [max(side, int(n)) for n in random.integers(1, most + 1, 2)]
        weights = np.ones((outputs, inputs, side, side), np.int8)
        bias = np.ones(outputs, np.int16) if random.random() < 0.3 else None
        shape = (inputs, spatial[0], spatial[1])
        found.append(
            ChipLayer(
                name=f"layer{k}",
                sources=(),
                input_shape=shape,
                weights=weights,
                bias=bias,
                threshold=1,
                v_init=0,
                stride=(stride[0], stride[1]),
                padding=(padding[0], padding[1]),
            )
        )
    return found
