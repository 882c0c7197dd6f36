"""The semantics of windows, step by step: what the reference engine runs for ``layered`` and ``few_spike`` networks.

A population with ``d`` populations before it on the longest path sends in window d (``windows_of``), of T steps:

1. While the last of all that it hears speaks, in the window before, ``v ← v + I`` at every step. What spoke earlier
   waited, and is heard again now. Biases and the values of an input arrive at every step of their window.
2. In the T steps of its own window it sends 0 or 1:

   * "layered": ``n = clip(⌊(v_init + v) / θ⌋, 0, T)`` spikes, evenly: by step k, counted from 1, ``⌊k·n/T⌋`` of them.
   * "few_spike": with ``u = v_init / 2^T + v / T`` it sends 1 in step t, counted from 1, if ``u ≥ θ·2^−t``, which it
     takes off; that spike weighs ``T·2^−t`` where it arrives. So it sends the T bits of
     ``n = clip(⌊u / (θ·2^−T)⌋, 0, 2^T − 1)``, the most significant first. A ``v_init`` of half the threshold is half of
     the last unit: values are rounded to it.

Pools by count pass on, step by step, by how much the largest sum of a window has risen: at no delay, since what neurons
tell by a step never falls with what they tell in all. An output adds up over its own window and divides by T.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines.recording import Recording, as_recording
from spikewright.engines.reference import BatchRun, PoolState, Simulation, note_activity, pool_spikes, sent_at
from spikewright.engines.units import event_units
from spikewright.engines.windows.layout import check_windows, schedule_of, telling_nodes, windows_of
from spikewright.engines.windows.trains import number_told, spike_weight, spikes_at
from spikewright.events import Events, Step
from spikewright.forward import split_inputs
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Output, SpikeMaxPool
from spikewright.nodes.integrate_and_fire import Schedule

if TYPE_CHECKING:
    from torch import Tensor


class StepwiseWindows(Simulation):
    """A spiking graph whose populations exchange window by window, one step after the other.

    Args:
        graph: a spiking graph of one schedule, "layered" or "few_spike".
        device, dtype: as of ``Simulation``.
    """

    schedules: ClassVar[tuple[Schedule, ...]] = ("layered", "few_spike")

    def __init__(self, graph: Graph, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(graph, device, dtype)
        self.schedule = schedule_of(graph)
        self.windows = windows_of(graph)
        self.telling = telling_nodes(graph)
        self.last_heard = {
            name: max((self.windows[reader] - isinstance(graph[reader], IF) for reader in readers), default=-1)
            for name, readers in graph.consumers.items()
        }

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Simulate one batch; see ``Simulation.run``.

        The answer at t is that of windows of t steps. All else is of windows of T steps, and each population's steps
        count from the beginning of its own window.
        """
        import torch

        wanted = as_recording(record, self.graph, timesteps)
        check_windows(self.graph, wanted, timesteps)
        x, encoder = x.to(self.to_tensor(np.zeros(0))), encoder.fitted(self.graph)
        outputs = self.graph.of_type(Output)
        answers: dict[str, list[Tensor]] = {node.name: [] for node in outputs}
        with torch.inference_mode():
            for steps in range(1, timesteps + 1):
                nothing = as_recording((), self.graph, steps)
                own = self.window(x, steps, encoder, wanted if steps == timesteps else nothing, first)
                for node in outputs:
                    answers[node.name].append(node.answer(own.totals[node.name] / steps))
            return own.run({name: torch.stack(rows, dim=1) for name, rows in answers.items()})

    def window(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        wanted: Recording,
        first: int,
        numbers: Mapping[str, Tensor] | None = None,
    ) -> WindowPass:
        """One batch through windows of T steps.

        Args:
            x: ``(B, *sample shape)``, where the network is.
            timesteps: T.
            encoder: fitted to the network.
            wanted: what is recorded.
            first: index of the first sample in its data set.
            numbers: by population of neurons, the numbers that they tell where these are known already: then nothing is
                computed but what is recorded.
        """
        needed = frozenset(self.windows) if numbers is None else self._needed(wanted)
        noted = wanted.nodes.get("nonzero", frozenset())
        nodes = [node for node in self.graph if node.name in needed or node.name in noted]
        units = event_units(self.graph, encoder)
        own = WindowPass(self, wanted, timesteps, first, units, needed, dict(numbers or {}))
        for now in range(timesteps * (1 + max((self.windows[node.name] for node in nodes), default=-1))):
            own.begin(*divmod(now, timesteps))
            inputs = split_inputs(self.graph, encoder.at(x, now, first)) if now < timesteps else {}
            for node in nodes:
                own.advance(node, inputs)
        return own

    def _needed(self, wanted: Recording) -> frozenset[str]:
        """The nodes whose values must be known for what is recorded, once it is known what neurons tell."""
        needed = {name for kind in ("spikes", "events") for name in wanted.nodes.get(kind, ())} | self.signed
        for name in wanted.nodes.get("nonzero", ()):
            needed |= set(self.graph[name].inputs)
        for node in reversed(self.graph.nodes):
            if node.name in needed and not isinstance(node, IF):
                needed |= set(node.inputs)
        return frozenset(needed)


@dataclass
class WindowPass:
    """One batch on its way through windows of one length.

    Attributes:
        simulation: of what network.
        wanted: what is recorded.
        timesteps: T.
        first: index of the first sample in its data set.
        units: by node, what one event of an input stands for.
        needed: the nodes whose values are computed.
        numbers: by population of neurons, ``(B, *shape)``: what they tell.
        totals: by output, ``(B, *shape)``: what arrived; by population, the sum of the weights of its spikes.
        counts: by population, ``(B, *shape)``: its spikes.
    """

    simulation: StepwiseWindows
    wanted: Recording
    timesteps: int
    first: int
    units: Mapping[str, float]
    needed: frozenset[str]
    numbers: dict[str, Tensor]
    totals: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)
    heard: dict[str, Tensor] = field(default_factory=dict)
    pools: dict[str, PoolState] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    waiting: dict[str, list[Tensor]] = field(default_factory=dict)
    spikes: dict[str, list[Tensor]] = field(default_factory=dict)
    sent: dict[str, list[Step]] = field(default_factory=dict)
    noted: BatchRun = field(default_factory=lambda: BatchRun({}, {}))
    now: int = 0
    step: int = 0

    def begin(self, window: int, step: int) -> None:
        """The next step of time."""
        self.now, self.step = window, step
        self.values.clear()
        self.waiting = {n: kept for n, kept in self.waiting.items() if self.simulation.last_heard[n] >= window}

    def advance(self, node: Node, inputs: Mapping[str, Tensor]) -> None:
        """What one node does in this step: nothing but in its own window, and, if it is a population, in the one
        before."""
        own, name = self.simulation, node.name
        if isinstance(node, IF) and name not in self.numbers and self.now == own.windows[name] - 1:
            _add(self.heard, name, self._read(node)[0])
        if self.now != own.windows[name]:
            return
        if self.wanted.has("nonzero", name):
            self._note(node, inputs)
        if name not in self.needed:
            return
        if isinstance(node, Output):
            _add(self.totals, name, self._read(node)[0])
            return
        value = self._value(node, inputs)
        self.values[name] = value
        if own.last_heard[name] > self.now:
            self.waiting.setdefault(name, []).append(value)
        if node.population:
            self._send(name, value)

    def _value(self, node: Node, inputs: Mapping[str, Tensor]) -> Tensor:
        own, name = self.simulation, node.name
        if not node.inputs:
            return inputs[name]
        if isinstance(node, IF):
            if name not in self.numbers:
                self.numbers[name] = self._number(node, self.heard.pop(name))
            return spikes_at(own.schedule, self.numbers[name], self.step, self.timesteps) * self._weight
        if isinstance(node, SpikeMaxPool):
            (read,) = self._read(node)
            state = self.pools.setdefault(name, PoolState(read.new_zeros(())))
            return pool_spikes(node, own.to_tensor, state, read, self.step)
        return own.linear[name](*self._read(node))

    def _number(self, node: IF, heard: Tensor) -> Tensor:
        """What neurons tell, from all that they heard in a window."""
        own = self.simulation
        v_init = own.to_tensor(node.spread(node.v_init, own.graph.shapes[node.name]))
        return number_told(own.schedule, heard, own.neurons[node.name].threshold, v_init, self.timesteps)

    @property
    def _weight(self) -> float:
        return spike_weight(self.simulation.schedule, self.step, self.timesteps)

    def _read(self, node: Node) -> list[Tensor]:
        """What a node hears in this step: of what spoke in an earlier window, the same step of that."""
        return [self.values[i] if i in self.values else self.waiting[i][self.step] for i in node.inputs]

    def _send(self, name: str, value: Tensor) -> None:
        _add(self.totals, name, value)
        spikes = value / self._weight if name in self.simulation.telling else value
        _add(self.counts, name, spikes)
        if name in self.simulation.signed:
            _add(self.noted.negative, name, (-spikes).clamp(min=0))
        if self.step not in self.wanted.rows:
            return
        if self.wanted.has("spikes", name):
            self.spikes.setdefault(name, []).append(spikes)
        if self.wanted.has("events", name):
            self.sent.setdefault(name, []).append(sent_at(spikes))

    def _note(self, node: Node, inputs: Mapping[str, Tensor]) -> None:
        source = node.inputs[0] if node.inputs else node.name
        value = self._read(node)[0] if node.inputs else inputs[node.name]
        weight = self._weight if source in self.simulation.telling else 1.0
        note_activity(self.noted, node.name, value, self.units[source] * weight)

    def run(self, outputs: dict[str, Tensor]) -> BatchRun:
        """What the batch did, with the answers of all lengths of windows."""
        import torch

        graph = self.simulation.graph
        run = BatchRun(outputs, dict(self.counts), nonzero=self.noted.nonzero, negative=self.noted.negative)
        run.graded = self.noted.graded
        run.spikes = {name: torch.stack(steps, dim=1) for name, steps in self.spikes.items()}
        run.events = {
            name: Events.of_steps(graph.shapes[name], steps, self.first, self.wanted.steps)
            for name, steps in self.sent.items()
        }
        if self.simulation.schedule == "few_spike":
            run.counts = {name: self.totals[name] for name in self.counts}
            run.unweighted = {n: sent for n, sent in self.counts.items() if n in self.simulation.telling}
        return run


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value
