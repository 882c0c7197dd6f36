"""Runs whose events go to a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import spikewright as sw
from spikewright.events import Events
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Linear, Output

COLUMNS = ("sample", "timestep", "neuron", "value")
PATHS = [str(Path(__file__).parent), str(Path(sw.__file__).parents[1])]


def network(names: tuple[str, ...] = ("n/1", "n 1"), neurons: int = 6) -> Graph:
    """Populations whose neurons fire at rates of their own."""
    weight = np.linspace(0.1, 1.0, neurons, dtype=np.float32)[:, None]
    nodes: list[object] = [Input(name="x", shape=(1,))]
    for k, name in enumerate(names):
        last = "x" if k == 0 else names[k - 1]
        size = 1 if k == 0 else neurons
        zeros = np.zeros(neurons, np.float32)
        nodes.append(Linear(name=f"w{k}", inputs=(last,), weight=np.repeat(weight, size, axis=1) / size, bias=zeros))
        nodes.append(IF(name=name, inputs=(f"w{k}",), threshold=1.0, v_init=0.5))
    return Graph([*nodes, Output(name="y", inputs=(names[-1],))])  # type: ignore[list-item]


SAMPLES = np.linspace(0, 1, 7, dtype=np.float32)[:, None]


def write(folder: Path, samples: np.ndarray = SAMPLES, **options: object) -> sw.Run:
    return sw.simulate(network(), samples, 12, batch_size=3, events_to=folder, **options)  # type: ignore[arg-type]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def same(one: Events, other: Events) -> bool:
    return one.shape == other.shape and all(np.array_equal(getattr(one, c), getattr(other, c)) for c in COLUMNS)
