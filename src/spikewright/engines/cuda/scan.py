"""What depends on the step before, over the timesteps of a chunk: neurons, and running sums.

Time is the first axis of every tensor, samples are the second. What is the same at every step has one step only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from spikewright.engines.neurons import NeuronState, Population, fire

if TYPE_CHECKING:
    from torch import Tensor


class Fired(NamedTuple):
    """What a population did in a chunk.

    Attributes:
        spikes: ``(steps, samples, *shape)``.
        counts: ``(samples, *shape)``: the same, summed over the chunk.
        state: of the population after the chunk.
        potentials: ``(steps, samples, *shape)``: after each step, where asked for.
    """

    spikes: Tensor
    counts: Tensor
    state: NeuronState
    potentials: Tensor | None


class Scan(Protocol):
    """One way of going through the timesteps of a chunk."""

    def fire(self, population: Population, state: NeuronState, current: Tensor, steps: int, potentials: bool) -> Fired:
        """Run a population.

        Args:
            population: its neurons.
            state: before the chunk; tensors ``(samples, *shape)``.
            current: ``(steps, samples, *shape)``, or one step of it.
            steps: of the chunk.
            potentials: whether those after each step are wanted.
        """
        ...

    def add_up(self, start: Tensor, values: Tensor, steps: int) -> Tensor:
        """``(steps, samples, *shape)``: ``start`` and the values up to each step, added in the order of time."""
        ...


class Stepwise(Scan):
    """Step by step, in plain torch: on any device."""

    def fire(self, population: Population, state: NeuronState, current: Tensor, steps: int, potentials: bool) -> Fired:
        import torch

        spikes, after, counts = [], [], torch.zeros_like(state.v)
        for now in current.expand(steps, *state.v.shape):
            n, state = fire(population, state, now)
            spikes.append(n)
            counts = counts + n
            if potentials:
                after.append(state.v)
        return Fired(torch.stack(spikes), counts, state, torch.stack(after) if potentials else None)

    def add_up(self, start: Tensor, values: Tensor, steps: int) -> Tensor:
        import torch

        totals = [start]
        for now in values.expand(steps, *start.shape):
            totals.append(totals[-1] + now)
        return torch.stack(totals[1:])
