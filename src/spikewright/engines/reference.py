"""The reference engine: the semantics of a spiking network, in torch, meant to be read in one sitting.

Every other engine is tested against this one. One step, nodes in topological order, no delay between layers:

1. the current ``I`` of a population is what its linear operators make of this step's spikes, bias included;
2. ``v ← decay·v + I``;
3. it sends ``n = max(0, floor(v / threshold))`` spikes, at most ``max_spikes``;
4. reset by subtraction ``v ← v − n·threshold``, or to zero ``v ← v_reset`` where ``n > 0``;
5. ``v ← max(v, v_min)`` where there is a lower clamp.

Lines 2 to 5 are a policy, ``IntegrateAndFire`` (``neurons.py``); another one may take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spikewright.encoders import Encoder
from spikewright.engines.ends import Ends
from spikewright.engines.neurons import IntegrateAndFire, NeuronState, NeuronStep, Population
from spikewright.engines.recording import RECORDS, Recording, as_recording
from spikewright.engines.signs import signed_populations
from spikewright.engines.units import event_units
from spikewright.errors import SettingsError
from spikewright.events import Events, Step
from spikewright.forward import split_inputs, tensors_on
from spikewright.graph import Array, Graph, Node, Shape, ToTensor
from spikewright.nodes import IF, MaxPool, Output, SpikeMaxPool
from spikewright.nodes.integrate_and_fire import Schedule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RECORDS", "BatchRun", "Simulation"]


_ROWS = ("outputs", "counts", "spikes", "potentials", "nonzero", "negative", "unweighted")


@dataclass
class BatchRun:
    """What one batch did, over T timesteps of which S are recorded.

    Attributes:
        outputs: by output node, ``(B, T, *shape)``: the answer at every timestep, as mean input over time.
        counts: by population, ``(B, *shape)``: the sum of what it sent over all timesteps: spikes, less those of −1.
        spikes: by population, ``(B, S, *shape)``, where asked for.
        events: by population, its spikes one by one, where asked for; samples are numbered as in their data set.
        potentials: by population, ``(B, S, *shape)``: the membrane potential after each step, where asked for.
        nonzero: by node that has weights, ``(B, *input shape)``: in how many steps each input value was not
            zero, where asked for; by Input, of its own values.
        negative: by population that may send less than zero, ``(B, *shape)``: the size of the sum of all it sent below
            zero. See ``sent``.
        graded: the nodes among those of ``nonzero`` that received other values than −1, 0 and 1, in units of what an
            event of an input stands for.
        unweighted: by population whose spikes weigh differently from step to step ("few_spike"), ``(B, *shape)``: how
            many it sent. Its ``counts`` are the sum of what they weigh, which is T where it stands for λ.
    """

    outputs: dict[str, Tensor]
    counts: dict[str, Tensor]
    spikes: dict[str, Tensor] = field(default_factory=dict)
    events: dict[str, Events] = field(default_factory=dict)
    potentials: dict[str, Tensor] = field(default_factory=dict)
    nonzero: dict[str, Tensor] = field(default_factory=dict)
    negative: dict[str, Tensor] = field(default_factory=dict)
    graded: set[str] = field(default_factory=set)
    unweighted: dict[str, Tensor] = field(default_factory=dict)

    @property
    def sent(self) -> dict[str, Tensor]:
        """What each population sent, whatever its sign, ``(B, *shape)``: spikes of +1 and of −1."""
        nets = {
            name: net + 2 * self.negative[name] if name in self.negative else net for name, net in self.counts.items()
        }
        return {**nets, **self.unweighted}

    @classmethod
    def joined(cls, batches: Sequence[BatchRun]) -> BatchRun:
        """What consecutive samples did, as one batch."""
        import torch

        first = batches[0]
        if len(batches) == 1:
            return first

        def rows(label: str) -> dict[str, Tensor]:
            return {name: torch.cat([getattr(one, label)[name] for one in batches]) for name in getattr(first, label)}

        return cls(
            **{label: rows(label) for label in _ROWS},
            events={
                name: Events.joined(events.shape, [one.events[name] for one in batches])
                for name, events in first.events.items()
            },
            graded=set().union(*(one.graded for one in batches)),
        )


@dataclass
class PoolState:
    """What max pooling remembers between steps.

    Attributes:
        v: ``(B, *shape of what it reads)``: cumulative counts, or estimates of the firing rates.
        past: ``(B, *shape)``: the largest counts before the step, for "count_max".
        trains: the spikes of the steps inside the horizon, for "fir_max".
    """

    v: Tensor
    past: Tensor | None = None
    trains: list[Tensor] = field(default_factory=list)


State = NeuronState | PoolState
"""What a population remembers between steps."""


class Simulation:
    """A spiking graph ready to run batch after batch.

    Args:
        graph: a spiking graph.
        device: a torch device.
        dtype: ``"float32"`` or ``"float64"``.
        step: what neurons do in one step.

    Attributes:
        parameters: by node and field, the tensors of its linear operators, where the operator uses the field as it is:
            a policy that is differentiable carries gradients to those that ask for them (``requires_grad_``).
        neurons: by population of IF neurons, its settings on the device.
        signed: the populations that may send less than zero.
    """

    name = "reference"
    schedules: ClassVar[tuple[Schedule, ...]] = ("free",)
    """The schedules of the neurons that it runs."""

    def __init__(
        self, graph: Graph, device: str = "cpu", dtype: str = "float32", step: NeuronStep | None = None
    ) -> None:
        for node in graph.of_type(IF):
            if node.schedule not in self.schedules:
                raise SettingsError(
                    f"{node}: {node.schedule} windows are run by simulate, or as one step: see one_step"
                )
        self.graph = graph
        self.to_tensor = tensors_on(device, dtype)
        self.neuron_step = step or IntegrateAndFire()
        self.parameters: dict[tuple[str, str], Tensor] = {}
        self.linear: dict[str, Callable[..., Tensor]] = {
            node.name: self._bound(node) for node in graph if not node.population and not isinstance(node, Output)
        }
        self.signed = signed_populations(graph)
        shapes = graph.shapes
        self.neurons = {node.name: neurons_of(node, shapes[node.name], self.to_tensor) for node in graph.of_type(IF)}

    def _bound(self, node: Node) -> Callable[..., Tensor]:
        """The forward function of a node, its arrays noted on their way to the device."""

        def noted(array: Array) -> Tensor:
            tensor = self.to_tensor(array)
            self.parameters |= {(node.name, label): tensor for label, own in node.arrays.items() if own is array}
            return tensor

        return node.bind(noted)

    def run(
        self,
        x: Tensor,
        timesteps: int,
        encoder: Encoder,
        record: Recording | Collection[str] = (),
        first: int = 0,
    ) -> BatchRun:
        """Simulate one batch.

        Args:
            x: ``(B, *sample shape)``.
            timesteps: how many steps.
            encoder: turns the samples into the input of each step.
            record: any of ``RECORDS``, or of which nodes and at which steps.
            first: index of the first sample in its data set, for encoders that draw numbers.
        """
        import torch

        wanted = as_recording(record, self.graph, timesteps)
        x = x.to(self.to_tensor(np.zeros(0)))
        encoder = encoder.fitted(self.graph)
        units = event_units(self.graph, encoder)
        total: dict[str, Tensor] = {}
        run, ends = BatchRun({}, {}), Ends(x, timesteps)
        answers: dict[str, list[Tensor]] = {node.name: [] for node in self.graph.of_type(Output)}
        potentials: dict[str, list[Tensor]] = {}
        spikes: dict[str, list[Tensor]] = {}
        sent: dict[str, list[Step]] = {}
        with torch.inference_mode(not (self.neuron_step.differentiable and torch.is_grad_enabled())):
            state = self.start(len(x))
            biases = {} if ends.factors is None else self.biases(ends.factors - 1)
            for t in range(timesteps):
                values = ends.masked(self.step(encoder.at(x, t, first), state, t, biases), t)
                for node in self.graph:
                    name, value = node.name, values[node.name]
                    if isinstance(node, Output):
                        total[name] = total[name] + value if t else value
                        answers[name].append(node.answer(ends.mean(total[name], t)))
                    elif node.population:
                        run.counts[name] = run.counts[name] + value if t else value
                        if name in self.signed:
                            below = (-value).clamp(min=0)
                            run.negative[name] = run.negative[name] + below if t else below
                        if t not in wanted.rows:
                            continue
                        if wanted.has("spikes", name):
                            spikes.setdefault(name, []).append(value)
                        if wanted.has("events", name):
                            sent.setdefault(name, []).append(sent_at(value))
                        if wanted.has("potentials", name):
                            potentials.setdefault(name, []).append(ends.masked({name: state[name].v}, t)[name])
                    elif wanted.has("nonzero", name):
                        source = node.inputs[0] if node.inputs else name
                        note_activity(run, name, values[source], units[source])
        run.outputs = {name: torch.stack(steps, dim=1) for name, steps in answers.items()}
        run.spikes = {name: torch.stack(steps, dim=1) for name, steps in spikes.items()}
        run.events = {
            name: Events.of_steps(self.graph.shapes[name], steps, first, wanted.steps) for name, steps in sent.items()
        }
        run.potentials = {name: torch.stack(steps, dim=1) for name, steps in potentials.items()}
        return run

    def start(self, batch: int) -> dict[str, State]:
        """The state of every population before the first step."""
        return started(self.graph, batch, self.to_tensor, self.neurons, self.neuron_step)

    def biases(self, factors: Array) -> dict[str, Tensor]:
        """What biases alone make each linear operator give, ``(B, *shape)``, times a factor for each sample."""
        found = {}
        for node in self.graph:
            if node.name in self.linear and node.inputs and node.arrays:
                zeros = (self.to_tensor(np.zeros((1, *shape), np.float32)) for shape in self.graph.input_shapes(node))
                value = self.linear[node.name](*zeros)
                found[node.name] = value * self.to_tensor(factors).view(-1, *(1 for _ in value.shape[1:]))
        return found

    def step(
        self, x: Tensor, state: MutableMapping[str, State], t: int, added: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One timestep: the value of every node, with ``state`` moved on; ``added`` is added to what nodes give."""
        inputs = split_inputs(self.graph, x)
        values: dict[str, Tensor] = {}
        for node in self.graph:
            given = [values[name] for name in node.inputs] or [inputs[node.name]]
            own = state.get(node.name)
            if isinstance(node, IF) and isinstance(own, NeuronState):
                values[node.name], state[node.name] = self.neuron_step.step(self.neurons[node.name], own, given[0])
            elif isinstance(node, SpikeMaxPool) and isinstance(own, PoolState):
                values[node.name] = pool_spikes(node, self.to_tensor, own, given[0], t)
            elif isinstance(node, Output):
                values[node.name] = given[0]
            else:
                values[node.name] = self.linear[node.name](*given)
                if added and node.name in added:
                    values[node.name] = values[node.name] + added[node.name]
        return values


def neurons_of(node: IF, shape: Shape, to_tensor: ToTensor) -> Population:
    """The neurons of a population on the device.

    Args:
        node: the population.
        shape: of its neurons.
        to_tensor: puts arrays there.
    """
    v_min = None if node.v_min is None else to_tensor(node.spread(np.asarray(node.v_min), shape))
    biases = (
        None if bias is None else to_tensor(bias.reshape(*bias.shape, *(1 for _ in shape[1:])))
        for bias in (node.step_bias, node.fired_bias)
    )
    return Population(node, to_tensor(node.spread(node.threshold, shape)), v_min, *biases)


def started(
    graph: Graph, batch: int, to_tensor: ToTensor, neurons: Mapping[str, Population], step: NeuronStep
) -> dict[str, State]:
    """The state of every population before the first step.

    Args:
        graph: a spiking graph.
        batch: how many samples.
        to_tensor: puts arrays on the device.
        neurons: by population of IF neurons, its settings there.
        step: what neurons do in one step.
    """
    return {
        node.name: first_state(graph.input_shapes(node)[0], batch, to_tensor, neurons.get(node.name), step)
        for node in graph.populations
    }


def first_state(
    shape: Shape, batch: int, to_tensor: ToTensor, population: Population | None, step: NeuronStep
) -> State:
    """The state of a population before the first step.

    Args:
        shape: of what it reads.
        batch: how many samples.
        to_tensor: puts arrays on the device.
        population: settings of the neurons there; None of a pool.
        step: what neurons do in one step.
    """
    if population is None:
        return PoolState(to_tensor(np.zeros(())).expand(batch, *shape))
    neuron = population.neuron
    return step.start(population, to_tensor(neuron.spread(neuron.v_init, shape)).expand(batch, *shape))


def pool_spikes(pool: SpikeMaxPool, to_tensor: ToTensor, state: PoolState, spikes: Tensor, t: int) -> Tensor:
    """One step of max pooling."""
    estimate(pool, state, spikes, t)
    if pool.policy != "count_max":
        return let_through(pool, state.v, spikes)
    largest = MaxPool.bind(pool, to_tensor)(state.v)
    risen = largest if state.past is None else largest - state.past
    state.past = largest
    return risen


def estimate(pool: SpikeMaxPool, state: PoolState, spikes: Tensor, t: int) -> None:
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
    flat = value.detach().flatten(1)
    sample, neuron = flat.nonzero(as_tuple=True)
    return sample.cpu().numpy(), neuron.int().cpu().numpy(), flat[sample, neuron].float().cpu().numpy()


def note_activity(run: BatchRun, name: str, value: Tensor, unit: float) -> None:
    """Count, for each value that a weighted node reads, the steps in which it is not zero.

    Args:
        run: where that is counted.
        name: of the node.
        value: ``(B, *shape)``, of one step.
        unit: what one event stands for; others make the node graded.
    """
    import torch

    active = torch.ne(value, 0, out=torch.empty_like(value))
    run.nonzero[name] = run.nonzero[name] + active if name in run.nonzero else active
    if name not in run.graded and not torch.equal(value.abs(), active * unit):
        run.graded.add(name)
