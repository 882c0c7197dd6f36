"""The steps in which the values that weighted nodes read were not zero, from what the native core counted."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.engines.event.memory import few_at_a_time
from spikewright.engines.event.plans import PreparedPlan
from spikewright.engines.event.view import all_neurons, nothing
from spikewright.engines.recording import Recording
from spikewright.engines.reference import BatchRun
from spikewright.forward import split_inputs
from spikewright.graph import Graph, Node

if TYPE_CHECKING:
    from torch import Tensor


def note_activity(
    run: BatchRun, prepared: PreparedPlan, graph: Graph, x: Tensor, wanted: Recording, arrays: Mapping[Any, Any]
) -> None:
    """Put ``nonzero`` and ``graded`` into what a batch did.

    Args:
        run: what is added to.
        prepared: the plan that ran.
        graph: its graph.
        x: the batch.
        wanted: what is recorded; where sums are enough, no array of single samples is made.
        arrays: by layer and kind what the core counted, ``(B, values)`` or ``(1, values)``.
    """
    import torch

    notes = _Notes(prepared, graph, x)
    nodes = [node for node in graph if wanted.has("nonzero", node.name)]
    read = {node.name: torch.from_numpy(notes.neurons(node)) for node in nodes}
    rows, dtype = (1, torch.float64) if wanted.summed else (len(x), torch.float32)
    run.nonzero = {name: torch.zeros((rows, *neurons.shape), dtype=dtype) for name, neurons in read.items()}
    parts = list(few_at_a_time(len(x), sum(map(prod, graph.shapes.values()))))
    for part in [slice(None)] if wanted.summed else parts:
        active, graded = (notes.by_neuron(arrays, kind, part) for kind in ("active", "graded"))
        for name, neurons in read.items():
            run.nonzero[name][part] += active[:, neurons]
            if bool(graded[:, neurons].any()):
                run.graded.add(name)
    for part in parts:
        still = notes.still(nodes, part)
        for name, neurons in read.items():
            source = _source(graph[name])
            if source not in still:
                continue
            values = torch.where(neurons < 0, still[source], 0.0)
            there = (values != 0).expand(len(range(*part.indices(len(x)))), *neurons.shape)
            if wanted.summed:
                run.nonzero[name] += wanted.timesteps * there.sum(dim=0, keepdim=True)
            else:
                run.nonzero[name][part] += wanted.timesteps * there
            if bool(((values != 0) & (values.abs() != 1)).any()):
                run.graded.add(name)


class _Notes:
    """Where the core counted what weighted nodes of one graph read, and what stands beside it at every step."""

    def __init__(self, prepared: PreparedPlan, graph: Graph, x: Tensor) -> None:
        self.prepared, self.graph, self.x = prepared, graph, x
        self.layers, self.sources = prepared.compiled.layers, prepared.compiled.sources
        names = {layer: name for name, layer in self.layers.items()}
        self.senders = {source.layer: names[source.layer] for source in self.sources if source.copies is None}

    def neurons(self, node: Node) -> Any:
        """Which neurons a weighted node reads, or an input is: their numbers, −1 for none."""
        if node.weighted:
            return np.ascontiguousarray(self.prepared.compiled.views[node.name].neurons[..., 0])
        shape = self.graph.shapes[node.name]
        if node.name not in self.layers:
            return nothing(shape).neurons[..., 0]
        source = next(s for s in self.sources if s.layer == self.layers[node.name])
        return np.ascontiguousarray(all_neurons(shape, source.first).neurons[..., 0])

    def by_neuron(self, arrays: Mapping[Any, Any], kind: str, part: slice) -> Tensor:
        """``(samples, neurons + 1)``: an array of every sender, side by side; the last is none's."""
        import torch

        sent = {layer: arrays[name, kind][part] for layer, name in self.senders.items()}
        rows = next((len(one) for one in sent.values()), len(self.x[part]))
        none, parts = np.zeros((rows, 1), np.float32), list[Any]()
        for source in self.sources:
            joins = source.copies is not None
            parts.append(np.concatenate([*parts, none], axis=1)[:, source.copies] if joins else sent[source.layer])
        return torch.from_numpy(np.concatenate([*parts, none], axis=1))

    def still(self, nodes: list[Node], part: slice) -> dict[str, Tensor]:
        """By node that some of these read, and that is no layer: what it gives at every step."""
        names = {source for node in nodes if (source := _source(node)) not in self.layers}
        resting = self.prepared.resting
        values: Mapping[str, Tensor] = resting.fixed
        if not names.issubset(values):
            given = split_inputs(self.graph, self.x[part])
            values = {**values, **given} if names.issubset({*values, *given}) else resting.of(given)
        return {name: values[name] for name in names}


def _source(node: Node) -> str:
    return node.inputs[0] if node.inputs else node.name
