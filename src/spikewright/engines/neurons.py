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
    """Neurons with their thresholds, lowest potentials and biases of some steps on the device.

    Attributes:
        neuron: their settings: reset, leak, spikes a step.
        threshold: ``(*shape)``, of every neuron.
        v_min: ``(*shape)``, the lowest potential of every neuron, or None.
        step_bias: ``(steps, channels, 1, …)``, added in each of the first steps, or None.
        fired_bias: ``(channels, 1, …)``, added in these steps where a neuron has sent a spike, or None.
    """

    neuron: IF
    threshold: Tensor
    v_min: Tensor | None
    step_bias: Tensor | None = None
    fired_bias: Tensor | None = None


@dataclass(frozen=True, eq=False)
class NeuronState:
    """What a population remembers between steps.

    Attributes:
        v: ``(B, *shape)``: membrane potentials; what ``record="potentials"`` records.
        memory: whatever else a policy keeps, each ``(B, *shape)``.
        t: how many steps there were.
        sent: ``(B, *shape)``: the sum of all that each neuron sent; None for nothing, or where nothing asks for it.
        fired: ``(B, *shape)``: 1 where a neuron ever sent a spike, 0 elsewhere; None for nowhere, or as ``sent``.
    """

    v: Tensor
    memory: tuple[Tensor, ...] = ()
    t: int = 0
    sent: Tensor | None = None
    fired: Tensor | None = None

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
        return fire(population, state, current)


def fire(population: Population, state: NeuronState, current: Tensor) -> tuple[Tensor, NeuronState]:
    """One step of integrate-and-fire neurons.

    Args:
        population: the neurons.
        state: before the step.
        current: ``(B, *shape)``: the input of the step, without the biases of ``population``.

    Returns:
        what each neuron sends ``(B, *shape)``, and the state after the step.
    """
    return discharged(population, state, charged(population, state, current))


def charged(population: Population, state: NeuronState, current: Tensor) -> Tensor:
    """``(B, *shape)``: the potentials of a step before any spike: what is left of those before it, and the input.

    Args:
        population: the neurons.
        state: before the step.
        current: ``(B, *shape)``: the input of the step, without the biases of ``population``.
    """
    current = _with_step_biases(population, state, current)
    decay = population.neuron.decay
    return state.v + current if decay == 1.0 else decay * state.v + current


def reached(v: Tensor, threshold: Tensor) -> Tensor:
    """``(B, *shape)``: 1 where potentials are at their threshold or above it, else 0.

    Written as numbers at once: truth values made first, and numbers of them, take several times as long.

    Args:
        v: ``(B, *shape)``: the potentials.
        threshold: of a shape that fits.
    """
    import torch

    return torch.ge(v.detach(), threshold.detach(), out=torch.empty_like(v.detach()))


def discharged(population: Population, state: NeuronState, v: Tensor) -> tuple[Tensor, NeuronState]:
    """What neurons of given potentials send, and the state once that is done.

    Args:
        population: the neurons.
        state: before the step.
        v: ``(B, *shape)``: the potentials, from ``charged``.
    """
    neuron, threshold = population.neuron, population.threshold
    single = neuron.max_spikes == 1
    n = reached(v, threshold) if single else (v / threshold).floor().clamp(0, neuron.max_spikes)
    sent, fired = state.sent, state.fired
    if neuron.signed:
        sent = n.new_zeros(()) if sent is None else sent
        too_many = (-v / threshold).floor() + 1
        taken_back = too_many.minimum(sent).clamp(0, neuron.max_spikes).where(v <= 0, 0)
        n = n - taken_back
        sent = sent + n
    if neuron.reset == "subtract" and single:
        v = v.addcmul(n, threshold, value=-1)  # n is -1, 0 or 1: as exact as a product and a difference, and quicker
    else:
        v = v - n * threshold if neuron.reset == "subtract" else v.where(n == 0, neuron.v_reset)
    v = v if population.v_min is None else v.maximum(population.v_min)
    if neuron.no_debt or neuron.fired_bias is not None:
        now = n != 0 if fired is None else (n != 0) | (fired != 0)
        fired = now.to(v.dtype)
        v = v.where(now, v.clamp(min=0)) if neuron.no_debt else v
    return n, NeuronState(v, state.memory, state.t + 1, sent, fired)


def _with_step_biases(population: Population, state: NeuronState, current: Tensor) -> Tensor:
    """The current of a step with the biases of that step."""
    if population.step_bias is None or state.t >= len(population.step_bias):
        return current
    current = current + population.step_bias[state.t]
    if population.fired_bias is None or state.fired is None:
        return current
    return current + state.fired * population.fired_bias
