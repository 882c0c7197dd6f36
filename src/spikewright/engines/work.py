"""What engines have to do for a run, counted from the graph and its plan: the amounts that a cost model weighs.

Nothing here looks at data. How many spikes there will be is not known, so that ``FIRING`` of the neurons are taken to
fire in a step; everything else follows from shapes, neurons, the number of timesteps and what is recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.event.plans import CHUNK, PreparedPlan
from spikewright.engines.recording import Recording, is_noted
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, AvgPool, Conv, ConvTranspose, Input, Linear, Output, SpikeMaxPool

FIRING = 0.1
"""The part of the neurons that fires in a step: trained networks have 0.02 to 0.1, random weights up to 0.2."""

Work = dict[str, float]
"""Amounts by kind, for one batch."""


@dataclass(frozen=True)
class Planned:
    """What a graph and a plan say about every node, whatever runs.

    Attributes:
        macs: by linear node, multiply-accumulates of one step of one sample, padding included.
        reads: by linear node, "rest" where what it reads is the same at every step, else "spikes" or "graded".
        gathered: the linear nodes whose sums the core makes output by output.
    """

    macs: Mapping[str, int]
    reads: Mapping[str, str]
    gathered: frozenset[str]


def macs_of(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one step of one sample, with those of zeros around an image; 0 of what only moves."""
    (shape, *_), output = graph.input_shapes(node) or ((),), prod(graph.shapes[node.name])
    if isinstance(node, Conv | Linear):
        return output * int(node.weight[0].size)
    if isinstance(node, ConvTranspose):
        return prod(shape) * int(node.weight[0].size)
    if isinstance(node, AvgPool):
        return output * prod(node.kernel)
    return graph.macs(node)


def reference_work(graph: Graph, encoder: Encoder, recording: Recording, batch: int) -> Work:
    """What the reference engine does: everything at every step, zeros or not.

    Args:
        graph: a spiking graph.
        encoder: of the run.
        recording: what is recorded, at how many of how many timesteps.
        batch: samples side by side.
    """
    each: defaultdict[str, float] = defaultdict(float)  # of one sample and step
    calls: defaultdict[str, float] = defaultdict(float)  # of one step
    for node in graph:
        size, shapes = prod(graph.shapes[node.name]), graph.input_shapes(node)
        given = sum(map(prod, shapes))
        if isinstance(node, IF):
            calls["population calls"] += 1
            each["neurons"] += size
            each["neurons that take back"] += size * node.signed
            each["recorded"] += _kept(node, recording) * size
            each["recorded as events"] += recording.has("events", node.name) * size
        elif isinstance(node, SpikeMaxPool):
            calls["population calls"] += 1
            kind = "pooled" if node.policy == "count_max" else "pooled by estimates"
            each[kind] += size * prod(node.kernel) + given
            each["recorded"] += _kept(node, recording) * size
            each["recorded as events"] += recording.has("events", node.name) * size
        elif not node.inputs:
            each["drawn"] += size * (type(encoder) is not Constant)
        else:
            calls["calls"] += 1
            each["values"] += size + given
            each[_product(node)] += macs_of(graph, node)
        if recording.has("nonzero", node.name) and is_noted(node):
            each["noted"] += given or size
    found = {kind: amount * batch * recording.timesteps for kind, amount in each.items()}
    found.update({kind: amount * recording.timesteps for kind, amount in calls.items()})
    found["batches"] = 1
    weighted = (node for node in graph if isinstance(node, Conv | ConvTranspose | Linear))
    found["weights"] = sum(node.weight.size for node in weighted)  # made tensors anew for each run
    return found


def _product(node: Node) -> str:
    """The kind of the products of a linear node in torch."""
    if isinstance(node, Conv | ConvTranspose):
        return "products in groups" if node.groups > 1 else "products"
    return "products" if isinstance(node, Linear) else "values"


def _kept(node: Node, recording: Recording) -> float:
    """How often the values of a population are kept, a timestep of the run."""
    kinds = sum(recording.has(kind, node.name) for kind in ("spikes", "potentials"))
    return kinds * len(recording.steps) / recording.timesteps


def planned(graph: Graph, prepared: PreparedPlan) -> Planned:
    """What the plan of the event engine says about the linear nodes of a graph.

    Args:
        graph: a spiking graph.
        prepared: its plan.
    """
    layers, gathering = prepared.compiled.layers, prepared.compiled.plan.gathering()
    macs: dict[str, int] = {}
    reads: dict[str, str] = {}
    sends: dict[str, str] = {}
    into: dict[str, str] = {}  # by node, the layer that receives what it gives
    for node in reversed(graph.nodes):
        readers = graph.consumers[node.name]
        into[node.name] = node.name if node.name in layers or not readers else into[readers[0]]
    gathered = set()
    for node in graph:
        given = {sends[name] for name in node.inputs}
        read = next((kind for kind in ("graded", "spikes") if kind in given), "rest")
        if node.population:
            sends[node.name] = "spikes"
        elif not node.inputs:
            sends[node.name] = (
                "rest" if prepared.settings.constant else "spikes" if prepared.settings.planes else "graded"
            )
        else:
            sends[node.name] = "graded" if node.name in layers and read != "rest" else read
        if node.inputs and not node.population and not isinstance(node, Output):
            macs[node.name], reads[node.name] = macs_of(graph, node), read
            if gathering[layers[into[node.name]]]:
                gathered.add(node.name)
    return Planned(macs, reads, frozenset(gathered))


def event_work(graph: Graph, prepared: PreparedPlan, recording: Recording, batch: int) -> Work:
    """What the event engine does: mostly additions for spikes, which are guessed.

    Args:
        graph: a spiking graph.
        prepared: its plan for the run.
        recording: what is recorded, at how many of how many timesteps.
        batch: samples side by side.
    """
    steps, plan = recording.timesteps, planned(graph, prepared)
    chunks = -(-steps // CHUNK)
    single = all(node.max_spikes == 1 for node in graph.of_type(IF))
    each: defaultdict[str, float] = defaultdict(float)  # of one sample
    for name, macs in plan.macs.items():
        node, kind, filters = graph[name], plan.reads[name], graph.shapes[name][0]
        groups = getattr(node, "groups", 1) if isinstance(node, Conv | ConvTranspose) else 1
        if not macs or (isinstance(node, AvgPool) and name not in prepared.compiled.layers):
            continue
        if kind == "rest":
            each["products at rest"] += macs
        elif name not in plan.gathered:
            scattered = macs * steps * (FIRING if kind == "spikes" else 1)
            each[f"scattered {kind}"] += scattered
            each["scattered rows"] += scattered / max(1, filters // groups)
        elif kind == "graded":
            each["graded products in groups" if groups > 1 else "graded products"] += macs * steps
        else:
            spikes = macs / max(1, filters // groups) * steps * FIRING
            width = -(-(filters // groups) // 8) * 8
            each["additions in groups" if groups > 1 else "additions"] += (
                spikes * width if groups == 1 else macs * steps
            )
            each["entries"] += spikes if groups == 1 else 0
    for name in prepared.compiled.layers:
        node, size = graph[name], prod(graph.shapes[name])
        if isinstance(node, IF):
            slow = node.signed or node.decay != 1 or node.max_spikes != 1
            each["other neurons" if slow else "neurons"] += size * steps
            each["neurons of a chunk"] += size * chunks
        elif isinstance(node, SpikeMaxPool):
            trains = single and node.policy in ("count_max", "avg_max")
            each["pooled" if trains else "pooled by events"] += prod(graph.input_shapes(node)[0]) * steps
            each["neurons of a chunk"] += size * chunks
        elif isinstance(node, Output):
            each["values"] += prod(graph.input_shapes(node)[0]) * steps
        elif isinstance(node, Input):
            each["drawn"] += size * steps
        else:
            each["values"] += size * steps
        each["layers"] += chunks
        each["recorded"] += _kept(node, recording) * size * steps
        each["recorded as events"] += recording.has("events", name) * size * steps * FIRING
        each["noted"] += recording.any("nonzero") * size * steps
    found = {kind: amount * batch for kind, amount in each.items()}
    found["batches"] = 1
    found["nodes"] = len(graph)
    return found
