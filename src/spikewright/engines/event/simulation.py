"""The event engine: the same semantics as the reference, on lists of spikes in native code."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.ends import Ends
from spikewright.engines.event.compiler import Compiled, compile_graph
from spikewright.engines.event.lists import lists_of
from spikewright.engines.event.memory import check_memory, dense_values, few_at_a_time, fixed_bytes, sample_bytes
from spikewright.engines.event.operators import Source
from spikewright.engines.event.resting import Resting
from spikewright.engines.event.view import View, all_neurons, nothing
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun
from spikewright.engines.signs import signed_populations
from spikewright.engines.units import event_units
from spikewright.events import Events
from spikewright.forward import split_inputs
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import Input, Output, SpikeMaxPool
from spikewright.recordings import events_in

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 64
"""Timesteps that a layer runs before the next: spikes in flight stay in cache."""


@dataclass(frozen=True)
class _PlanSettings:
    """What a plan depends on, beside the graph."""

    constant: bool
    planes: int  # 1 where the input is 0 or 1 at every step, 2 where it is −1, 0 or 1, else 0
    activity: bool
    gather: bool
    units: tuple[tuple[str, float], ...]  # what one event stands for, where that is not 1


class EventSimulation:
    """A spiking graph ready to run batch after batch; the counterpart of ``reference.Simulation``.

    Args:
        graph: a spiking graph.
        threads: how many samples run side by side; all cores by default.
        chunk: timesteps that a layer runs before the next. It changes nothing but speed and memory.
        gather: whether layers may sum their currents output by output. It changes nothing but speed.
        isa: an instruction set of the native core; the best one by default.
        dtype: "float32", or "int16" for weights and potentials in 16-bit fixed point where a layer allows it: faster,
            and exact only where 16 bits hold every weight, sum and potential. See docs/engines.md.
    """

    @property
    def name(self) -> str:
        """ "event", and its dtype where that is not float32."""
        return "event" if self.dtype == "float32" else f"event, {self.dtype}"

    def __init__(
        self,
        graph: Graph,
        threads: int | None = None,
        chunk: int = CHUNK,
        gather: bool = True,
        isa: str = "",
        dtype: str = "float32",
    ) -> None:
        self.graph, self.chunk, self.gather, self.isa, self.dtype = graph, chunk, gather, isa, dtype
        self.threads = threads or cores()
        self.prepared: dict[_PlanSettings, _PreparedPlan] = {}

    def prepare(self, encoder: Encoder, record: Recording | Collection[str] = (), planes: int = 1) -> _PreparedPlan:
        """The plan for one way of running, made once.

        Args:
            encoder: what makes the input of each step.
            record: what will be recorded.
            planes: 1 where an encoder gives 0 and 1 alone, 2 where it gives −1 too, 0 where it gives anything.

        Raises:
            SettingsError: naming the node that this engine cannot run.
        """
        wanted = as_recording(record, self.graph, 1)
        constant, gather = type(encoder) is Constant, self.gather and not wanted.any("potentials")
        units = event_units(self.graph, encoder.fitted(self.graph))
        other = tuple((name, unit) for name, unit in units.items() if unit != 1)
        settings = _PlanSettings(constant, 0 if constant else planes, wanted.any("nonzero"), gather, other)
        if settings not in self.prepared:
            self.prepared[settings] = _PreparedPlan(self.graph, settings, self.isa, self.dtype == "int16")
        return self.prepared[settings]

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Simulate one batch; see ``reference.Simulation.run``.

        Raises:
            SettingsError: where memory would not do, with a batch size that would.
        """
        wanted = as_recording(record, self.graph, timesteps)
        encoder = encoder.fitted(self.graph)
        prepared = self.prepare(encoder, wanted)
        threads = min(self.threads, len(x))
        fixed = fixed_bytes(self.graph, prepared.compiled, wanted, threads, self.chunk)
        each = sample_bytes(self.graph, prepared.compiled, wanted, prepared.sampled)
        check_memory(fixed, each, len(x), timesteps)
        dense = dense_values(self.graph, wanted)
        if wanted.whole or not dense:
            return self._run(prepared, x, encoder, wanted, first)
        some = few_at_a_time(len(x), timesteps * dense, self.threads)  # the native core writes down every timestep
        return BatchRun.joined([self._run(prepared, x[part], encoder, wanted, first + part.start) for part in some])

    def _run(self, prepared: _PreparedPlan, x: Tensor, encoder: Encoder, wanted: Recording, first: int) -> BatchRun:
        timesteps = wanted.timesteps
        frames: dict[str, Any] = {}
        events = events_in(x)
        if events is None and not prepared.settings.constant:
            frames = _frames(self.graph, x, timesteps, encoder, first)
        for name, unit in prepared.settings.units:
            if name in frames:
                frames[name] /= np.float32(unit)  # events of −1 and 1, exactly
        planes = [_planes(values) for values in frames.values()] if events is None else [_planes([events.value])]
        if any(own != 1 for own in planes):
            prepared = self.prepare(encoder, wanted, 0 if 0 in planes else 2)
        batch = _BatchArrays(prepared, x, wanted)
        batch.give_input(frames)
        batch.want()
        trains = [prepared.compiled.layers[name] for name in batch.sending]
        lists = [] if events is None else [lists_of(events, timesteps)]
        given = [(prepared.compiled.layers[name], *one) for one in lists for name in self.graph.inputs]
        sent = prepared.compiled.plan.run(
            len(x),
            timesteps,
            self.threads,
            self.chunk,
            batch.inputs,
            batch.outputs,
            trains,
            given,
            batch.ends.lengths,
        )
        return batch.result(sent, first)


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _PreparedPlan:
    """A plan, and what arrives in it whatever the spikes."""

    def __init__(self, graph: Graph, settings: _PlanSettings, isa: str, fixed_point: bool) -> None:
        self.graph, self.settings = graph, settings
        self.compiled: Compiled = compile_graph(
            graph,
            constant=settings.constant,
            planes=settings.planes,
            units=dict(settings.units),
            activity=settings.activity,
            gather=settings.gather,
            fixed_point=fixed_point,
            isa=isa,
        )
        silent = [n for n in self.compiled.layers if not isinstance(graph[n], Output) and n not in self.compiled.aside]
        self.resting = Resting(graph, silent, settings.constant)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """What arrives at layers whatever the sample, in the engine's order."""
        fixed = self.resting.fixed
        return {name: _native(fixed[name]) for name in self._receiving if name in fixed}

    @cached_property
    def sampled(self) -> tuple[str, ...]:
        """The layers at which something arrives that depends on the sample alone."""
        return tuple(name for name in self._receiving if name not in self.resting.fixed)

    @cached_property
    def signed(self) -> frozenset[str]:
        """The populations that may send less than zero."""
        return signed_populations(self.graph)

    @property
    def _receiving(self) -> list[str]:
        """The layers that receive something at every step: not those that take events only."""
        nodes = [self.graph[name] for name in self.compiled.layers]
        framed = not self.settings.constant
        return [n.name for n in nodes if not (isinstance(n, SpikeMaxPool) or (framed and isinstance(n, Input)))]


class _BatchArrays:
    """The arrays of one batch: what goes in, what comes out, and how that is told in the shapes of the graph."""

    def __init__(self, prepared: _PreparedPlan, x: Tensor, wanted: Recording) -> None:
        self.prepared, self.graph, self.x, self.wanted = prepared, prepared.graph, x, wanted
        self.timesteps = wanted.timesteps
        self.ends = Ends(x, self.timesteps)
        self.sending = [node.name for node in self.graph.populations if wanted.has("events", node.name)]
        self.layers = prepared.compiled.layers
        self.inputs: list[tuple[int, str, Any]] = []
        self.outputs: list[tuple[int, str, Any]] = []
        self.arrays: dict[tuple[str, str], Any] = {}

    def give_input(self, frames: Mapping[str, Any]) -> None:
        self.inputs += [(self.layers[name], "frames", array) for name, array in frames.items()]
        each = self.ends.factors
        for name, base in self.prepared.fixed.items():
            own = base if each is None else np.ascontiguousarray(base.reshape(1, -1) * each[:, None])
            self.inputs.append((self.layers[name], "base", own))
        sampled = {name: self._empty(name) for name in self.prepared.sampled}
        if sampled:
            for part in few_at_a_time(len(self.x), self.prepared.resting.work):
                rest = self._rest(part)
                for name, array in sampled.items():
                    _write(rest[name], array[part])
        self.inputs += [(self.layers[name], "base", array) for name, array in sampled.items()]

    def _rest(self, part: slice) -> Mapping[str, Tensor]:
        """By node, what arrives there at every step, for some of the samples."""
        resting = self.prepared.resting
        return resting.of(split_inputs(self.graph, self.x[part])) if self.prepared.settings.constant else resting.fixed

    def _empty(self, name: str) -> Any:
        return np.empty((len(self.x), prod(self.graph.shapes[name])), np.float32)

    def want(self) -> None:
        noted = self.prepared.settings.activity
        for name in self.layers:
            node = self.graph[name]
            if isinstance(node, Output):
                self._array(name, "totals", by_step=True)
            if node.population:
                self._array(name, "counts")
                if name in self.prepared.signed:
                    self._array(name, "negative")
                for kind in ("spikes", "potentials"):
                    if self.wanted.has(kind, name):
                        self._array(name, kind, by_step=True)
            if noted and not isinstance(node, Output):
                self._array(name, "active")
                self._array(name, "graded")

    def _array(self, name: str, kind: str, by_step: bool = False) -> None:
        steps = (self.timesteps,) if by_step else ()
        size = int(np.prod(self.graph.shapes[name]))
        array = np.zeros((len(self.x), *steps, size), np.float32)
        self.outputs.append((self.layers[name], kind, array))
        self.arrays[name, kind] = array

    def result(self, sent: list[tuple[Any, Any, Any, Any]], first: int) -> BatchRun:
        run = BatchRun({}, {})
        samples = np.arange(first, first + len(self.x), dtype=np.int64)
        for name, (counts, *columns) in zip(self.sending, sent, strict=True):
            train = Events(self.graph.shapes[name], np.repeat(samples, counts), *columns)
            run.events[name] = train if self.wanted.whole else train.at_steps(self.wanted.steps)
        for (name, kind), array in self.arrays.items():
            if kind in ("counts", "negative"):
                getattr(run, kind)[name] = _shaped(array, self.graph.shapes[name])
            elif kind in ("spikes", "potentials"):
                kept = array if self.wanted.whole else array[:, self.wanted.steps]
                getattr(run, kind)[name] = _shaped(kept, self.graph.shapes[name], 2)
            elif kind == "totals":
                run.outputs[name] = self._readout(name, array)
        if self.prepared.settings.activity:
            self._note_activity(run)
        return run

    def _readout(self, name: str, totals: Any) -> Tensor:
        node, (shape,) = self.graph[name], self.graph.input_shapes(name)
        mean = self.ends.means(_shaped(totals, shape, 2))
        return node.answer(mean, lead=2) if isinstance(node, Output) else mean

    def _note_activity(self, run: BatchRun) -> None:
        """In how many steps each value that a weighted node reads was not zero: events of layers, or always."""
        import torch

        noted = [node for node in self.graph if self.wanted.has("nonzero", node.name)]
        read = {node.name: torch.tensor(self._view_read(node).neurons[..., 0]) for node in noted}
        run.nonzero = {name: torch.empty((len(self.x), *neurons.shape)) for name, neurons in read.items()}
        senders = self._senders()
        for part in few_at_a_time(len(self.x), sum(map(prod, self.graph.shapes.values()))):
            active, graded = (self._by_neuron(senders, kind, part) for kind in ("active", "graded"))
            rest = self._rest(part)
            for name, neurons in read.items():
                source = self.graph[name].inputs[0] if self.graph[name].inputs else name
                still = torch.zeros(()) if source in self.layers else rest[source]
                still = torch.where(neurons < 0, still, 0.0).expand(len(active), *neurons.shape)
                run.nonzero[name][part] = active[:, neurons] + (still != 0) * self.timesteps
                if bool(((still != 0) & (still.abs() != 1)).any() or graded[:, neurons].any()):
                    run.graded.add(name)

    def _view_read(self, node: Node) -> View:
        """Which neurons a weighted node reads, or an input is."""
        if node.weighted:
            return self.prepared.compiled.views[node.name]
        shape = self.graph.shapes[node.name]
        return all_neurons(shape, self._source(node.name).first) if node.name in self.layers else nothing(shape)

    def _by_neuron(self, senders: list[str], kind: str, part: slice) -> Tensor:
        """``(samples, neurons + 1)``: an array of every sender, side by side; the last is none's."""
        import torch

        parts = [self.arrays[name, kind][part] for name in senders]
        none = np.zeros((len(self.x[part]), 1), np.float32)
        return torch.from_numpy(np.concatenate([*parts, none], axis=1))

    def _source(self, name: str) -> Source:
        return next(s for s in self.prepared.compiled.sources if s.layer == self.layers[name])

    def _senders(self) -> list[str]:
        """Names of the layers that send something, in the order in which their neurons are numbered."""
        names = {layer: name for name, layer in self.layers.items()}
        return [names[source.layer] for source in self.prepared.compiled.sources]


def _frames(graph: Graph, x: Tensor, timesteps: int, encoder: Encoder, first: int) -> dict[str, Any]:
    """By input, what it gives at every step: ``(B, T, values)`` in the engine's order."""
    frames = {name: np.empty((len(x), timesteps, prod(graph.shapes[name])), np.float32) for name in graph.inputs}
    for t in range(timesteps):
        for name, value in split_inputs(graph, encoder.at(x, t, first)).items():
            frames[name][:, t] = _native(value)
    return frames


def _planes(frames: Any) -> int:
    """1 where all values are 0 or 1, 2 where they are −1, 0 or 1, else 0; sample by sample, for little memory."""
    planes = 1
    for values in frames:
        if ((values == 0) | (values == 1)).all():
            continue
        if not ((values == 0) | (np.abs(values) == 1)).all():
            return 0
        planes = 2
    return planes


def _channels_last(values: Tensor, lead: int = 1) -> Tensor:
    return values.movedim(lead, -1) if values.ndim > lead else values


def _native(values: Tensor, lead: int = 1) -> Any:
    """A tensor with ``lead`` axes before the sample's own, with its values in the engine's order."""
    array = _channels_last(values, lead).contiguous().float().numpy()
    return array.reshape(*array.shape[:lead], -1)


def _write(values: Tensor, array: Any) -> None:
    """The same into an array ``(B, values)``, for all of whose samples there may be one tensor."""
    import torch

    last = _channels_last(values)
    torch.from_numpy(array).view(len(array), *last.shape[1:]).copy_(last)


def _shaped(array: Any, shape: Shape, lead: int = 1) -> Tensor:
    """The reverse of ``_native``."""
    import torch

    tensor = torch.from_numpy(array)
    return tensor.reshape(*tensor.shape[:lead], *shape[1:], shape[0]).movedim(-1, lead)
