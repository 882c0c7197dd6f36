"""The event engine: the same semantics as the reference, on lists of spikes in native code."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.eight_bits import round_weights
from spikewright.engines.ends import Ends
from spikewright.engines.event.activity import note_activity
from spikewright.engines.event.lists import lists_of
from spikewright.engines.event.memory import check_memory, dense_values, few_at_a_time, fixed_bytes, sample_bytes
from spikewright.engines.event.plans import CHUNK, PlanSettings, PreparedPlan, prepared_plan
from spikewright.engines.event.view import channels_last_rows, with_channels_last
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun
from spikewright.engines.units import event_units
from spikewright.errors import SettingsError
from spikewright.events import Events
from spikewright.forward import split_inputs
from spikewright.graph import Graph, Shape
from spikewright.nodes import Output
from spikewright.recordings import events_in
from spikewright.text import one_line

if TYPE_CHECKING:
    from torch import Tensor

THREADS = "SPIKEWRIGHT_THREADS"
"""A variable of the environment: how many threads the native core has at most, where processes share a machine."""


@dataclass(frozen=True, eq=False)
class _Ready:
    """What batches of one run have in common: looked for once, not for every batch.

    Attributes:
        encoder, wanted, samples: of which run.
        prepared: its plan.
        fixed, each: bytes that it needs whatever the batch, and for each sample.
    """

    encoder: Encoder
    wanted: Recording
    samples: int
    prepared: PreparedPlan
    fixed: int
    each: int


class EventSimulation:
    """A spiking graph ready to run batch after batch; the counterpart of ``reference.Simulation``.

    Args:
        graph: a spiking graph.
        threads: how many samples run side by side; all cores by default.
        chunk: timesteps that a layer runs before the next. It changes nothing but speed and memory.
        gather: whether layers may sum their currents output by output. It changes nothing but speed.
        isa: an instruction set of the native core; the best one by default.
        dtype: "float32", or "int16" for weights and potentials in 16-bit fixed point where a layer allows it: faster,
            and exact only where 16 bits hold every weight, sum and potential; or "int8" for the network with weights of
            8 bits, see ``round_weights``. See docs/engines.md.

    Raises:
        SettingsError: for another dtype.
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
        if dtype not in ("float32", "int16", "int8"):
            raise SettingsError(f"the event engine runs in float32, int16 or int8, not in {dtype}")
        self.graph, self.chunk, self.gather, self.isa, self.dtype = graph, chunk, gather, isa, dtype
        self.threads = threads or cores()
        self._ready: _Ready | None = None

    def prepare(self, encoder: Encoder, record: Recording | Collection[str] = (), planes: int = 1) -> PreparedPlan:
        """The plan for one way of running, made once for a graph; see ``prepared_plan``.

        Args:
            encoder: what makes the input of each step.
            record: what will be recorded.
            planes: 1 where an encoder gives 0 and 1 alone, 2 where it gives −1 too, 0 where it gives anything.

        Raises:
            SettingsError: naming the node that this engine cannot run.
        """
        wanted = as_recording(record, self.graph, 1)
        constant = type(encoder) is Constant
        units = event_units(self.graph, encoder.fitted(self.graph))
        other = tuple((name, unit) for name, unit in units.items() if unit != 1)
        # potentials are told in single precision
        narrow = self.dtype == "int16" and not wanted.any("potentials")
        given, activity = 0 if constant else planes, wanted.any("nonzero")
        graph = round_weights(self.graph, encoder).graph if self.dtype == "int8" else self.graph
        return prepared_plan(graph, PlanSettings(constant, given, activity, self.gather, other, self.isa, narrow))

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
        ready, samples = self._ready, len(x)
        if ready is None or ready.wanted is not wanted or ready.encoder != encoder or ready.samples != samples:
            ready = self._made_ready(encoder, wanted, samples)
            check_memory(ready.fixed, ready.each, samples, timesteps)  # later batches of a run need the same again
            self._ready = ready
        prepared, dense = ready.prepared, dense_values(self.graph, wanted)
        if wanted.whole or not dense:
            return self._run(prepared, x, encoder, wanted, first)
        some = few_at_a_time(samples, timesteps * dense, self.threads)  # the native core writes down every timestep
        return BatchRun.joined([self._run(prepared, x[part], encoder, wanted, first + part.start) for part in some])

    def _made_ready(self, encoder: Encoder, wanted: Recording, samples: int) -> _Ready:
        prepared = self.prepare(encoder, wanted)
        fixed = fixed_bytes(self.graph, prepared.compiled, wanted, min(self.threads, samples), self.chunk)
        each = sample_bytes(self.graph, prepared.compiled, wanted, prepared.sampled)
        return _Ready(encoder, wanted, samples, prepared, fixed, each)

    def _run(self, prepared: PreparedPlan, x: Tensor, encoder: Encoder, wanted: Recording, first: int) -> BatchRun:
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
        batch = _BatchArrays(prepared, self.graph, x, wanted)
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
            batch.totals,
        )
        return batch.result(sent, first)


def cores() -> int:
    """How many processor cores this process may use; no more than ``SPIKEWRIGHT_THREADS`` says, where that is set.

    Raises:
        SettingsError: where that is no whole number from 1 up.
    """
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get(THREADS, "")
    if said and not (said.isdecimal() and int(said) > 0):
        raise SettingsError(f"{THREADS} takes a number of threads from 1 up, not '{one_line(said, 40)}'")
    return min(found, int(said)) if said else found


class _BatchArrays:
    """The arrays of one batch: what goes in, what comes out, and how that is told in the shapes of the graph."""

    def __init__(self, prepared: PreparedPlan, graph: Graph, x: Tensor, wanted: Recording) -> None:
        self.prepared, self.graph, self.x, self.wanted = prepared, graph, x, wanted
        self.samples = len(x)
        self.timesteps = wanted.timesteps
        self.ends = Ends(x, self.timesteps)
        self.sending = [node.name for node in self.graph.populations if wanted.has("events", node.name)]
        self.layers = prepared.compiled.layers
        self.inputs: list[tuple[int, str, Any]] = []
        self.outputs: list[tuple[int, str, Any]] = []
        self.totals: list[tuple[int, str, Any]] = []
        self.arrays: dict[tuple[str, str], Any] = {}

    def give_input(self, frames: Mapping[str, Any]) -> None:
        self.inputs += [(self.layers[name], "frames", array) for name, array in frames.items()]
        each = self.ends.factors
        for name, base in self.prepared.fixed.items():
            own = base if each is None else np.ascontiguousarray(base.reshape(1, -1) * each[:, None])
            self.inputs.append((self.layers[name], "base", own))
        given = split_inputs(self.graph, self.x) if self.prepared.images else {}
        for name, first in self.prepared.images.items():
            values = np.ascontiguousarray(given[first.given].numpy(force=True), np.float32)
            self.inputs.append((self.layers[name], "image", values))
        sampled = {name: self._empty(name) for name in self.prepared.sampled}
        if sampled:
            for part in few_at_a_time(self.samples, self.prepared.resting.work):
                rest = self._rest(part)
                for name, array in sampled.items():
                    _write(rest[name], array[part])
        self.inputs += [(self.layers[name], "base", array) for name, array in sampled.items()]

    def _rest(self, part: slice) -> Mapping[str, Tensor]:
        """By node, what arrives there at every step, for some of the samples."""
        resting = self.prepared.resting
        return resting.of(split_inputs(self.graph, self.x[part])) if self.prepared.settings.constant else resting.fixed

    def _empty(self, name: str) -> Any:
        return np.empty((self.samples, prod(self.graph.shapes[name])), np.float32)

    def want(self) -> None:
        noted = self.prepared.settings.activity
        for name in self.layers:
            node = self.graph[name]
            if isinstance(node, Output):
                self._array(name, "totals", by_step=True)
            if node.population:
                self._count(name, "counts")
                if name in self.prepared.signed:
                    self._count(name, "negative")
                for kind in ("spikes", "potentials"):
                    if self.wanted.has(kind, name):
                        self._array(name, kind, by_step=True)
            if noted and not isinstance(node, Output):
                self._count(name, "active")
                self._count(name, "graded")

    def _count(self, name: str, kind: str) -> None:
        """An array for what is counted: a sum over all samples, where that is enough and exact in any order."""
        exact = name in self.prepared.whole or kind in ("active", "graded")
        if self.wanted.summed and exact:
            self.arrays[name, kind] = np.zeros((1, self.prepared.sizes[name]))
            self.totals.append((self.layers[name], kind, self.arrays[name, kind]))
        else:
            self._array(name, kind)

    def _array(self, name: str, kind: str, by_step: bool = False) -> None:
        steps = (self.timesteps,) if by_step else ()
        array = np.zeros((self.samples, *steps, self.prepared.sizes[name]), np.float32)
        self.outputs.append((self.layers[name], kind, array))
        self.arrays[name, kind] = array

    def result(self, sent: list[tuple[Any, Any, Any, Any]], first: int) -> BatchRun:
        run = BatchRun({}, {})
        samples = np.arange(first, first + self.samples, dtype=np.int64)
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
            note_activity(run, self.prepared, self.graph, self.x, self.wanted, self.arrays)
        return run

    def _readout(self, name: str, totals: Any) -> Tensor:
        node, (shape,) = self.graph[name], self.graph.input_shapes(name)
        mean = _shaped(self.ends.means(totals), shape, 2)
        return node.answer(mean, lead=2) if isinstance(node, Output) else mean


def _frames(graph: Graph, x: Tensor, timesteps: int, encoder: Encoder, first: int) -> dict[str, Any]:
    """By input, what it gives at every step: ``(B, T, values)`` in the engine's order."""
    frames = {name: np.empty((len(x), timesteps, prod(graph.shapes[name])), np.float32) for name in graph.inputs}
    for t in range(timesteps):
        for name, value in split_inputs(graph, encoder.at(x, t, first)).items():
            frames[name][:, t] = channels_last_rows(value)
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


def _write(values: Tensor, array: Any) -> None:
    """The same into an array ``(B, values)``, for all of whose samples there may be one tensor."""
    import torch

    last = with_channels_last(values)
    torch.from_numpy(array).view(len(array), *last.shape[1:]).copy_(last)


def _shaped(array: Any, shape: Shape, lead: int = 1) -> Tensor:
    """The reverse of ``channels_last_rows``."""
    import torch

    last = array.reshape(*array.shape[:lead], *shape[1:], shape[0])
    axes = range(last.ndim - 1)
    return torch.from_numpy(last.transpose(*axes[:lead], last.ndim - 1, *axes[lead:]))
