"""A spiking graph made a plan of the native core.

Populations, outputs and inputs (where they change with time) become layers of the plan. So does a node without
neurons whose values are needed as such, a *relay*: two convolutions in a row meet at one, say. Everything else is
either a view of layers, or a term of what a layer receives.

What does not change with time is not simulated: the currents of biases and of a constant input are computed once, by
running the graph with no spikes at all (see ``resting.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.engines.event.joining import Source, add_source, joined, sources_of
from spikewright.engines.event.operators import Term, add_term, fits_grid, has_fast_form, is_one_layer, side_by_side
from spikewright.engines.event.view import View, all_neurons, behind_taps, channels_last, nothing, view_of
from spikewright.errors import SettingsError
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import IF, Add, Input, Output, SpikeMaxPool


@dataclass(eq=False)
class Compiled:
    """A plan and where the nodes of the graph are in it.

    Attributes:
        plan: the native plan, finished.
        layers: by node name: its layer, for populations, outputs, relays, and inputs that change with time.
        views: by weighted node that reads a view without sums: that view. Only where activity is recorded.
        aside: the nodes whose layer nothing reads: it is there for what is recorded of it.
        sources: of every layer that sends something.
    """

    plan: Any
    layers: dict[str, int] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    sources: list[Source] = field(default_factory=list)


Value = View | tuple[Term, ...]
"""What a node passes on: a view, or what has still to be summed up."""


def compile_graph(
    graph: Graph,
    *,
    constant: bool,
    planes: int = 0,
    units: Mapping[str, float] | None = None,
    activity: bool = False,
    gather: bool = True,
    fixed_point: bool = False,
    isa: str = "",
) -> Compiled:
    """The plan of a spiking graph.

    Args:
        graph: a spiking graph.
        constant: whether the inputs are the same at every step.
        planes: 1 where inputs that change with time are 0 or 1, 2 where they are −1, 0 or 1, else 0.
        units: by node, what the plan is to take a value of 1 from it for; see ``event_units``. 1 by default.
        activity: whether the values that weighted nodes read must be seen as such.
        gather: whether layers may sum their currents output by output.
        fixed_point: whether layers that gather count in 16-bit integers, where their neurons allow it.
        isa: an instruction set of the native core; the best one by default.

    Raises:
        SettingsError: naming the node that the engine cannot run.
    """
    native = import_module("spikewright.engines.event._native")
    try:
        compiler = _Compiler(graph, constant, planes, units or {}, activity, gather, native.Plan())
        return compiler.compile(isa, fixed_point)
    except native.PlanError as error:
        raise SettingsError(f"the event engine cannot run this network: {error}") from error


class _Compiler:
    def __init__(
        self,
        graph: Graph,
        constant: bool,
        planes: int,
        units: Mapping[str, float],
        activity: bool,
        gather: bool,
        plan: Any,
    ) -> None:
        self.graph, self.constant, self.planes, self.activity = graph, constant, planes, activity
        self.units, self.gather = units, gather
        self.made = Compiled(plan)
        self.values: dict[str, Value] = {}
        self.seen: dict[str, View] = {}  # by node whose activity is recorded aside

    def compile(self, isa: str, fixed_point: bool) -> Compiled:
        for node in self.graph:
            value = self._value(node)
            if not isinstance(node, Output):
                self.values[node.name] = self._as_read(node, value)
        self.made.plan.finish(isa, self.gather, fixed_point)
        return self.made

    def _value(self, node: Node) -> Value:
        """What one node passes on; populations and outputs become layers on the way."""
        given = [self._given(node, name) for name in node.inputs]
        shape = self.graph.shapes[node.name]
        if isinstance(node, Input):
            if self.constant:
                return nothing(shape)
            return self._layer(node, (), lambda: self.made.plan.input(*_size(shape), self.planes))
        if isinstance(node, IF):
            return self._layer(node, _terms(given[0]), lambda: self._add_neurons(node, shape))
        if isinstance(node, SpikeMaxPool):
            return self._layer(node, (), lambda: self._add_pool(node, _view(given[0]), shape))
        if isinstance(node, Output):
            size = _size(self._received(node))
            return self._layer(node, _terms(given[0]), lambda: self.made.plan.output(*size))
        if isinstance(node, Add):
            return tuple(term for value in given for term in _terms(value))
        if node.weighted and self.activity:
            self.made.views[node.name] = self.seen.get(node.inputs[0]) or _view(given[0])
        viewed = view_of(node, [_view(value) for value in given])
        if viewed is not None:
            return viewed
        made = node.connections(*self.graph.input_shapes(node))
        if made is None:
            raise SettingsError(
                f"the event engine cannot run {node}: it knows no linear form of it; use engine='reference'"
            )
        return (Term(_view(given[0]), made),)

    def _given(self, node: Node, name: str) -> Value:
        if isinstance(self.graph[name], Output):
            raise SettingsError(f"the event engine cannot run {node}: it reads an output; use engine='reference'")
        factor = self.units.get(name, 1.0) / self.units.get(node.name, 1.0)
        return self.values[name] if factor == 1 else _times(self.values[name], np.float32(factor))

    def _as_read(self, node: Node, value: Value) -> Value:
        """The value as it is, or as a relay where a reader needs something simpler."""
        readers = self._readers(node)
        if node.population:
            return value
        if not all(self._takes(reader, value) for reader in readers):
            if not isinstance(value, View) or not self._joins(readers, value):
                return self._relay(node, value)
            value = joined(self.made.plan, value, self.made.sources)
        if self.activity and any(reader.weighted for reader in readers) and not _view(value).plain:
            self.seen[node.name] = self._relay(node, value)
            self.made.aside.add(node.name)
        return value

    def _relay(self, node: Node, value: Value) -> View:
        size = _size(self.graph.shapes[node.name])
        return self._layer(node, _terms(value), lambda: self.made.plan.relay(*size))

    def _readers(self, node: Node) -> list[Node]:
        return [self.graph[name] for name in self.graph.consumers[node.name]]

    def _takes(self, reader: Node, value: Value) -> bool:
        if isinstance(reader, Add | IF | Output):
            return True
        if not isinstance(value, View):
            return False
        if isinstance(reader, SpikeMaxPool):
            return value.plain and bool((value.neurons >= 0).all())
        made = reader.connections(value.shape)
        return made is None or not has_fast_form(made) or fits_grid(value, self.made.sources)

    def _joins(self, readers: list[Node], value: View) -> bool:
        """Whether readers take a view once it is one layer: single neurons as they are, and pools as these want it."""
        return value.plain and all(self._takes(r, value) for r in readers if isinstance(r, SpikeMaxPool))

    def _received(self, node: Node) -> Shape:
        """The shape of what a layer receives: an answer without axes is one value too."""
        return self.graph.input_shapes(node)[0] if isinstance(node, Output) else self.graph.shapes[node.name]

    def _layer(self, node: Node, terms: tuple[Term, ...], add: Callable[[], int]) -> View:
        shape = self._received(node)
        ready = side_by_side(self.made.plan, terms, self.made.sources, shape) if self.gather else terms
        layer = add()
        for term in ready:
            add_term(self.made.plan, layer, term, self.made.sources, shape)
        self.made.layers[node.name] = layer
        if isinstance(node, Output):
            return nothing(shape)
        source = add_source(self.made.sources, layer, shape)
        return all_neurons(shape, source.first)

    def _add_neurons(self, node: IF, shape: Shape) -> int:
        if node.schedule != "free":
            raise SettingsError(f"{node}: {node.schedule} windows are run by simulate, or as one step: see one_step")
        v_min = np.zeros(0, np.float32) if node.v_min is None else _spread(node, np.asarray(node.v_min), shape)
        cap = 0 if node.max_spikes is None else min(int(node.max_spikes), 2**31 - 1)
        threshold, v_init = (_spread(node, values, shape) for values in (node.threshold, node.v_init))
        settings = (float(node.decay), node.reset == "subtract", float(node.v_reset), cap, node.signed, node.no_debt)
        biases = (
            None if bias is None else np.ascontiguousarray(bias, np.float32)
            for bias in (node.step_bias, node.fired_bias)
        )
        layer: int = self.made.plan.neurons(*_size(shape), threshold, v_init, v_min, *settings, *biases)
        return layer

    def _add_pool(self, node: SpikeMaxPool, view: View, shape: Shape) -> int:
        alone = is_one_layer(view, self.made.sources)
        if not alone or sources_of(view, self.made.sources)[0].channels != view.shape[0]:
            view = joined(self.made.plan, view, self.made.sources)
        (source,) = sources_of(view, self.made.sources)
        windows = behind_taps(view, node.connections(view.shape)).neurons  # the same for every channel
        inputs = windows[0].reshape(prod(shape[1:]), -1)
        inside = inputs >= 0
        start = np.concatenate(([0], np.cumsum(inside.sum(axis=1))))
        index = (inputs[inside] - source.first) // shape[0]
        layer: int = self.made.plan.pool(source.layer, *_size(shape), node.policy, node.horizon, start, index)
        return layer


def _times(value: Value, factor: np.float32) -> Value:
    """What a node passes on, multiplied."""
    if isinstance(value, View):
        return replace(value, factors=value.factors * factor)
    return tuple(replace(term, view=replace(term.view, factors=term.view.factors * factor)) for term in value)


def _size(shape: Shape) -> tuple[int, int]:
    """Positions and channels."""
    return prod(shape[1:]), shape[0]


def _spread(node: IF, values: NDArray[Any], shape: Shape) -> NDArray[np.float32]:
    """One value for all, or one for each neuron in the engine's order."""
    if values.ndim == 0:
        return np.array([values], np.float32)
    return channels_last(node.spread(values, shape)).astype(np.float32)


def _terms(value: Value) -> tuple[Term, ...]:
    return (Term(value),) if isinstance(value, View) else value


def _view(value: Value) -> View:
    if not isinstance(value, View):  # a reader that takes only views made a relay of it
        raise TypeError("expected a view")
    return value
