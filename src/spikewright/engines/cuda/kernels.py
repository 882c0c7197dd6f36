"""The fused kernels: each program keeps the state of a block of neurons in registers and goes through the timesteps.

Every operation rounds as it does in torch, so that the spikes are the same.

Triton looks names up in this module when it compiles a kernel, so it is imported here: import this module where a
kernel is to run.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from spikewright.engines.cuda.scan import Fired, Scan
from spikewright.engines.neurons import NeuronState, Population

BLOCK = 256
"""Neurons of one program."""
OPTIONS = {"enable_fp_fusion": False}
"""Options of the compiler: a product and a sum are not to become one operation."""


class Fused(Scan):
    """All steps of a chunk in one kernel; see ``scan.Scan``."""

    def fire(self, population: Population, state: NeuronState, current: Tensor, steps: int, potentials: bool) -> Fired:
        neuron, v, current = population.neuron, state.v.contiguous(), current.contiguous()
        spikes = v.new_empty(steps, *v.shape)
        kept = v.new_empty(spikes.shape) if potentials else v
        counts, after = v.new_empty(v.shape), v.new_empty(v.shape)
        remembers = neuron.no_debt or population.fired_bias is not None
        sent = [_before(state.sent, v), v.new_empty(v.shape)] if neuron.signed else [v, v]
        fired = [_before(state.fired, v), v.new_empty(v.shape)] if remembers else [v, v]
        neurons, channels = population.threshold.numel(), v.shape[1] if v.ndim > 1 else 1
        fire_kernel[_grid(v)](
            current,
            v,
            population.threshold,
            population.threshold if population.v_min is None else population.v_min,
            v if population.step_bias is None else population.step_bias,
            v if population.fired_bias is None else population.fired_bias,
            *sent,
            *fired,
            spikes,
            counts,
            after,
            kept,
            steps,
            state.t,
            0 if population.step_bias is None else len(population.step_bias),
            v.numel(),
            neurons,
            channels,
            float(neuron.decay),
            float(neuron.v_reset),
            float(neuron.max_spikes or 0),
            STILL=len(current) < steps,
            SINGLE=neuron.max_spikes == 1,
            CAPPED=neuron.max_spikes is not None,
            SUBTRACT=neuron.reset == "subtract",
            CLAMPED=population.v_min is not None,
            SIGNED=neuron.signed,
            NO_DEBT=neuron.no_debt,
            BIASED=population.step_bias is not None,
            ONCE_FIRED=population.fired_bias is not None,
            POTENTIALS=potentials,
            BLOCK=BLOCK,
            **OPTIONS,
        )
        after_chunk = NeuronState(
            after,
            t=state.t + steps,
            sent=sent[1] if neuron.signed else state.sent,
            fired=fired[1] if remembers else state.fired,
        )
        return Fired(spikes, counts, after_chunk, kept if potentials else None)

    def add_up(self, start: Tensor, values: Tensor, steps: int) -> Tensor:
        start, values = start.contiguous(), values.contiguous()
        totals = start.new_empty(steps, *start.shape)
        add_up_kernel[_grid(start)](values, start, totals, steps, start.numel(), STILL=len(values) < steps, BLOCK=BLOCK)
        return totals


def _before(memory: Tensor | None, v: Tensor) -> Tensor:
    """What was remembered before a chunk; zeros where there was nothing."""
    return v.new_zeros(v.shape) if memory is None else memory.contiguous()


def _grid(state: Tensor) -> tuple[int]:
    return (-(-state.numel() // BLOCK),)


@triton.jit(do_not_specialize=["steps", "first", "rows"])
def fire_kernel(
    current,
    before,
    threshold,
    floor,
    step_bias,
    fired_bias,
    sent_before,
    sent_after,
    fired_before,
    fired_after,
    spikes,
    counts,
    after,
    potentials,
    steps,
    first,
    rows,
    cells,
    neurons,
    channels,
    decay,
    v_reset,
    cap,
    STILL: tl.constexpr,
    SINGLE: tl.constexpr,
    CAPPED: tl.constexpr,
    SUBTRACT: tl.constexpr,
    CLAMPED: tl.constexpr,
    SIGNED: tl.constexpr,
    NO_DEBT: tl.constexpr,
    BIASED: tl.constexpr,
    ONCE_FIRED: tl.constexpr,
    POTENTIALS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """``neurons.fire`` over time; a cell is one neuron of one sample."""
    cell = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    theta = tl.load(threshold + cell % neurons, mask=inside, other=1.0)
    lowest = tl.load(floor + cell % neurons, mask=inside, other=0.0)
    v = tl.load(before + cell, mask=inside, other=0.0)
    channel = (cell % neurons) // (neurons // channels)
    if SIGNED:
        sent = tl.load(sent_before + cell, mask=inside, other=0.0)
    if NO_DEBT or ONCE_FIRED:
        fired = tl.load(fired_before + cell, mask=inside, other=0.0)
    if ONCE_FIRED:
        extra = tl.load(fired_bias + channel, mask=inside, other=0.0)
    count = tl.full((BLOCK,), 0.0, tl.float32)
    at = cell
    for step in range(steps):
        arriving = tl.load(current + (cell if STILL else at), mask=inside, other=0.0)
        if BIASED:
            t = first + step
            arriving += tl.load(step_bias + t * channels + channel, mask=inside & (t < rows), other=0.0)
            if ONCE_FIRED:
                arriving += tl.where(t < rows, fired * extra, 0.0)
        v = v * decay + arriving
        if SINGLE:
            n = tl.where(v >= theta, 1.0, 0.0)
        else:
            n = tl.maximum(tl.floor(tl.div_rn(v, theta)), 0.0, propagate_nan=tl.PropagateNan.ALL)
            if CAPPED:
                n = tl.minimum(n, cap, propagate_nan=tl.PropagateNan.ALL)
        if SIGNED:
            if SINGLE:
                back = tl.where(sent > 0, 1.0, 0.0)
            else:
                many = tl.floor(tl.div_rn(-v, theta)) + 1.0
                back = tl.maximum(tl.minimum(many, sent, propagate_nan=tl.PropagateNan.ALL), 0.0, tl.PropagateNan.ALL)
                if CAPPED:
                    back = tl.minimum(back, cap, propagate_nan=tl.PropagateNan.ALL)
            n = n - tl.where(v <= 0, back, 0.0)
            sent += n
        v = v - n * theta if SUBTRACT else tl.where(n == 0, v, v_reset)
        if CLAMPED:
            v = tl.maximum(v, lowest, propagate_nan=tl.PropagateNan.ALL)
        if NO_DEBT or ONCE_FIRED:
            fired = tl.where((n != 0) | (fired != 0), 1.0, 0.0)
        if NO_DEBT:
            v = tl.where(fired != 0, v, tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL))
        tl.store(spikes + at, n, mask=inside)
        if POTENTIALS:
            tl.store(potentials + at, v, mask=inside)
        count += n
        at += cells
    tl.store(counts + cell, count, mask=inside)
    tl.store(after + cell, v, mask=inside)
    if SIGNED:
        tl.store(sent_after + cell, sent, mask=inside)
    if NO_DEBT or ONCE_FIRED:
        tl.store(fired_after + cell, fired, mask=inside)


@triton.jit(do_not_specialize=["steps"])
def add_up_kernel(values, start, totals, steps, cells, STILL: tl.constexpr, BLOCK: tl.constexpr):
    """Running sums over time."""
    cell = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    total = tl.load(start + cell, mask=inside, other=0.0)
    at = cell
    for _ in range(steps):
        total += tl.load(values + (cell if STILL else at), mask=inside, other=0.0)
        tl.store(totals + at, total, mask=inside)
        at += cells
