"""Recordings in memory, and networks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import spikewright as sw
from networks import Builder
from spikewright.data.recordings import Recordings

KIND = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]


def recording(
    seed: int, events: int = 400, milliseconds: int = 40, size: tuple[int, int] = (8, 8), start: int = 0
) -> sw.Recording:
    """Events at random, the first and the last as far apart as is said."""
    random = np.random.default_rng(seed)
    made = np.zeros(events, KIND)
    made["x"], made["y"] = random.integers(0, size[0], events), random.integers(0, size[1], events)
    made["t"] = start + np.sort(random.integers(0, milliseconds * 1000, events))
    made["t"][0], made["t"][-1] = start, start + milliseconds * 1000 - 1
    made["p"] = random.integers(0, 2, events)
    return sw.load_recording(made, sensor=size)


def data(lengths: Sequence[int] = (40, 40, 40), binning: str = "dt=10ms", y: Any = None) -> Recordings:
    """Recordings of some milliseconds each."""
    items = tuple(recording(k, milliseconds=length) for k, length in enumerate(lengths))
    return Recordings(items, sw.Binning.parse(binning), y)


def network(
    seed: int, neurons: str = "v_init=0.5", build: Callable[[Builder], None] | None = None, gain: int = 1
) -> sw.Conversion:
    """A random network converted with thresholds that make it fire."""
    made = Builder(seed, (2, 8, 8))
    if build is None:
        made.conv(4)
        made.relu()
        made.avg_pool()
        made.conv(5)
        made.relu()
        made.flatten()
        made.linear(6)
    else:
        build(made)
    graph = made.graph()
    x = np.random.default_rng(seed).poisson(1.0, (20, *graph.sample_shape)).astype(np.float32)
    return sw.convert(graph, x, "max", neurons=neurons, correct=[f"gain:{gain}"] if gain > 1 else None)
