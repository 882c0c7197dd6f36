"""A spiking network as a torch module: any loop and any optimiser trains it.

The walk is that of the cuda engine: values are ``(steps, samples, *shape)``, what knows nothing of time takes steps and
samples as one batch, and what stays the same over time has one step. Operators are those of the nodes (``bind``), bound
to the parameters at each call, so that copies, other devices and whatever else torch does to modules need no care here.

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from spikewright.conversion import Conversion, spiking_graph
from spikewright.engines import IntegrateAndFire
from spikewright.engines.cuda.memory import done_after
from spikewright.engines.ends import Ends
from spikewright.engines.neurons import NeuronState, Population
from spikewright.engines.over_time import over_time, pooled
from spikewright.engines.reference import PoolState, State, neurons_of, started
from spikewright.engines.signs import signed_populations
from spikewright.errors import DataError, SettingsError
from spikewright.forward import split_inputs
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, AvgPool, ChannelAffine, MaxPool, Output, SpikeMaxPool
from spikewright.settings import whole
from spikewright.training.kept import kept_smaller, read_alone, sends_single
from spikewright.training.memory import BUDGET, kept_values, parts_within
from spikewright.training.pools import mean_of_tiles, tiles
from spikewright.training.scan import pools_at_once, scan
from spikewright.training.slopes import SpikeGradient

Values = dict[str, Tensor]
StandIn = Callable[[Mapping[tuple[str, str], Tensor]], Mapping[tuple[str, str], Tensor]]
"""What runs in place of parameters, by node and field."""


@dataclass(frozen=True, eq=False)
class ModuleState:
    """What a network remembers between calls: a value, which a call leaves as it is.

    Attributes:
        populations: the state of each.
        totals: by output, the sum of all that arrived, ``(samples, *shape)``.
        t: how many steps there were.
    """

    populations: Mapping[str, State]
    totals: Mapping[str, Tensor]
    t: int = 0

    def detached(self) -> ModuleState:
        """The same without the way back, to go on from in truncated backpropagation through time."""
        populations = {name: _detached(state) for name, state in self.populations.items()}
        return ModuleState(populations, {name: total.detach() for name, total in self.totals.items()}, self.t)


@dataclass(frozen=True, eq=False)
class Pass:
    """What a network did in one call.

    Attributes:
        outputs: by output, ``(samples, steps, *shape)``: the answers after each step.
        means: by output, ``(samples, *shape)``: what arrived on average, before the activation of an answer: logits.
        arrived: by output, ``(steps, samples, *shape)``: what arrived in each step alone.
        counts: by population ``(samples, *shape)``: how many spikes each neuron sent, of either sign.
        steps: of the call.
        state: after the last step.
    """

    outputs: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    arrived: Mapping[str, Tensor]
    counts: Mapping[str, Tensor]
    steps: int
    state: ModuleState

    @property
    def answer(self) -> Tensor:
        """``(samples, *shape)``: what the first output answers after the last step."""
        return next(iter(self.outputs.values()))[:, -1]


@dataclass
class _Walk:
    """What a part of the walk leaves behind."""

    values: Values
    populations: dict[str, State] = field(default_factory=dict)
    counts: Values = field(default_factory=dict)


class SpikingModule(nn.Module):
    """A conversion's spiking network with parameters: made by ``sw.training.module``.

    Attributes:
        source: the conversion that it was made of; or a spiking graph.
        gradient: what stands for the slope of spikes.
        budget: bytes of activations that are kept for the way back; what is beyond is recomputed.
        stand_ins: functions of the parameters, by node and field, that give what runs in their place while the module
            is in training mode, one behind the other: noise, or the integers of a chip.
    """

    def __init__(
        self,
        source: Conversion | Graph,
        gradient: SpikeGradient,
        *,
        biases: bool = True,
        thresholds: bool = False,
        budget: int = BUDGET,
    ) -> None:
        super().__init__()
        self.source, self.gradient, self.budget = source, gradient, budget
        self.stand_ins: tuple[StandIn, ...] = ()
        self._signed = signed_populations(self.graph)
        self.weights = nn.ParameterDict()
        self._keys: dict[tuple[str, str], str] = {}
        for node in self.graph:
            for label, array in trained_arrays(self.graph, node, biases, thresholds).items():
                key = f"{node.name.replace('.', '_')}_{label}"
                while key in self.weights:
                    key += "_"
                self._keys[node.name, label] = key
                self.weights[key] = nn.Parameter(torch.tensor(array))
        if not self._keys:
            raise SettingsError("the network has nothing to train: no layer with weights")

    @property
    def graph(self) -> Graph:
        """The spiking graph that the parameters were taken from."""
        return spiking_graph(self.source)

    @property
    def trained(self) -> Mapping[tuple[str, str], nn.Parameter]:
        """The parameters by node and field."""
        return {place: self.weights[key] for place, key in self._keys.items()}

    def forward(self, x: Tensor, timesteps: int | None = None) -> Tensor | dict[str, Tensor]:
        """The answers after each step, ``(samples, steps, *shape)``; by output where there are several.

        Args:
            x: ``(samples, *shape)``, the same in each of ``timesteps`` steps; or, where these are None, a sequence
                ``(steps, samples, *shape)``.
            timesteps: T.

        Raises:
            DataError: for another shape.
            SettingsError: for less than one step.
        """
        outputs = dict(self.run(x, timesteps).outputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def step(self, x: Tensor, state: ModuleState | None = None) -> tuple[dict[str, Tensor], ModuleState]:
        """One step: the answers so far by output, ``(samples, *shape)``, and the state after it.

        Args:
            x: ``(samples, *shape)``: the input of the step.
            state: after the step before; None before the first.
        """
        done = self.run(x[None], state=state)
        return {name: answers[:, -1] for name, answers in done.outputs.items()}, done.state

    def run(
        self,
        x: Tensor,
        timesteps: int | None = None,
        state: ModuleState | None = None,
        counts: bool = False,
        ends: Ends | None = None,
    ) -> Pass:
        """Run some steps, and say all that was done.

        Args:
            x: as ``forward``.
            timesteps: as ``forward``.
            state: to go on from; None to begin.
            counts: whether spikes are counted: losses of firing rates and synaptic operations need it.
            ends: of a whole sequence of recordings of different length: when each ends. Its answer stays what it was
                then, and nothing is counted after it.

        Raises:
            DataError: for another shape, or a state of another network or number of samples.
            SettingsError: for less than one step.
        """
        if not isinstance(x, Tensor):
            raise DataError(f"the network takes a tensor, not a {type(x).__name__}: torch.from_numpy(x)")
        sequence = x[None] if timesteps is not None else x
        shape, given = self.graph.sample_shape, tuple(sequence.shape[2:])
        if sequence.ndim < 2 or given != shape or not sequence.shape[1]:
            kind = "(samples, " if timesteps is not None else "(steps, samples, "
            alone = timesteps is None and tuple(x.shape[1:]) == shape
            hint = "; say how many steps a batch of pictures is shown: timesteps=8" if alone else ""
            wanted = f"{kind}{', '.join(map(str, shape))})"
            raise DataError(f"the network takes {wanted}, the batch is {tuple(x.shape)}{hint}")
        steps = len(sequence) if timesteps is None else whole("timesteps", timesteps, 1)
        whole("the number of steps", steps, 1)
        samples, sequence = sequence.shape[1], sequence.to(next(iter(self.weights.values())))
        arrays = self._arrays()
        neurons = self._neurons(arrays)
        state = self._begun(samples, neurons) if state is None else self._checked(state, samples)
        rows = split_inputs(self.graph, sequence.flatten(0, 1))
        done = _Walk({name: row.view(len(sequence), samples, *row.shape[1:]) for name, row in rows.items()})
        done.populations |= state.populations
        parts = self._parts(samples, steps)
        recomputed = len(parts) > 1 and torch.is_grad_enabled()
        for part in parts:
            walk = partial(self._walk, part, arrays, neurons, steps, state.t, counts, not recomputed, ends)
            left = checkpoint(walk, done, use_reentrant=False) if recomputed else walk(done)
            done = _Walk(left.values, left.populations, {**done.counts, **left.counts})
        totals, outputs, means, arrived = {}, {}, {}, {}
        passed = torch.arange(state.t + 1, state.t + steps + 1, device=sequence.device, dtype=sequence.dtype)
        for output in self.graph.of_type(Output):
            value = done.values[output.name]
            arrived[output.name] = _masked(value.expand(steps, *value.shape[1:]), ends)
            sums = arrived[output.name].cumsum(0) + state.totals[output.name]
            totals[output.name] = sums[-1]
            mean = sums / (passed.view(-1, *(1 for _ in sums.shape[1:])) if ends is None else ends.divisors(sums))
            means[output.name] = mean[-1]
            outputs[output.name] = over_time(output.answer, mean).transpose(0, 1)
        return Pass(outputs, means, arrived, done.counts, steps, ModuleState(done.populations, totals, state.t + steps))

    def spiking(self) -> Graph:
        """The spiking graph with what was learned.

        Raises:
            NotFiniteError: for parameters that are no finite numbers.
            GraphError: for thresholds that are not positive.
        """
        learned: dict[str, dict[str, Array]] = {}
        for (name, label), parameter in self.trained.items():
            learned.setdefault(name, {})[label] = parameter.detach().cpu().numpy().astype(np.float32)
        return self.graph.with_nodes(
            [node.replace(**learned[node.name]) if node.name in learned else node for node in self.graph]
        )

    def _arrays(self) -> Mapping[tuple[str, str], Tensor]:
        """What stands for each parameter in a call."""
        arrays: Mapping[tuple[str, str], Tensor] = dict(self.trained)
        for stand_in in self.stand_ins if self.training else ():
            arrays = stand_in(arrays)
        return arrays

    def _to_tensor(self, node: Node, arrays: Mapping[tuple[str, str], Tensor], array: Array) -> Tensor:
        """An array of a node, or what stands for it, in the precision and on the device of the parameters."""
        for label, own in node.arrays.items():
            if (array is own or array.base is own) and (node.name, label) in arrays:
                return arrays[node.name, label].reshape(array.shape)
        like = next(iter(self.weights.values()))
        return torch.tensor(array, dtype=like.dtype, device=like.device)

    def _neurons(self, arrays: Mapping[tuple[str, str], Tensor]) -> dict[str, Population]:
        found = {}
        for node in self.graph.of_type(IF):
            shape = self.graph.shapes[node.name]
            population = neurons_of(node, shape, partial(self._to_tensor, node, {}))
            learned = arrays.get((node.name, "threshold"))
            if learned is not None:
                wide = learned if learned.shape in ((), shape) else learned.view(-1, *(1 for _ in shape[1:]))
                population = replace(population, threshold=wide.expand(shape))
            found[node.name] = population
        return found

    def _checked(self, state: ModuleState, samples: int) -> ModuleState:
        """A state, if it is one of this network and of so many samples."""
        spiking = [node.name for node in self.graph.of_type(IF)]
        shapes = {name: tuple(one.v.shape[1:]) for name, one in state.populations.items() if name in spiking}
        if shapes != {name: self.graph.shapes[name] for name in spiking}:
            raise DataError("the state is that of another network: begin with state=None")
        before = len(next(iter(state.totals.values())))
        if before != samples:
            raise DataError(f"the state is that of {before} samples, the batch has {samples}: begin with state=None")
        return state

    def _begun(self, samples: int, neurons: Mapping[str, Population]) -> ModuleState:
        node = next(iter(self.graph))
        to_tensor = partial(self._to_tensor, node, {})
        populations = started(self.graph, samples, to_tensor, neurons, IntegrateAndFire())
        shapes = {output.name: self.graph.input_shapes(output)[0] for output in self.graph.of_type(Output)}
        nothing = to_tensor(np.zeros(()))
        return ModuleState(populations, {name: nothing.expand(samples, *shape) for name, shape in shapes.items()})

    def _parts(self, samples: int, steps: int) -> Sequence[Sequence[Node]]:
        nodes = tuple(self.graph)
        size = next(iter(self.weights.values())).element_size() * samples * steps
        if not torch.is_grad_enabled() or kept_values(self.graph, nodes) * size <= self.budget:
            return (nodes,)
        return parts_within(self.graph, self.budget // size)

    def _pool_behind(self, node: Node, neurons: Population, nodes: Sequence[Node]) -> AvgPool | None:
        """The pool of windows side by side that alone reads a population, if both may be computed at once."""
        readers = self.graph.consumers[node.name]
        pool = self.graph[readers[0]] if len(readers) == 1 else None
        if not isinstance(pool, AvgPool) or not any(one is pool for one in nodes) or not pools_at_once(neurons):
            return None
        return pool if tiles(pool, self.graph.shapes[node.name]) else None

    def _walk(
        self,
        nodes: Sequence[Node],
        arrays: Mapping[tuple[str, str], Tensor],
        neurons: Mapping[str, Population],
        steps: int,
        first: int,
        counts: bool,
        keeps: bool,
        ends: Ends | None,
        before: _Walk,
    ) -> _Walk:
        """Run some nodes; a value goes as soon as nobody needs it any more. ``keeps``: what they keep for their way
        back is kept, not computed again."""
        done = _Walk(dict(before.values), dict(before.populations))
        done_with = done_after(self.graph, nodes)
        again: dict[str, Callable[[], Tensor]] = {}  # spikes of a population
        at_once: Values = {}  # pools behind a population
        for node in nodes:
            given = [done.values[name] for name in node.inputs]
            own = done.populations.get(node.name)
            if isinstance(node, IF) and isinstance(own, NeuronState):
                alone = read_alone(self.graph, node, nodes) and given[0].requires_grad
                behind = None if counts or ends is not None else self._pool_behind(node, neurons[node.name], nodes)
                pool = None if behind is None else behind.kernel
                found = scan(neurons[node.name], own, given[0], steps, self.gradient, alone, pool)
                value, done.populations[node.name] = _masked(found.spikes, ends), found.state
                if behind is not None:
                    at_once[behind.name] = value
                elif found.again is not None and ends is None:
                    again[node.name] = found.again
            elif isinstance(node, SpikeMaxPool) and isinstance(own, PoolState):
                moved = replace(own, trains=list(own.trains))
                largest = MaxPool.bind(node, partial(self._to_tensor, node, arrays))
                spikes = given[0].expand(steps, *given[0].shape[1:])
                value = pooled(node, largest, moved, spikes, first, _add_up)
                done.populations[node.name] = moved
            elif isinstance(node, Output) or not given:
                value = given[0] if given else done.values[node.name]
            elif node.name in at_once:
                value = at_once[node.name]
            elif isinstance(node, AvgPool) and tiles(node, self.graph.input_shapes(node)[0]):
                value = mean_of_tiles(given[0], node.kernel)
            else:
                source = self.graph.by_name.get(node.inputs[0])
                single = keeps and node.weighted and sends_single(source)
                with kept_smaller(given[0], again.get(node.inputs[0]), single):
                    operator = node.bind(partial(self._to_tensor, node, arrays))
                    value = over_time(operator, *given)
                if ends is not None and ends.factors is not None and node.arrays:
                    nothing = [one.new_zeros((1, *one.shape[2:])) for one in given]
                    more = torch.as_tensor(ends.factors - 1).to(value).view(-1, *(1 for _ in value.shape[2:]))
                    value = value + operator(*nothing) * more  # what biases alone give, as often as they act
            if counts and node.population:
                done.counts[node.name] = value.abs().sum(0) if node.name in self._signed else value.sum(0)
            done.values[node.name] = value
            for name in done_with[node.name]:
                if not isinstance(self.graph[name], Output):
                    done.values.pop(name, None)
        return done


def trained_arrays(graph: Graph, node: Node, biases: bool, thresholds: bool) -> dict[str, Array]:
    """The arrays of a node that are trained, by field: none of what only says what a counted spike of an output is."""
    if isinstance(node, IF):
        return {"threshold": node.threshold} if thresholds else {}
    readers = [graph[name] for name in graph.consumers[node.name]]
    counts = isinstance(node, ChannelAffine) and all(isinstance(reader, Output) for reader in readers)
    if not node.weighted or (counts and isinstance(graph[node.inputs[0]], IF)):
        return {}
    return {label: array for label, array in node.arrays.items() if biases or label != "bias"}


def _masked(values: Tensor, ends: Ends | None) -> Tensor:
    """Values of a sequence ``(T, B, *shape)``, nothing of samples that have ended."""
    running = None if ends is None else ends.running(values)
    return values if running is None else values * running


def _add_up(start: Tensor, values: Tensor) -> Tensor:
    return start + values.cumsum(0)


def _detached(state: State) -> State:
    if isinstance(state, NeuronState):
        return state.with_potential(state.v.detach())
    past = None if state.past is None else state.past.detach()
    return PoolState(state.v.detach(), past, [train.detach() for train in state.trains])
