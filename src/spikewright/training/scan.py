"""Neurons through all timesteps of a batch, forwards and backwards, without a graph of T steps.

Forwards it is what the reference simulation does, to the bit. What is kept is one tensor: the potentials ``h`` before
the reset; the spikes are kept by whoever reads them. Backwards every kind of neuron is one linear recurrence, from the
last step to the first::

    u[t] = decay·δ[t+1]                 (of the last step: the gradient of the state)
    δ[t] = w[t]·g[t] + r[t]·u[t]

where ``w`` is the gradient of the spikes, ``u`` that of the potential after the step, ``δ`` that of the input, ``g``
the slope of what is sent, and ``r`` that of the reset: ``1 − θ·g`` for a subtraction (1 if detached), ``1[n = 0]`` for
a reset to zero (and ``(v_reset − h)·g``, unless detached), and 0 where a potential ended at a lower end. Spikes depend
on ``h/θ`` alone, so their slope with the threshold is ``−(h/θ)·g``.

Sources: backpropagation through time with surrogate gradients, Neftci et al., IEEE Signal Processing Magazine 2019; the
numbers are those of sinabs 3.1.3, SpikingJelly 2.0.0 and snnTorch 1.0.0, which the tests hold.

On a CPU work goes in blocks of neurons, which stay in the cache for all of their steps; on a GPU it is a kernel. torch
is imported with the file: import it where a scan is to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikewright.engines.neurons import NeuronState, Population, charged, discharged, reached
from spikewright.training.slopes import SpikeGradient, slopes_of, threshold_slopes

BLOCK = 2**18
"""Values of one step that are worked on together on a CPU."""


def scan(
    population: Population, state: NeuronState, current: Tensor, steps: int, gradient: SpikeGradient
) -> tuple[Tensor, NeuronState]:
    """Run a population over some timesteps; gradients go to the input, to the potentials and to the thresholds.

    Args:
        population: its neurons.
        state: before the first step; tensors ``(samples, *shape)``.
        current: ``(steps, samples, *shape)``: the input, or one step of it where it is always the same.
        steps: how many.
        gradient: what stands for the slope of spikes.

    Returns:
        the spikes, ``(steps, samples, *shape)``, and the state after the last step.
    """
    maps = state.v.ndim == 4 and not state.v.is_cuda
    if maps:
        current, state, population = current.movedim(2, -1), _moved(state), _moved_neurons(population)
    given = (current, state.v, population.threshold)
    spikes, v, sent, fired = _Scan.apply(*given, population, state, steps, gradient)  # type: ignore[no-untyped-call]
    signed, remembers = population.neuron.signed, _remembers(population)
    after = replace(state, v=v, t=state.t + steps, sent=sent if signed else state.sent)
    after = replace(after, fired=fired) if remembers else after
    return (spikes.movedim(-1, 2), _moved(after, back=True)) if maps else (spikes, after)


def _moved(state: NeuronState, back: bool = False) -> NeuronState:
    """The state of maps with their channels last, or back."""
    ends = (-1, 1) if back else (1, -1)
    sent, fired = (None if part is None else part.movedim(*ends) for part in (state.sent, state.fired))
    return replace(state, v=state.v.movedim(*ends), sent=sent, fired=fired)


def _moved_neurons(population: Population) -> Population:
    """A population of maps with their channels last."""

    def moved(values: Tensor | None) -> Tensor | None:
        return None if values is None or values.ndim < 3 else values.movedim(-3, -1)

    return replace(
        population,
        threshold=population.threshold.movedim(0, -1),
        v_min=moved(population.v_min),
        step_bias=moved(population.step_bias),
        fired_bias=moved(population.fired_bias),
    )


def _remembers(population: Population) -> bool:
    """Whether its neurons must know if they have ever sent a spike."""
    return population.neuron.no_debt or population.neuron.fired_bias is not None


class _Scan(torch.autograd.Function):
    """``scan`` with its own backward."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        v: Tensor,
        threshold: Tensor,
        population: Population,
        state: NeuronState,
        steps: int,
        gradient: SpikeGradient,
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        shape = v.shape
        flat = _flat(replace(population, threshold=threshold), shape[1:])
        before = _flat_state(state)
        charges, spikes = (v.new_empty(steps, *before.v.shape) for _ in range(2))
        neuron = population.neuron
        asked = (True, neuron.signed, _remembers(population))
        after = _After(*(v.new_empty(before.v.shape) if needed else None for needed in asked))
        given = current.reshape(len(current), *before.v.shape)
        for samples, neurons in _blocks(before.v):
            block = _Block(_of_neurons(flat, neurons), _of_state(before, samples, neurons))
            there = (slice(None), samples, neurons)
            block.run(given[there], charges[there], spikes[there], after.of(samples, neurons))
        again = neuron.signed or _remembers(population)  # else spikes are found again from the potentials
        ctx.save_for_backward(charges, threshold, *([spikes] if again else []))
        ctx.population, ctx.gradient, ctx.state = population, gradient, replace(before, v=before.v[:0])
        ctx.still, ctx.shape = len(current) < steps, shape
        potentials, sent, fired = (None if part is None else part.view(shape) for part in after)
        ctx.mark_non_differentiable(*(part for part in (sent, fired) if part is not None))
        ctx.set_materialize_grads(False)
        return spikes.view(steps, *shape), potentials, sent, fired

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, spikes_gradient: Tensor | None, v_gradient: Tensor | None, *_: Any) -> tuple[Any, ...]:
        h, threshold, *rest = ctx.saved_tensors
        n = rest[0] if rest else None
        flat = _flat(replace(ctx.population, threshold=threshold), ctx.shape[1:])
        state = replace(ctx.state, v=h[0])
        wanted = ctx.needs_input_grad[2]
        given = _Gradients(
            None if spikes_gradient is None else spikes_gradient.reshape(h.shape),
            None if v_gradient is None else v_gradient.reshape(h.shape[1:]),
        )
        current = h.new_empty(1 if ctx.still else len(h), *h.shape[1:])
        first, thresholds = h.new_empty(h.shape[1:]), h.new_zeros(h.shape[2])
        for samples, neurons in _blocks(h[0], len(h)):
            there = (slice(None), samples, neurons)
            block = _Block(_of_neurons(flat, neurons), _of_state(state, samples, neurons))
            own = None if n is None else n[there]
            place = None if ctx.still else current[there]
            part = given.of(samples, neurons)
            delta, of_threshold = block.back(h[there], own, part, ctx.gradient, wanted, place)
            if ctx.still:
                torch.sum(delta, 0, keepdim=True, out=current[there])
            torch.mul(delta[0], flat.neuron.decay, out=first[samples, neurons])
            if of_threshold is not None:
                thresholds[neurons] += of_threshold
        return (
            current.view(len(current), *ctx.shape) if ctx.needs_input_grad[0] else None,
            first.view(ctx.shape) if ctx.needs_input_grad[1] else None,
            thresholds.view(ctx.shape[1:]) if wanted else None,
            *(None,) * 4,
        )


class _After(NamedTuple):
    """What is known after the last step: potentials, what was sent, and where ever a spike was; None for not asked."""

    v: Tensor | None
    sent: Tensor | None
    fired: Tensor | None

    def of(self, samples: slice, neurons: slice) -> _After:
        return _After(*(None if part is None else part[samples, neurons] for part in self))


class _Gradients(NamedTuple):
    """The gradients of spikes and of the last potentials; None for zeros."""

    spikes: Tensor | None
    v: Tensor | None

    def of(self, samples: slice, neurons: slice) -> _Gradients:
        spikes = None if self.spikes is None else self.spikes[:, samples, neurons]
        return _Gradients(spikes, None if self.v is None else self.v[samples, neurons])


class _Block(NamedTuple):
    """Some neurons of some samples: populations flat, ``(neurons,)``; states ``(samples, neurons)``."""

    population: Population
    state: NeuronState

    def run(self, current: Tensor, charges: Tensor, spikes: Tensor, after: _After) -> None:
        """All steps, written into ``charges``, ``spikes`` and ``after``."""
        neuron, state = self.population.neuron, self.state
        if charges.is_cuda and charges.dtype == torch.float32 and neuron.fired_bias is None and find_spec("triton"):
            from spikewright.training.kernels import run

            state = run(self.population, state, current, charges, spikes)
        elif not neuron.signed and not _remembers(self.population):
            state = self._run_plain(current, charges, spikes)
        else:
            state = self._run_any(current, charges, spikes)
        for place, found in ((after.v, state.v), (after.sent, state.sent), (after.fired, state.fired)):
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
        biases, unit = self.population.step_bias, bool((threshold == 1).all())
        v = self.state.v.clone(memory_format=torch.contiguous_format)
        for t in range(len(charges)):
            now, h, n = current[t if len(current) > 1 else 0], charges[t], spikes[t]
            if biases is not None and self.state.t + t < len(biases):
                now = now + biases[self.state.t + t]
            torch.add(v if neuron.decay == 1.0 else v.mul_(neuron.decay), now, out=h)
            if neuron.max_spikes == 1 and unit:
                torch.floor(h, out=n).clamp_(0, 1)  # comparing is slower: it makes truth values first
            elif neuron.max_spikes == 1:
                torch.ge(h, threshold, out=n)
            else:
                torch.div(h, threshold, out=n).floor_().clamp_(0, neuron.max_spikes)
            if neuron.reset == "zero":
                torch.where(n == 0, h, h.new_full((), neuron.v_reset), out=v)
            elif unit:
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
        given: _Gradients,
        gradient: SpikeGradient,
        wanted: bool,
        place: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """The gradient of the input at each step, in its place if there is one, and of the thresholds if wanted."""
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


def _blocks(v: Tensor, steps: int = 1) -> Iterator[tuple[slice, slice]]:
    """Samples and neurons that are worked on together, all of them but on a CPU, where ``steps`` are at a time."""
    samples, neurons = v.shape
    size = max(1, 2 * BLOCK // (1 + steps)) if v.device.type == "cpu" else max(1, v.numel())
    wide = min(neurons, size)
    high = max(1, size // wide)
    for first in range(0, samples, high):
        for begin in range(0, neurons, wide):
            yield slice(first, first + high), slice(begin, begin + wide)


def _flat(population: Population, shape: torch.Size) -> Population:
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


def _flat_state(state: NeuronState) -> NeuronState:
    """A state with its tensors as ``(samples, neurons)``."""
    sent, fired = (None if part is None else part.flatten(1) for part in (state.sent, state.fired))
    return replace(state, v=state.v.flatten(1), sent=sent, fired=fired)


def _of_state(state: NeuronState, samples: slice, neurons: slice) -> NeuronState:
    """The state of some neurons of some samples."""
    sent, fired = (None if part is None else part[samples, neurons] for part in (state.sent, state.fired))
    return replace(state, v=state.v[samples, neurons], sent=sent, fired=fired)
