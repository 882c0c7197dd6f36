"""The reference engine: the semantics of a spiking network, in torch, meant to be read in one sitting.

Every other engine is tested against this one. One step, nodes in topological order, no delay between layers:

1. the current ``I`` of a population is what its linear operators make of this step's spikes, bias included;
2. ``v ← decay·v + I``;
3. it sends ``n = max(0, floor(v / threshold))`` spikes, at most ``max_spikes``;
4. reset by subtraction ``v ← v − n·threshold``, or to zero ``v ← v_reset`` where ``n > 0``;
5. ``v ← max(v, v_min)`` where there is a lower clamp.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines.units import event_units
from spikewright.events import Events, Step
from spikewright.forward import split_inputs, tensors_on
from spikewright.graph import Graph, ToTensor
from spikewright.nodes import IF, MaxPool, Output, SpikeMaxPool

if TYPE_CHECKING:
    from torch import Tensor

RECORDS = ("spikes", "events", "potentials", "nonzero")
"""What can be recorded beside outputs and counts: see BatchRun."""


@dataclass
class BatchRun:
    """What one batch did.

    Attributes:
        outputs: by output node, ``(B, T, *shape)``: the answer at every timestep, as mean input over time.
        counts: by population, ``(B, *shape)``: spikes over all timesteps.
        spikes: by population, ``(B, T, *shape)``, where asked for.
        events: by population, its spikes one by one, where asked for; samples are numbered as in their data set.
        potentials: by population, ``(B, T, *shape)``: the membrane potential after each step, where asked for.
        nonzero: by node that has weights, ``(B, *input shape)``: in how many steps each input value was not
            zero, where asked for; by Input, of its own values.
        graded: the nodes among those of ``nonzero`` that received other values than −1, 0 and 1, in units of what an
            event of an input stands for.
    """

    outputs: dict[str, Tensor]
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    nonzero: dict[str, Tensor] = field(default_factory=dict)
    graded: set[str] = field(default_factory=set)


@dataclass
class State:
    """What a population remembers between steps: membrane potentials, or the counts and estimates of a pool."""

    v: Tensor
    past: Tensor | None = None
    trains: list[Tensor] = field(default_factory=list)


def fire(neuron: IF, threshold: Tensor, v: Tensor, current: Tensor, v_min: Tensor | None) -> tuple[Tensor, Tensor]:
    """One step of a population.

    Args:
        neuron: its settings.
        threshold: broadcast over ``v``.
        v: membrane potentials before the step.
        current: the input of the step.
        v_min: the lowest potential, broadcast over ``v``, or None.

    Returns:
        the number of spikes of each neuron, and the potentials after the step.
    """
    v = v + current if neuron.decay == 1.0 else neuron.decay * v + current
    single = neuron.max_spikes == 1
    n = (v >= threshold).to(v.dtype) if single else (v / threshold).floor().clamp(0, neuron.max_spikes)
    v = v - n * threshold if neuron.reset == "subtract" else v.where(n == 0, neuron.v_reset)
    return n, v if v_min is None else v.maximum(v_min)


class Simulation:
    """A spiking graph ready to run batch after batch.

    Args:
        graph: a spiking graph.
        device: a torch device.
        dtype: ``"float32"`` or ``"float64"``.
    """

    name = "reference"

    def __init__(self, graph: Graph, device: str = "cpu", dtype: str = "float32") -> None:
        self.graph = graph
        self.to_tensor = tensors_on(device, dtype)
        self.linear: dict[str, Callable[..., Tensor]] = {
            node.name: node.bind(self.to_tensor)
            for node in graph
            if not node.population and not isinstance(node, Output)
        }
        self.thresholds = {
            node.name: self.to_tensor(node.spread(node.threshold, graph.shapes[node.name]))
            for node in graph.of_type(IF)
        }
        self.floors = {
            node.name: self.to_tensor(node.spread(np.asarray(node.v_min), graph.shapes[node.name]))
            for node in graph.of_type(IF)
            if node.v_min is not None
        }

    def run(
        self, x: Tensor, timesteps: int, encoder: Encoder, record: Collection[str] = (), first: int = 0
    ) -> BatchRun:
        """Simulate one batch.

        Args:
            x: ``(B, *sample shape)``.
            timesteps: how many steps.
            encoder: turns the samples into the input of each step.
            record: any of ``RECORDS``.
            first: index of the first sample in its data set, for encoders that draw numbers.
        """
        import torch

        x = x.to(self.to_tensor(np.zeros(0)))
        encoder = encoder.fitted(self.graph)
        units = event_units(self.graph, encoder)
        state = self.start(len(x))
        total: dict[str, Tensor] = {}
        run = BatchRun({}, {})
        answers: dict[str, list[Tensor]] = {node.name: [] for node in self.graph.of_type(Output)}
        potentials: dict[str, list[Tensor]] = {}
        spikes: dict[str, list[Tensor]] = {}
        sent: dict[str, list[Step]] = {}
        with torch.inference_mode():
            for t in range(timesteps):
                values = self.step(encoder.at(x, t, first), state, t)
                for node in self.graph:
                    value = values[node.name]
                    if isinstance(node, Output):
                        total[node.name] = total[node.name] + value if t else value
                        answers[node.name].append(node.answer(total[node.name] / (t + 1)))
                    elif node.population:
                        run.counts[node.name] = run.counts[node.name] + value if t else value
                        if "spikes" in record:
                            spikes.setdefault(node.name, []).append(value)
                        if "events" in record:
                            sent.setdefault(node.name, []).append(sent_at(value))
                        if "potentials" in record and isinstance(node, IF):
                            potentials.setdefault(node.name, []).append(state[node.name].v)
                    elif "nonzero" in record and (node.weighted or not node.inputs):
                        source = node.inputs[0] if node.inputs else node.name
                        _note_activity(run, node.name, values[source], units[source])
        run.outputs = {name: torch.stack(steps, dim=1) for name, steps in answers.items()}
        run.spikes = {name: torch.stack(steps, dim=1) for name, steps in spikes.items()}
        run.events = {name: Events.of_steps(self.graph.shapes[name], steps, first) for name, steps in sent.items()}
        run.potentials = {name: torch.stack(steps, dim=1) for name, steps in potentials.items()}
        return run

    def start(self, batch: int) -> dict[str, State]:
        """The state of every population before the first step."""
        state = {}
        for node in self.graph.populations:
            shape = self.graph.shapes[node.name]
            if isinstance(node, IF):
                v = self.to_tensor(node.spread(node.v_init, shape)).expand(batch, *shape)
            else:
                v = self.to_tensor(np.zeros(())).expand(batch, *self.graph.input_shapes(node)[0])
            state[node.name] = State(v)
        return state

    def step(self, x: Tensor, state: Mapping[str, State], t: int) -> dict[str, Tensor]:
        """One timestep: the value of every node, with ``state`` moved on."""
        inputs = split_inputs(self.graph, x)
        values: dict[str, Tensor] = {}
        for node in self.graph:
            given = [values[name] for name in node.inputs] or [inputs[node.name]]
            if isinstance(node, IF):
                own = state[node.name]
                threshold, v_min = self.thresholds[node.name], self.floors.get(node.name)
                values[node.name], own.v = fire(node, threshold, own.v, given[0], v_min)
            elif isinstance(node, SpikeMaxPool):
                values[node.name] = pool_spikes(node, self.to_tensor, state[node.name], given[0], t)
            elif isinstance(node, Output):
                values[node.name] = given[0]
            else:
                values[node.name] = self.linear[node.name](*given)
        return values


def pool_spikes(pool: SpikeMaxPool, to_tensor: ToTensor, state: State, spikes: Tensor, t: int) -> Tensor:
    """One step of max pooling."""
    estimate(pool, state, spikes, t)
    if pool.policy != "count_max":
        return let_through(pool, state.v, spikes)
    largest = MaxPool.bind(pool, to_tensor)(state.v)
    risen = largest if state.past is None else largest - state.past
    state.past = largest
    return risen


def estimate(pool: SpikeMaxPool, state: State, spikes: Tensor, t: int) -> None:
    """One step of what pooling goes by: ``state.v`` holds cumulative counts, or estimates of the firing rates."""
    if pool.policy == "exp_max":
        # by a tensor: a plain number would be divided by on a CPU, but multiplied by its reciprocal on a GPU
        state.v = state.v + (spikes - state.v) / spikes.new_full((), pool.horizon)
        return
    state.v = state.v + spikes
    if pool.policy == "fir_max":
        state.trains.append(spikes)
        if t >= pool.horizon:
            state.v = state.v - state.trains.pop(0)


def let_through(pool: SpikeMaxPool, estimates: Tensor, spikes: Tensor) -> Tensor:
    """The spikes of the neuron with the largest estimate in each window, the first of those that tie."""
    import torch.nn.functional as F

    from spikewright.nodes._window import torch_padding

    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(pool.kernel) - 1]
    padding = torch_padding(pool.padding)
    wide = F.pad(estimates, padding, value=-float("inf"))
    _, chosen = function(wide, pool.kernel, pool.stride, 0, pool.dilation, return_indices=True)
    return F.pad(spikes, padding).flatten(2).gather(2, chosen.flatten(2)).view(chosen.shape)


def sent_at(value: Tensor) -> Step:
    """The events of one step, sample after sample."""
    flat = value.flatten(1)
    sample, neuron = flat.nonzero(as_tuple=True)
    return sample.cpu().numpy(), neuron.int().cpu().numpy(), flat[sample, neuron].float().cpu().numpy()


def _note_activity(run: BatchRun, name: str, value: Tensor, unit: float) -> None:
    active = (value != 0).to(value.dtype)
    run.nonzero[name] = run.nonzero[name] + active if name in run.nonzero else active
    if name not in run.graded and bool(((value != 0) & (value.abs() != unit)).any()):
        run.graded.add(name)
