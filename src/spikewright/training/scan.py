"""Neurons through all timesteps of a batch, forwards and backwards, without a graph of T steps.

Forwards it is what the reference simulation does, to the bit. What is kept is one tensor: the potentials ``h`` before
the reset, of which spikes are found again; nothing where every step has the same input, as potentials too are then soon
found again. Backwards every kind of neuron is one linear recurrence, from the
last step to the first::

    u[t] = decay·δ[t+1]                 (of the last step: the gradient of the state)
    δ[t] = w[t]·g[t] + r[t]·u[t]

where ``w`` is the gradient of the spikes, ``u`` that of the potential after the step, ``δ`` that of the input, ``g``
the slope of what is sent, and ``r`` that of the reset: ``1 − θ·g`` for a subtraction (1 if detached), ``1[n = 0]`` for
a reset to zero (and ``(v_reset − h)·g``, unless detached), and 0 where a potential ended at a lower end. Spikes depend
on ``h/θ`` alone, so their slope with the threshold is ``−(h/θ)·g``.

Sources: backpropagation through time with surrogate gradients, Neftci et al., IEEE Signal Processing Magazine 2019; the
numbers are those of sinabs 3.1.3, SpikingJelly 2.0.0 and snnTorch 1.0.0, which the tests hold.

On a CPU work goes in blocks of neurons (``blocks.py``), and what nobody needs any more is written over: the input by
the potentials, these on the way back by the gradient. On a GPU it is a kernel. torch is imported with the file: import
it where a scan is to run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikewright.engines.neurons import NeuronState, Population, reached
from spikewright.graph import Shape
from spikewright.training.blocks import After, Gradients, blocks, flat_population, flat_state, remembers
from spikewright.training.pools import Tiles
from spikewright.training.slopes import SpikeGradient


class Scanned(NamedTuple):
    """What comes of a scan.

    Attributes:
        spikes: ``(steps, samples, *shape)``.
        state: after the last step.
        again: gives spikes of 0 and 1 once more, in one row as they lie in memory; None for others.
    """

    spikes: Tensor
    state: NeuronState
    again: Callable[[], Tensor] | None


def scan(
    population: Population,
    state: NeuronState,
    current: Tensor,
    steps: int,
    gradient: SpikeGradient,
    overwrite: bool = False,
    pool: Shape | None = None,
) -> Scanned:
    """Run a population over some timesteps; gradients go to the input, to the potentials and to the thresholds.

    Args:
        population: its neurons.
        state: before the first step; tensors ``(samples, *shape)``.
        current: ``(steps, samples, *shape)``: the input, or one step of it where it is always the same.
        steps: how many.
        gradient: what stands for the slope of spikes.
        overwrite: whether nobody else looks at ``current``: on a CPU potentials then take its place in memory.
        pool: windows side by side: their means are given, not the spikes. See ``pools_at_once``.
    """
    maps = state.v.ndim == 4 and not state.v.is_cuda
    if maps:
        current, state, population = current.movedim(2, -1), _moved(state), _moved_neurons(population)
    tiles = None if pool is None else Tiles(pool, tuple(state.v.shape[1:]))
    given = (current, state.v, population.threshold)
    kept, memo = torch.is_grad_enabled() and any(one.requires_grad for one in given), Memo()
    how = (population, state, steps, gradient, kept, overwrite, tiles, memo)
    spikes, v, sent, fired, charges = _Scan.apply(*given, *how)  # type: ignore[no-untyped-call]
    signed, single = population.neuron.signed, population.neuron.max_spikes == 1
    after = replace(state, v=v, t=state.t + steps, sent=sent if signed else state.sent)
    after = replace(after, fired=fired) if remembers(population) else after
    again: Callable[[], Tensor] | None = None
    if kept and single and not signed and not remembers(population):
        if charges is None:
            again = partial(_run_again, memo, current.detach(), population, _detached(state), steps)
        else:
            again = partial(_spikes_again, charges, charges._version, population.threshold.detach())
    return Scanned(spikes.movedim(-1, 2), _moved(after, back=True), again) if maps else Scanned(spikes, after, again)


def pools_at_once(population: Population) -> bool:
    """Whether ``scan`` can give means of spikes of a population of maps: on a CPU, of neurons that remember nothing but
    their potential."""
    plain = not population.neuron.signed and not remembers(population)
    return plain and population.threshold.ndim == 3 and not population.threshold.is_cuda


def _spikes_again(charges: Tensor, version: int, threshold: Tensor) -> Tensor:
    """The spikes of potentials before the reset, in one row.

    Raises:
        RuntimeError: where a way back has written over the potentials.
    """
    if charges._version != version:
        raise RuntimeError("a way back went through these neurons before: go it with backward(retain_graph=True)")
    return reached(charges, threshold).flatten()


class Memo:
    """Where potentials that were found again wait for the way back of their neurons.

    Attributes:
        charges: ``(steps, samples, neurons)``; None where nobody needed them yet.
    """

    charges: Tensor | None = None

    def taken(self) -> Tensor | None:
        """What waits, which is gone then."""
        found, self.charges = self.charges, None
        return found


def _run_again(memo: Memo, current: Tensor, population: Population, state: NeuronState, steps: int) -> Tensor:
    """The spikes of an input that is the same in every step, in one row; the potentials before the reset wait."""
    v = state.v
    threshold = population.threshold.detach()
    flat, before = flat_population(replace(population, threshold=threshold), v.shape[1:]), flat_state(state)
    given = current.reshape(1, *before.v.shape)
    charges, spikes = (v.new_empty(steps, *before.v.shape) for _ in range(2))
    for block in blocks(flat, before, bool((threshold == 1).all())):
        block.run(block.of(given), block.of(charges), block.of(spikes))
    memo.charges = charges
    return spikes.flatten()


def _detached(state: NeuronState) -> NeuronState:
    return replace(state, v=state.v.detach())


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


class _Scan(torch.autograd.Function):
    """``scan`` with its own backward; the potentials before the reset are an output too, where they are kept."""

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
        kept: bool,
        overwrite: bool,
        tiles: Tiles | None,
        memo: Memo,
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        cpu = not v.is_cuda
        unit = cpu and bool((threshold == 1).all())  # looking would make a GPU wait
        flat, before = flat_population(replace(population, threshold=threshold), v.shape[1:]), flat_state(state)
        given = current.detach().reshape(len(current), *before.v.shape)
        rows = (steps, *before.v.shape)
        spikes, charges = v.new_empty(rows if tiles is None else (*rows[:2], *tiles.small)), None
        ctx.still = len(current) < steps
        ctx.again = ctx.still and cpu
        if kept and not ctx.again:
            ours = overwrite or given.data_ptr() != current.data_ptr()
            charges = given if ours and cpu and given.is_contiguous() else v.new_empty(rows)
        after = After.of_neurons(population, before.v)
        for block in blocks(flat, before, unit, whole=tiles is not None):
            room = (steps, *block.state.v.shape)
            own = v.new_empty(room) if charges is None else block.of(charges)
            n = block.of(spikes) if tiles is None else v.new_empty(room)
            block.run(block.of(given), own, n, after)
            if tiles is not None:
                spikes[:, block.samples] = tiles.mean(n)
        keeps = not ctx.again and (population.neuron.signed or remembers(population))  # else they are found again
        ctx.save_for_backward(threshold, *((current, v) if charges is None else (charges,)), *[spikes] * keeps)
        ctx.population, ctx.gradient, ctx.unit = population, gradient.in_units() if unit else gradient, unit
        ctx.state, ctx.steps, ctx.shape = replace(before, v=before.v[:0]), steps, v.shape
        ctx.tiles, ctx.memo = tiles, memo
        potentials, sent, fired = (None if part is None else part.view(v.shape) for part in after)
        charges = None if charges is None else charges.view(steps, *v.shape)
        ctx.mark_non_differentiable(*(part for part in (sent, fired, charges) if part is not None))
        ctx.set_materialize_grads(False)
        shown = spikes if tiles is not None else spikes.view(steps, *v.shape)
        return shown, potentials, sent, fired, charges

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, spikes_gradient: Tensor | None, v_gradient: Tensor | None, *_: Any) -> tuple[Any, ...]:
        threshold, first, *rest = ctx.saved_tensors
        flat = flat_population(replace(ctx.population, threshold=threshold), ctx.shape[1:])
        wide = (ctx.shape[0], prod(ctx.shape[1:]))
        if ctx.again:  # what came in, and the potentials before it
            given, h, n, v = first.reshape(1, *wide), ctx.memo.taken(), None, rest[0].flatten(1)
        else:
            given, h, n, v = None, first, rest[0] if rest else None, first[0]
        of_spikes = spikes_gradient
        if of_spikes is not None and ctx.tiles is None:
            of_spikes = of_spikes.reshape(ctx.steps, *wide)
        gradients = Gradients(of_spikes, None if v_gradient is None else v_gradient.reshape(wide), ctx.tiles)
        wanted = ctx.needs_input_grad[2]
        over = not wanted and _freed()  # the slopes of thresholds look at potentials later on
        current = v.new_empty(1, *wide) if ctx.still else h if over else torch.empty_like(h)
        begun, thresholds = v.new_empty(wide), v.new_zeros(wide[1])
        for block in blocks(flat, replace(ctx.state, v=v), ctx.unit, ctx.steps, ctx.tiles is not None):
            if h is not None:
                own, sent = block.of(h), None if n is None else block.of(n)
            else:
                own, sent = (v.new_empty(ctx.steps, *block.state.v.shape) for _ in range(2))
                block.run(block.of(given), own, sent)
            place = block.of(current) if not ctx.still else None if wanted else own
            delta, of_threshold = block.back(own, sent, gradients, ctx.gradient, wanted, place)
            if ctx.still:
                torch.sum(delta, 0, keepdim=True, out=block.of(current))
            torch.mul(delta[0], flat.neuron.decay, out=begun[block.samples, block.neurons])
            if of_threshold is not None:
                thresholds[block.neurons] += of_threshold
        return (
            current.view(len(current), *ctx.shape) if ctx.needs_input_grad[0] else None,
            begun.view(ctx.shape) if ctx.needs_input_grad[1] else None,
            thresholds.view(ctx.shape[1:]) if wanted else None,
            *(None,) * 8,
        )


def _freed() -> bool:
    """Whether what was kept for this way back is freed by it, so that it may be written over."""
    asked = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return asked is not None and not asked()
