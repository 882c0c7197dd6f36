"""Plans made ready to run, and kept as long as the graph that they are of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

from spikewright.engines.event.compiler import Compiled, compile_graph
from spikewright.engines.event.images import first_layers
from spikewright.engines.event.resting import Resting
from spikewright.engines.event.view import channels_last_rows
from spikewright.engines.signs import signed_populations
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Output, SpikeMaxPool

CHUNK = 64
"""Timesteps that a layer runs before the next: spikes in flight stay in cache."""
MOST_KEPT = 4
"""Plans of one graph that are kept: what is recorded, and what encoders give, makes different ones."""


@dataclass(frozen=True)
class PlanSettings:
    """What a plan depends on, beside the graph.

    Attributes:
        constant: whether the inputs are the same at every step.
        planes: 1 where the input is 0 or 1 at every step, 2 where it is −1, 0 or 1, else 0.
        activity: whether the values that weighted nodes read are seen as such.
        gather: whether layers may sum their currents output by output.
        units: what one event stands for, where that is not 1.
        isa: an instruction set of the native core, or "" for the best one.
        fixed_point: whether layers count in 16-bit integers where their neurons allow it.
    """

    constant: bool
    planes: int
    activity: bool
    gather: bool
    units: tuple[tuple[str, float], ...]
    isa: str
    fixed_point: bool


class PreparedPlan:
    """A plan, and what arrives in it whatever the spikes; it does not refer to the graph.

    Args:
        graph: a spiking graph.
        settings: how it will run.

    Attributes:
        settings: the same.
        compiled: the plan.
        images: the first layers that the core computes from the input itself.
        resting: what else does not change with time.
        receiving: the layers that receive something at every step: not those that take events only.
        signed: the populations that may send less than zero.
        whole: the populations that send whole numbers alone, whatever they are given.
        sizes: by layer, how many values it has for one sample.

    Raises:
        SettingsError: naming the node that the event engine cannot run.
    """

    def __init__(self, graph: Graph, settings: PlanSettings) -> None:
        self.settings = settings
        self.compiled: Compiled = compile_graph(
            graph,
            constant=settings.constant,
            planes=settings.planes,
            units=dict(settings.units),
            activity=settings.activity,
            gather=settings.gather,
            fixed_point=settings.fixed_point,
            isa=settings.isa,
        )
        nodes = [graph[name] for name in self.compiled.layers]
        silent = [n.name for n in nodes if not isinstance(n, Output) and n.name not in self.compiled.aside]
        self.images = first_layers(graph, self.compiled) if settings.constant else {}
        elsewhere = {*self.images, *(first.convolution for first in self.images.values())}
        self.resting = Resting(graph, silent, settings.constant, elsewhere)
        framed = not settings.constant
        takes_events = [n.name for n in nodes if isinstance(n, SpikeMaxPool) or (framed and isinstance(n, Input))]
        self.receiving = tuple(name for name in self.compiled.layers if name not in takes_events)
        self.signed = signed_populations(graph)
        self.whole = _whole(graph)
        self.sizes = {name: prod(graph.shapes[name]) for name in self.compiled.layers}

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """What arrives at layers whatever the sample, in the engine's order."""
        fixed = self.resting.fixed
        found = {name: channels_last_rows(fixed[name]) for name in self.receiving if name in fixed}
        return {**found, **{name: first.bias for name, first in self.images.items()}}

    @cached_property
    def sampled(self) -> tuple[str, ...]:
        """The layers at which something arrives that depends on the sample alone."""
        return tuple(name for name in self.receiving if name not in self.fixed)


def _whole(graph: Graph) -> frozenset[str]:
    """The populations that send whole numbers alone: neurons, and pools of them."""
    found: set[str] = set()
    for node in graph:
        if isinstance(node, IF) or (isinstance(node, SpikeMaxPool) and found.issuperset(node.inputs)):
            found.add(node.name)
    return frozenset(found)


_KEPT: WeakKeyDictionary[Graph, OrderedDict[PlanSettings, PreparedPlan]] = WeakKeyDictionary()


def prepared_plan(graph: Graph, settings: PlanSettings) -> PreparedPlan:
    """The plan of a graph for one way of running: made once, and kept with the graph, of which it is no part.

    Raises:
        SettingsError: naming the node that the event engine cannot run.
    """
    kept = _KEPT.setdefault(graph, OrderedDict())
    found = kept.get(settings)
    if found is None:
        found = kept[settings] = PreparedPlan(graph, settings)
    kept.move_to_end(settings)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return found
