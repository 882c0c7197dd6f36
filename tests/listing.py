"""Synapses as plain tuples, for tests that compare them with loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, Input, Output
from spikewright.rates import Rates
from spikewright.synapse_graph import Projection, Synapses
from spikewright.synapse_graph.blocks import COLUMNS

Row = tuple[tuple[int, ...], tuple[int, ...], float]


def between(*nodes: Node, shape: tuple[int, ...]) -> Graph:
    """An input, some operators, and neurons behind the last."""
    last = nodes[-1].name
    neurons = IF(name="neurons", inputs=(last,), threshold=1.0, v_init=0.5)
    return Graph([Input(name="input", shape=shape), *nodes, neurons, Output(name="output", inputs=("neurons",))])


def random_rates(graph: Graph, seed: int = 0) -> Rates:
    """Of every neuron between 0 and 1, many of them silent."""
    random = np.random.default_rng(seed)
    senders = [node.name for node in graph if node.population or not node.inputs]
    values = {name: random.random(graph.shapes[name]) * (random.random(graph.shapes[name]) < 0.6) for name in senders}
    return Rates(values, graph.fingerprint)


def columns(synapses: Synapses, projections: Iterable[Projection] | None = None) -> dict[str, Array]:
    """All columns of some projections, one after the other."""
    found: dict[str, list[Array]] = {name: [] for name in COLUMNS}
    for one in projections if projections is not None else synapses.projections:
        for part in synapses.parts(one):
            for block in synapses.blocks(one, part):
                for name in block.columns:
                    found[name].append(block.column(name))
    return {name: np.concatenate(arrays) if arrays else np.zeros(0) for name, arrays in found.items()}


def rows(synapses: Synapses, dest: str = "neurons") -> list[Row]:
    """(source, dest, weight) of every synapse into a group, neurons as (row, column, channel), sorted."""
    c = columns(synapses, [one for one in synapses.projections if one.path.dest.name == dest])
    axes = ("row", "column", "channel")
    sides = [zip(*(c[f"{side}_{axis}"].tolist() for axis in axes), strict=True) for side in ("source", "dest")]
    return sorted(zip(*sides, c["weight"].tolist(), strict=True))


def flat(c: dict[str, Array], side: str, shape: tuple[int, ...]) -> Any:
    """Neurons as their number, channels first."""
    row, column, channel = (c[f"{side}_{axis}"].astype(np.int64) for axis in ("row", "column", "channel"))
    if len(shape) == 1:
        return channel
    if len(shape) == 2:
        return channel * shape[1] + row
    return (channel * int(np.prod(shape[1:-1])) + row) * shape[-1] + column


def put(array: Array) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float64)


def arriving(
    graph: Graph, groups: Mapping[str, object], dest: str, values: Mapping[str, torch.Tensor], biases: bool = False
) -> torch.Tensor:
    """What arrives at a group when the others send some values, with or without the biases on the way."""

    def of(name: str) -> torch.Tensor:
        node = graph[name]
        if name in groups and name != dest:
            return values[name]
        if "bias" in node.arrays and not biases:
            node = node.replace(bias=np.zeros_like(node.arrays["bias"]))
        return node.bind(put)(*(of(source) for source in node.inputs))

    node = graph[dest]
    return of(node.inputs[0]) if node.population or isinstance(node, Output) else of(dest)
