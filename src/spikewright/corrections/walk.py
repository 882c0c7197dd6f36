"""Layer by layer through time: every population meets all samples while everything before it spikes as it will.

One pass over the network does it. Of each population the currents of all T steps come from the spikes of what stands
before it, by the linear operators alone; its neurons then take their steps on these. So a population can be looked at,
or changed and tried again, as often as one likes before the next one is reached, and nothing before it is simulated
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.conversion import Conversion, spiking_graph
from spikewright.corrections.lanes import Lane, compact
from spikewright.data import Dataset, as_dataset
from spikewright.data.recordings import EventDataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.neurons import IntegrateAndFire, NeuronState
from spikewright.engines.reference import PoolState, State, first_state, neurons_of, pool_spikes
from spikewright.engines.windows import levels_of, one_step, schedule_of
from spikewright.forward import split_inputs, tensors_on
from spikewright.graph import Array, Graph, Node, Shape, ToTensor
from spikewright.nodes import IF, Input, Output, SpikeMaxPool

if TYPE_CHECKING:
    from torch import Tensor

CACHE = 2**28
"""Values of a population's currents that are kept between rounds; of more they are worked out anew each time."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some samples at a population.

    Attributes:
        rows: which samples.
        currents: ``(b, S, *shape of what it reads)``: its input at each step, bias included; S is 1 where all steps
            are the same. Of a pool: the spikes it chooses from.
        activations: ``(b, *shape)``: what the analog network has there, in units of λ: one spike a step stands for 1.
    """

    rows: slice
    currents: Tensor
    activations: Tensor

    def at(self, t: int) -> Tensor:
        """``(b, *shape of what it reads)``: the currents of one step."""
        return self.currents[:, t if self.currents.shape[1] > 1 else 0]


class Layer:
    """A population, or an output, over all samples and steps, while what stands before it is as it will stay.

    Attributes:
        name: of the population.
        samples: N.
        timesteps: T; 1 of a network that speaks in windows: see ``Walk``.
        activations: ``(N, *shape)``: of the analog network, in units of λ, which windows cut into ``Walk.units``; None
            for a population that it does not have.
    """

    def __init__(self, walk: Walk, name: str, activations: Tensor | None) -> None:
        self._walk, self.name, self.activations = walk, name, activations
        self.samples, self.timesteps = walk.samples, walk.timesteps
        self._cache: list[Chunk] = []

    @property
    def graph(self) -> Graph:
        """The spiking network as it is now."""
        return self._walk.spiking.graph

    @property
    def node(self) -> Node:
        """The population as it is now: an ``IF``, a ``SpikeMaxPool``, or an ``Output``."""
        return self.graph[self.name]

    @property
    def shape(self) -> Shape:
        """The shape of a sample."""
        return self.graph.shapes[self.name]

    @property
    def operators(self) -> tuple[Node, ...]:
        """The linear operators that lead to it and to nothing else, in order: what may be changed for it alone."""
        return tuple(self.graph[name] for name in self._walk.spiking.own(self.name))

    def chunks(self) -> Iterator[Chunk]:
        """All samples, a few at a time. Currents are kept for the next round where they are not too large."""
        if self._cache:
            yield from self._cache
            return
        lane, steps = self._walk.spiking, self._walk.steps_before(self.name)
        size = prod(self.graph.input_shapes(self.name)[0]) * steps * self.samples
        found = []
        for rows in lane.rows(self.name, self.timesteps, self.samples):
            none = self.activations is None
            analog = self.activations[rows] if self.activations is not None else self._walk.empty
            chunk = Chunk(rows, lane.read(self.name, rows), analog)
            if size <= CACHE and not none:
                found.append(chunk)
            yield chunk
        self._cache = found

    @property
    def device(self) -> str:
        """The torch device that it is on."""
        return str(self._walk.empty.device)

    def wide(self, values: Array) -> Tensor:
        """``(channels, 1, …)``: a number of each channel, to be added to what all its neurons have."""
        return self._walk.to_tensor(values.reshape(-1, *(1 for _ in self.shape[1:])))

    @property
    def neurons(self) -> int:
        """How many neurons a channel has, over all samples: what sums of a channel are divided by for its mean."""
        return self.samples * prod(self.shape[1:])

    def kept(self) -> list[Chunk]:
        """The chunks that can be kept at one time, at least one: all of them but where these are large."""
        found: list[Chunk] = []
        for chunk in self.chunks():
            found.append(chunk)
            if sum(one.currents.numel() for one in found) > CACHE:
                break
        return found

    def read(
        self, rows: slice | Tensor, functions: Mapping[str, Callable[..., Tensor]] | None = None, mean_of: int = 0
    ) -> Tensor:
        """``(b, S, *shape of what it reads)``: what some samples bring it, bias included.

        Args:
            rows: which samples.
            functions: of some of its ``operators``, in place of their own: gradients go through them.
            mean_of: if given, the mean over so many steps alone, as one step: ``(b, 1, …)``.
        """
        return self._walk.spiking.read_by(self.name, rows, functions or {}, mean_of)

    def rows(self, rows: slice | Tensor) -> Tensor:
        """``(b, *shape)``: the analog activations of some samples."""
        assert self.activations is not None
        return self.activations[rows]

    def analog_currents(self, rows: slice | Tensor) -> Tensor:
        """``(b, *shape of what it reads)``: what some samples bring it in the analog network, in units of λ.

        Only while the walk stands at this layer, and of one that the analog network has.
        """
        import torch

        with torch.inference_mode():
            return self._walk.analog.value(self._walk.analog.graph[self.name].inputs[0], rows)[:, 0] * self._walk.units

    def fire(self, currents: Tensor, node: Node | None = None) -> Iterator[Tensor]:
        """What the neurons send at each step, ``(b, *shape)``, given their currents ``(b, S, *shape)``.

        Args:
            currents: of some samples.
            node: neurons other than those that are there now.
        """
        return fire(node or self.node, currents, self.timesteps, self._walk.dtype)

    def replace(self, *nodes: Node) -> None:
        """Put nodes in the place of those of their names: the population, or some of its ``operators``. A new node
        that has one input comes between that and the population."""
        for node in nodes:
            known = node.name == self.name or node.name in {one.name for one in self.operators}
            if node.name in self.graph and not known:
                raise ValueError(f"{node} is not read by '{self.name}' alone")
        if any(node.name != self.name for node in nodes):
            self._cache = []
        self._walk.spiking.replace(*nodes)


class Walk:
    """All populations of a conversion in order of execution, over some samples and T steps.

    ``for layer in walk`` gives each as a ``Layer``; when the next one is asked for, the spikes of the layer as it is
    then are worked out and kept, one byte each, for those that read them. In memory at one time are: the spikes (all
    samples, all steps) of populations that are still read; sums of weighted values that several populations read, four
    bytes each; analog activations of the same; and up to 1 GiB of currents of one population.

    A network whose neurons speak in windows is gone through as the network one step of which does the same
    (``one_step``): T is 1, and activations and biases are as many times as large as there are units to λ.

    Args:
        network: whose spiking network is gone through; the trained network of a conversion says what activations there
            should be, of a graph alone nobody knows.
        data: the samples, all of which are held in memory.
        timesteps: T.
        encoder: of the inputs.
        device: a torch device.
        progress: called with (populations done, populations in all).
    """

    def __init__(
        self,
        network: Conversion | Graph,
        data: Dataset,
        timesteps: int,
        *,
        encoder: Encoder | None = None,
        device: str = "cpu",
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        spiking = spiking_graph(network)
        self.timesteps, self.window = timesteps, None
        self.data, self.progress = as_dataset(data, spiking.inputs), progress
        self.samples = len(self.data)
        self.to_tensor: ToTensor = tensors_on(device)
        self.dtype = "float32"
        self.empty = self._found = self.to_tensor(np.zeros(0))
        self.encoder = (encoder or Constant()).fitted(spiking)
        self._given, self.units = spiking, 1
        schedule = schedule_of(spiking)
        if schedule != "free":
            self.units, _ = levels_of(schedule, timesteps)
            self.window, self.timesteps = timesteps, 1
        self.spiking = Lane(spiking if self.window is None else one_step(spiking, timesteps), self.to_tensor)
        analog = network.normalised if isinstance(network, Conversion) else Graph(spiking.of_type(Input))
        self.analog = Lane(analog, self.to_tensor)

    @property
    def graph(self) -> Graph:
        """The spiking network with all that was replaced so far."""
        if self.window is None:
            return self.spiking.graph
        before = {node.name: node for node in one_step(self._given, self.window)}
        return self._given.with_nodes(
            self._given[node.name] if node.alike(before.get(node.name)) else self._in_windows(node)
            for node in self.spiking.graph
        )

    def _in_windows(self, node: Node) -> Node:
        """A node that was changed in a network of one step, as it is in one of windows."""
        own = self._given.by_name.get(node.name)
        if isinstance(node, IF) and isinstance(own, IF):
            return node.replace(schedule=own.schedule, max_spikes=own.max_spikes)
        if isinstance(node, Output) and isinstance(own, Output):
            return own.replace(inputs=node.inputs)
        bias: Any = getattr(node, "bias", None)
        return node.replace(bias=bias / self.units) if isinstance(bias, np.ndarray) else node

    def __iter__(self) -> Iterator[Layer]:
        import torch

        with torch.inference_mode():
            self._start()
        order = list(self.spiking.graph)
        total, done = sum(node.population or isinstance(node, Output) for node in order), 0
        for name in (node.name for node in order):
            with torch.inference_mode():
                if name in self.spiking.shared:
                    self.spiking.settle(name, self.samples, self.timesteps)
                if name in self.analog.shared:
                    self.analog.settle(name, self.samples, 1)
            node = self.spiking.graph[name]
            if not (node.population or isinstance(node, Output)):
                continue
            with torch.inference_mode():
                layer = Layer(self, name, self._activations(node))
            yield layer
            with torch.inference_mode():
                self._settle(layer)
            done += 1
            if self.progress is not None:
                self.progress(done, total)

    def steps_before(self, name: str) -> int:
        """How many steps there are of what a node reads: 1 where all are the same."""
        return max(self._steps(source) for source in self.spiking.graph[name].inputs)

    def _steps(self, name: str) -> int:
        if name in self.spiking.kept:
            return self.spiking.kept[name].shape[1]
        return self.steps_before(name)

    def _start(self) -> None:
        """Keep the inputs."""
        import torch

        x: Any
        if isinstance(self.data, EventDataset):
            x = self.data.batch(0, self.samples).to(self.empty)
        else:
            x = torch.cat([torch.from_numpy(np.ascontiguousarray(x)) for x, _ in self.data.batches(256)]).to(self.empty)
        steps, first = self.timesteps if self.window is None else self.window, self.data.first_sample
        at = [self.encoder.at(x, 0, first)]
        if steps > 1 and (second := self.encoder.at(x, 1, first)) is not at[0]:
            at += [second, *(self.encoder.at(x, t, first) for t in range(2, steps))]
        if self.window is not None:
            at = [torch.stack(at).mean(dim=0) * self.units]
        parts = [split_inputs(self._given, one) for one in at]
        for name in self._given.inputs:
            self.spiking.keep(name, torch.stack([one[name] for one in parts], dim=1))
        for name, mean in split_inputs(self._given, self.encoder.mean(x, steps)).items():
            self.analog.keep(name, mean[:, None])

    def _activations(self, node: Node) -> Tensor | None:
        """``(N, *shape)`` of the analog network, kept for those that read it once the layer is settled."""
        import torch

        lane, name = self.analog, node.name
        if name not in lane.graph or lane.graph.shapes[name] != self.spiking.graph.shapes[name]:
            return None
        read = lane.read if isinstance(node, Output) else lane.value
        found = torch.cat([read(name, rows)[:, 0] for rows in lane.rows(name, 1, self.samples)])
        self._found = found
        return found if self.units == 1 else found * self.units

    def _settle(self, layer: Layer) -> None:
        """Keep the spikes of a layer as it is now, and what the analog network has there."""
        import torch

        if layer.activations is not None:
            self.analog.keep(layer.name, self._found[:, None])
            self._found = self.empty
        lane = self.spiking
        if layer.node.population and lane.readers[layer.name]:
            lane.keep(layer.name, torch.cat([self._sent(layer, chunk.currents) for chunk in layer.chunks()]))
        else:
            lane.done(layer.name)
        layer._cache = []

    @staticmethod
    def _sent(layer: Layer, currents: Tensor) -> Tensor:
        """``(b, T, *shape)``: what a layer sends, one byte each where it is whole and small."""
        import torch

        if isinstance(layer.node, IF) and layer.node.max_spikes in range(1, 128):
            return torch.stack([sent.to(torch.int8) for sent in layer.fire(currents)], dim=1)
        return compact(torch.stack(list(layer.fire(currents)), dim=1))


class Neurons:
    """The neurons of a population, or a pool, by themselves: they step as the reference engine has it.

    ``step`` changes nothing in place but for pools, so that a step of neurons can be taken again.

    Args:
        node: a population.
        shape: of a sample of what it reads.
        device: a torch device.
        dtype: of the potentials.
    """

    def __init__(self, node: Node, shape: Shape, device: str = "cpu", dtype: str = "float32") -> None:
        self._node, self._shape, self._to_tensor = node, shape, tensors_on(device, dtype)
        self._rule = IntegrateAndFire()
        self._population = neurons_of(node, shape, self._to_tensor) if isinstance(node, IF) else None

    def start(self, samples: int) -> State:
        """The state of as many samples before the first step."""
        return first_state(self._shape, samples, self._to_tensor, self._population, self._rule)

    def step(self, current: Tensor, state: State, t: int) -> tuple[Tensor, State]:
        """One step: what is sent, ``(b, *shape)``, given the currents ``(b, *shape)``, and the state after it."""
        if self._population is not None and isinstance(state, NeuronState):
            return self._rule.step(self._population, state, current)
        assert isinstance(self._node, SpikeMaxPool)
        assert isinstance(state, PoolState)
        return pool_spikes(self._node, self._to_tensor, state, current, t), state


def fire(node: Node, currents: Tensor, timesteps: int, dtype: str = "float32") -> Iterator[Tensor]:
    """What neurons, or a pool, send at each step, ``(b, *shape)``: as the reference engine has it.

    Args:
        node: a population; of an output what it reads is given back.
        currents: ``(b, S, *shape of what it reads)``: S is 1 where all steps are the same, else at least T.
        timesteps: T.
        dtype: of the potentials.
    """
    import torch

    with torch.inference_mode():
        at = [currents[:, t if currents.shape[1] > 1 else 0] for t in range(timesteps)]
        if isinstance(node, Output):
            yield from at
            return
        neurons = Neurons(node, tuple(currents.shape[2:]), str(currents.device), dtype)
        state = neurons.start(len(currents))
        for t, current in enumerate(at):
            sent, state = neurons.step(current, state, t)
            yield sent


def channel_sums(values: Tensor) -> Tensor:
    """``(channels,)`` of ``(b, channels, ...)``: sums over samples and positions, in double precision."""
    return values.flatten(2).sum(dim=2).double().sum(dim=0) if values.ndim > 2 else values.double().sum(dim=0)
