"""A spiking network as peers have it: a module that keeps its state from call to call, until somebody resets it.

torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from spikewright.conversion import Conversion
from spikewright.engines import IntegrateAndFire
from spikewright.engines.neurons import NeuronState
from spikewright.engines.reference import Simulation, State, neurons_of, started
from spikewright.errors import DataError
from spikewright.graph import Array
from spikewright.nodes import IF, Output
from spikewright.training import module
from spikewright.training.spiking_module import ModuleState

Watcher = Callable[[Mapping[str, Tensor]], None]
"""Sees the values of every node in every step of a call, ``(steps, samples, *shape)``."""


class KeptState(nn.Module):
    """What one population remembers between calls.

    Attributes:
        name: of the population.
        state: after the last step; None before the first.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.state: State | None = None

    @property
    def v(self) -> Tensor | None:
        """The membrane potentials, ``(samples, *shape)``, in units of the threshold; None before the first step."""
        return self.state.v if isinstance(self.state, NeuronState) else None

    def reset(self) -> None:
        """Forget what happened: the next step is the first again."""
        self.state = None

    def extra_repr(self) -> str:
        """The population's name, for ``print``."""
        return self.name


class RunningNetwork(nn.Module):
    """A conversion's spiking network with its state.

    Attributes:
        conversion: what it was made of.
        net: its training module, whose parameters these are.
        populations: the state of each population, which has a ``reset`` of its own.
        watchers: called after each call with what every node did in it; while there are some, no gradients flow.
        advice: how a user of the peer begins anew.
    """

    def __init__(self, conversion: Conversion, advice: str) -> None:
        super().__init__()
        self.conversion, self.advice = conversion, advice
        self.net = module(conversion)
        self.populations = nn.ModuleList(KeptState(node.name) for node in self.net.graph.populations)
        self.watchers: list[Watcher] = []
        self.t = 0

    def reset(self) -> None:
        """Forget what happened: the next step is the first again."""
        for population in self.kept:
            population.reset()
        self.t = 0

    @property
    def kept(self) -> list[KeptState]:
        """The state of each population."""
        return [population for population in self.populations if isinstance(population, KeptState)]

    def advance(self, x: Tensor) -> Tensor:
        """Run some steps from where the network stands.

        Args:
            x: ``(steps, samples, *shape)``.

        Returns:
            ``(steps, samples, *shape)``: what arrived at the output in each step, before a final activation.

        Raises:
            DataError: for another shape, and for another number of samples than before.
        """
        states = self._states(x)
        arrived = self._watched(x, states) if self.watchers else self._run(x, states)
        self.t += len(x)
        return arrived

    def _run(self, x: Tensor, states: Mapping[str, State]) -> Tensor:
        like = next(iter(self.net.parameters()))
        shapes = {output.name: self.net.graph.input_shapes(output)[0] for output in self.net.graph.of_type(Output)}
        nothing = {name: torch.zeros((), dtype=like.dtype, device=like.device) for name in shapes}
        totals = {name: zero.expand(x.shape[1], *shapes[name]) for name, zero in nothing.items()}
        done = self.net.run(x, state=ModuleState(states, totals, self.t))
        for population in self.kept:
            population.state = done.state.populations[population.name]
        return next(iter(done.arrived.values()))

    def _watched(self, x: Tensor, states: dict[str, State]) -> Tensor:
        simulation = Simulation(self.net.spiking())
        with torch.inference_mode():
            steps = [simulation.step(frame.detach().cpu().float(), states, self.t + t) for t, frame in enumerate(x)]
        values = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
        for population in self.kept:
            population.state = states[population.name]
        for watcher in self.watchers:
            watcher(values)
        return values[self.net.graph.of_type(Output)[0].name].to(x.device)

    def _states(self, x: Tensor) -> dict[str, State]:
        """The state of every population, of those that were reset as in the beginning."""
        graph, like, samples = self.net.graph, next(iter(self.net.parameters())), x.shape[1]

        def to_tensor(array: Array) -> Tensor:
            return torch.tensor(array, dtype=like.dtype, device=like.device)

        neurons = {node.name: neurons_of(node, graph.shapes[node.name], to_tensor) for node in graph.of_type(IF)}
        found = started(graph, samples, to_tensor, neurons, IntegrateAndFire())
        kept = {population.name: population.state for population in self.kept if population.state is not None}
        if not kept:
            self.t = 0
        before = {len(state.v) for state in kept.values()}
        if before - {samples}:
            raise DataError(f"the state is that of {before.pop()} samples, the batch has {samples}: {self.advice}")
        return {**found, **kept}
