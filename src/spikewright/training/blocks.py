"""Blocks of neurons through all timesteps, forwards and backwards: what ``scan.py`` does is put together of them.

Populations are flat, ``(neurons,)``, and values ``(steps, samples, neurons)``. torch is imported with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from spikewright.engines.neurons import NeuronState, Population, charged, discharged, reached
from spikewright.training.pools import Tiles
from spikewright.training.slopes import SpikeGradient, slopes_of, threshold_slopes

BLOCK = 2**16
"""Values of one step that are worked on together on a CPU, so that a few such rows stay in its own cache."""


def remembers(population: Population) -> bool:
    """Whether its neurons must know if they have ever sent a spike."""
    return population.neuron.no_debt or population.neuron.fired_bias is not None


class After(NamedTuple):
    """What is known after the last step: potentials, what was sent, and where ever a spike was; None for not asked."""

    v: Tensor | None
    sent: Tensor | None
    fired: Tensor | None

    @classmethod
    def of_neurons(cls, population: Population, v: Tensor) -> After:
        """Room for what a population remembers; ``v``: ``(samples, neurons)``."""
        asked = (True, population.neuron.signed, remembers(population))
        return cls(*(torch.empty_like(v, memory_format=torch.contiguous_format) if one else None for one in asked))

    def of(self, samples: slice, neurons: slice) -> After:
        """Those of some samples and neurons."""
        return After(*(None if part is None else part[samples, neurons] for part in self))


class Gradients(NamedTuple):
    """The gradients of spikes, or of their means in ``tiles``, and of the last potentials; None for zeros."""

    spikes: Tensor | None
    v: Tensor | None
    tiles: Tiles | None = None

    def of(self, samples: slice, neurons: slice) -> Gradients:
        """Those of the spikes of some samples and neurons."""
        spikes = None if self.spikes is None else self.spikes[:, samples]
        if spikes is not None:
            spikes = spikes[..., neurons] if self.tiles is None else self.tiles.spread(spikes)
        return Gradients(spikes, None if self.v is None else self.v[samples, neurons])


class Block(NamedTuple):
    """Some neurons of some samples: populations flat, ``(neurons,)``; states ``(samples, neurons)``.

    Attributes:
        population, state: of these alone.
        unit: whether all thresholds are known to be 1.
        samples, neurons: which.
    """

    population: Population
    state: NeuronState
    unit: bool
    samples: slice
    neurons: slice

    def of(self, values: Tensor) -> Tensor:
        """The part of ``(steps, samples, neurons)`` that is of these."""
        return values[:, self.samples, self.neurons]

    def run(self, current: Tensor, charges: Tensor, spikes: Tensor, after: After | None = None) -> None:
        """All steps, written into ``charges``, which may be ``current``, ``spikes`` and ``after``."""
        neuron, state = self.population.neuron, self.state
        if charges.is_cuda and charges.dtype == torch.float32 and neuron.fired_bias is None and find_spec("triton"):
            from spikewright.training.kernels import run

            state = run(self.population, state, current, charges, spikes)
        elif not neuron.signed and not remembers(self.population):
            state = self._run_plain(current, charges, spikes)
        else:
            state = self._run_any(current, charges, spikes)
        places = () if after is None else after.of(self.samples, self.neurons)
        for place, found in zip(places, (state.v, state.sent, state.fired), strict=False):
            if place is not None and found is not None:
                place.copy_(found)

    def _run_any(self, current: Tensor, charges: Tensor, spikes: Tensor) -> NeuronState:
        """``engines.neurons.fire``, with the potentials between its two halves kept."""
        state = self.state
        for t in range(len(charges)):
            charges[t] = charged(self.population, state, current[t if len(current) > 1 else 0])
            spikes[t], state = discharged(self.population, state, charges[t])
        return state

    def _run_plain(self, current: Tensor, charges: Tensor, spikes: Tensor) -> NeuronState:
        """``engines.neurons.fire`` in place, of neurons that remember nothing but their potential."""
        neuron, threshold, v_min = self.population.neuron, self.population.threshold, self.population.v_min
        biases = self.population.step_bias
        v = self.state.v.clone(memory_format=torch.contiguous_format)
        rows = zip(current.expand_as(charges).unbind(), charges.unbind(), spikes.unbind(), strict=True)
        for t, (now, h, n) in enumerate(rows):
            if biases is not None and self.state.t + t < len(biases):
                now = now + biases[self.state.t + t]
            torch.add(v if neuron.decay == 1.0 else v.mul_(neuron.decay), now, out=h)
            if neuron.max_spikes == 1:
                torch.ge(h, threshold, out=n)
            else:
                torch.div(h, threshold, out=n).floor_().clamp_(0, neuron.max_spikes)
            if neuron.reset == "zero":
                torch.where(n == 0, h, h.new_full((), neuron.v_reset), out=v)
            elif self.unit:
                torch.sub(h, n, out=v)
            else:
                torch.sub(h, torch.mul(n, threshold, out=v), out=v)
            if v_min is not None:
                torch.maximum(v, v_min, out=v)
        return replace(self.state, v=v)

    def back(
        self,
        h: Tensor,
        n: Tensor | None,
        given: Gradients,
        gradient: SpikeGradient,
        wanted: bool,
        place: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """The gradient of the input at each step, in its place if there is one, and of the thresholds if wanted.

        The place may be that of ``h`` where thresholds are not wanted.
        """
        given = given.of(self.samples, self.neurons)
        if not wanted and self._plain_backwards(h):
            return self._back_plain(h, given, gradient, place), None
        n = self._sent(h, wanted) if n is None else n
        slopes = slopes_of(self.population, gradient, h, n, self.state.sent, self.state.fired)
        reset = slopes.reset if slopes.kept is None else slopes.reset * slopes.kept
        if given.spikes is None:
            delta = torch.zeros_like(h) if place is None else place.zero_()
        else:
            delta = torch.mul(slopes.spikes, given.spikes, out=place)
        u = _recurrence(delta, reset, given.v, self.population.neuron.decay, wanted)
        if u is None:
            return delta, None
        spikes, after = threshold_slopes(self.population, gradient, h, n, slopes)
        found = u * after if slopes.kept is None else u * after * slopes.kept
        found = found if given.spikes is None else found + given.spikes * spikes
        return delta, found.sum((0, 1))

    def _plain_backwards(self, h: Tensor) -> bool:
        """Whether nothing but potentials has a part in the recurrence, which ``_back_plain`` does on a CPU."""
        neuron = self.population.neuron
        lowest = self.population.v_min is not None or neuron.no_debt
        return neuron.reset == "subtract" and not neuron.signed and not lowest and not h.is_cuda

    def _back_plain(self, h: Tensor, given: Gradients, gradient: SpikeGradient, place: Tensor | None) -> Tensor:
        """``δ[t] = u[t] + g[t]·(w[t] − θ·u[t])``, without the slopes of resets; ``place`` may be that of ``h``."""
        neuron, threshold = self.population.neuron, self.population.threshold
        g = gradient.surrogate.slope(h, threshold.new_ones(()) if self.unit else threshold)
        delta = torch.empty_like(g) if place is None else place
        row, u = torch.empty_like(g[0]), given.v
        nothing = h.new_zeros(()).expand_as(h) if given.spikes is None else given.spikes
        for slope, w, found in zip(*(reversed(rows.unbind()) for rows in (g, nothing, delta)), strict=True):
            if u is None:
                torch.mul(slope, w, out=found)
            elif gradient.detach_reset:
                torch.addcmul(u, slope, w, out=found)
            else:
                less = torch.sub(w, u, out=row) if self.unit else torch.addcmul(w, threshold, u, value=-1, out=row)
                torch.addcmul(u, slope, less, out=found)
            u = found if neuron.decay == 1.0 else neuron.decay * found
        return delta

    def _sent(self, h: Tensor, wanted: bool) -> Tensor:
        """The spikes of given potentials once more; what nobody looks at is left away."""
        neuron, threshold = self.population.neuron, self.population.threshold
        if neuron.reset == "subtract" and self.population.v_min is None and not wanted:
            return h
        if neuron.max_spikes == 1:
            return reached(h, threshold)
        return (h / threshold).floor_().clamp_(0, neuron.max_spikes)


def _recurrence(delta: Tensor, reset: Tensor, last: Tensor | None, decay: float, wanted: bool) -> Tensor | None:
    """``δ[t] ← δ[t] + r[t]·u[t]`` in place, from the last step to the first; ``u`` where it is wanted."""
    if delta.is_cuda and not wanted and find_spec("triton") is not None:
        from spikewright.training.kernels import recurrence

        recurrence(delta, reset, last, decay)
        return None
    ends = torch.zeros_like(delta) if wanted else None
    u = last
    for t in range(len(delta) - 1, -1, -1):
        if u is not None:
            delta[t].addcmul_(reset[t], u)
            if ends is not None:
                ends[t] = u
        u = delta[t] if decay == 1.0 else decay * delta[t]
    return ends


def blocks(
    population: Population, state: NeuronState, unit: bool, steps: int = 1, whole: bool = False
) -> Iterator[Block]:
    """Samples and neurons that are worked on together, all of them but on a CPU.

    Args:
        population: flat.
        state: flat.
        unit: whether all thresholds are known to be 1.
        steps: how many of them are worked on at a time.
        whole: whether the neurons of a sample stay together.
    """
    samples, neurons = state.v.shape
    least = neurons if whole else 1
    size = max(least, 4 * BLOCK // (3 + steps)) if state.v.device.type == "cpu" else max(1, state.v.numel())
    wide = -(-neurons // -(-neurons // size))  # parts of about one size
    high = max(1, size // wide)
    for first in range(0, samples, high):
        for begin in range(0, neurons, wide):
            rows, row = slice(first, first + high), slice(begin, begin + wide)
            yield Block(_of_neurons(population, row), _of_state(state, rows, row), unit, rows, row)


def flat_population(population: Population, shape: torch.Size) -> Population:
    """A population with its tensors in one row of neurons."""

    def row(values: Tensor | None, leading: int = 0) -> Tensor | None:
        return None if values is None else values.expand(*values.shape[:leading], *shape).flatten(leading)

    return replace(
        population,
        threshold=population.threshold.flatten(),
        v_min=row(population.v_min),
        step_bias=row(population.step_bias, 1),
        fired_bias=row(population.fired_bias),
    )


def _of_neurons(population: Population, neurons: slice) -> Population:
    """Some neurons of a flat population."""
    parts = (population.v_min, population.step_bias, population.fired_bias)
    v_min, steps, fired = (None if part is None else part[..., neurons] for part in parts)
    threshold = population.threshold[neurons]
    return replace(population, threshold=threshold, v_min=v_min, step_bias=steps, fired_bias=fired)


def flat_state(state: NeuronState) -> NeuronState:
    """A state with its tensors as ``(samples, neurons)``."""
    sent, fired = (None if part is None else part.flatten(1) for part in (state.sent, state.fired))
    return replace(state, v=state.v.flatten(1), sent=sent, fired=fired)


def _of_state(state: NeuronState, samples: slice, neurons: slice) -> NeuronState:
    """The state of some neurons of some samples."""
    sent, fired = (None if part is None else part[samples, neurons] for part in (state.sent, state.fired))
    return replace(state, v=state.v[samples, neurons], sent=sent, fired=fired)
