"""Whether a network fits a Xylo: numbers of neurons and of synapses, as far as limits are public."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from spikewright.chips.chip import Xylo
from spikewright.chips.layer_fit import Used
from spikewright.graph import Graph
from spikewright.wiring import Projection, projections

INTEGERS = "numbers of neurons and synapses are checked; Spikewright quantises nothing for it"


def broken_on_xylo(graph: Graph, chip: Xylo) -> tuple[str, ...]:
    """Every public limit that a spiking network breaks, a sentence each, with what would do.

    Args:
        graph: a spiking graph.
        chip: it shall fit.
    """
    return tuple(_broken(graph, chip))


def used_of_xylo(graph: Graph, chip: Xylo) -> tuple[Used, ...]:
    """How much of what a chip has a spiking network needs; nothing where it is read from potentials.

    Args:
        graph: a spiking graph.
        chip: it shall fit.
    """
    found = projections(graph, "folded")
    return () if _by_potential(found) else tuple(one for one, _ in _counted(graph, found, chip))


def _by_potential(found: Sequence[Projection]) -> bool:
    return any(p.connections.kernel is not None for p in found if p.path.dest.kind == "output")


def _counted(graph: Graph, found: Sequence[Projection], chip: Xylo) -> Iterator[tuple[Used, str]]:
    """What there is too much of at some number, and what to do about it."""
    ends = [p for p in found if p.path.dest.kind == "output"]
    inner = [p for p in found if p.path.dest.kind != "output"]
    last = {p.path.source.name for p in ends}
    sizes = {node.name: prod(graph.shapes[node.name]) for node in graph.populations}
    outputs = sum(size for name, size in sizes.items() if name in last)
    first = {p.path.dest.name: p.path.dest.neurons for p in inner if p.path.source.kind == "input"}
    before = {p.path.source.name: p.path.source.neurons for p in inner if p.path.dest.name in last}
    inputs = sum(prod(shape) for shape in graph.inputs.values())
    yield Used("inputs", inputs, chip.inputs_max), "feed fewer values"
    yield Used("hidden neurons", sum(sizes.values()) - outputs, chip.hidden_max), "make layers narrower"
    yield Used("output neurons", outputs, chip.outputs_max), "answer with fewer values"
    yield Used("neurons that read inputs", sum(first.values()), chip.first_max), "make the first layer narrower"
    yield Used("neurons that outputs read", sum(before.values()), chip.last_max), "make the last hidden layer narrower"


def _broken(graph: Graph, chip: Xylo) -> Iterator[str]:
    found = projections(graph, "folded")
    if _by_potential(found):
        yield "answers are read from potentials, and outputs are neurons there: convert with --readout count"
        return
    inner = [p for p in found if p.path.dest.kind != "output"]
    sizes = {node.name: prod(graph.shapes[node.name]) for node in graph.populations}
    for one, advice in _counted(graph, found, chip):
        if one.number > one.most:
            yield f"{one.number:,} {one.what} are more than {one.most:,}: {advice}"
    if len(sizes) < chip.layers_min:
        yield f"a layer of neurons alone is too few: {chip.layers_min} are the least"
    for name in sizes:
        for what, limit, counts in (
            ("leave", chip.fan_out_max, [p.fan_out() for p in inner if p.path.source.name == name]),
            ("end at", chip.fan_in_max, [p.fan_in() for p in inner if p.path.dest.name == name]),
        ):
            number = int(np.sum(counts, axis=0).max()) if counts else 0
            if limit is not None and number > limit:
                yield f"{name}: {number:,} synapses {what} a neuron, more than {limit:,}: narrow its neighbours"
    synapses = sum(p.synapses for p in inner)
    if chip.weights_max is not None and synapses > chip.weights_max:
        yield f"{synapses:,} synapses are more than {chip.weights_max:,}: every one has a weight of its own"
