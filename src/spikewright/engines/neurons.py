"""What a neuron does in one step: a policy handed to the reference simulation.

A policy is a small frozen value. It says what a population remembers before the first step, and what one step makes of
that and of the input. The loop over time, the linear operators and what is recorded know nothing of it::

    @dataclass(frozen=True)
    class Saturating(NeuronStep):
        '''Integrate-and-fire with potentials that end at a highest value.'''

        highest: float = 2.0

        def step(self, population, state, current):
            spikes, state = IntegrateAndFire().step(population, state, current)
            return spikes, state.with_potential(state.v.clamp(max=self.highest))

    simulate(graph, data, step=Saturating(1.5))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from spikewright.nodes import IF

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons with their thresholds and lowest potentials on the device.

    Attributes:
        neuron: their settings: reset, leak, spikes a step.
        threshold: ``(*shape)``, of every neuron.
        v_min: ``(*shape)``, the lowest potential of every neuron, or None.
    """

    neuron: IF
    threshold: Tensor
    v_min: Tensor | None


@dataclass(frozen=True, eq=False)
class NeuronState:
    """What a population remembers between steps.

    Attributes:
        v: ``(B, *shape)``: membrane potentials; what ``record="potentials"`` records.
        memory: whatever else a policy keeps, each ``(B, *shape)``.
    """

    v: Tensor
    memory: tuple[Tensor, ...] = ()

    def with_potential(self, v: Tensor) -> NeuronState:
        """The same with other membrane potentials."""
        return replace(self, v=v)


class NeuronStep(ABC):
    """A policy: what the neurons of a population do in one step.

    Attributes:
        differentiable: whether gradients go through its step. The reference simulation then leaves autograd on, unless
            the caller has turned it off (``torch.no_grad``).
    """

    differentiable: ClassVar[bool] = False

    def start(self, population: Population, v: Tensor) -> NeuronState:  # noqa: ARG002 - for those that need it
        """The state before the first step.

        Args:
            population: the neurons.
            v: ``(B, *shape)``: their potentials then.
        """
        return NeuronState(v)

    @abstractmethod
    def step(self, population: Population, state: NeuronState, current: Tensor) -> tuple[Tensor, NeuronState]:
        """One step; it changes nothing in place.

        Args:
            population: the neurons.
            state: before the step.
            current: ``(B, *shape)``: the input of the step, bias included.

        Returns:
            what each neuron sends ``(B, *shape)``, and the state after the step.
        """


@dataclass(frozen=True)
class IntegrateAndFire(NeuronStep):
    """The neurons of a graph as their settings say, with and without leak: see ``nodes/integrate_and_fire.py``."""

    def step(self, population: Population, state: NeuronState, current: Tensor) -> tuple[Tensor, NeuronState]:
        n, v = fire(population, state.v, current)
        return n, state.with_potential(v)


def fire(population: Population, v: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
    """One step of integrate-and-fire neurons.

    Args:
        population: the neurons.
        v: ``(B, *shape)``: membrane potentials before the step.
        current: ``(B, *shape)``: the input of the step.

    Returns:
        the number of spikes of each neuron, and the potentials after the step, both ``(B, *shape)``.
    """
    neuron, threshold = population.neuron, population.threshold
    v = v + current if neuron.decay == 1.0 else neuron.decay * v + current
    single = neuron.max_spikes == 1
    n = (v >= threshold).to(v.dtype) if single else (v / threshold).floor().clamp(0, neuron.max_spikes)
    v = v - n * threshold if neuron.reset == "subtract" else v.where(n == 0, neuron.v_reset)
    return n, v if population.v_min is None else v.maximum(population.v_min)
