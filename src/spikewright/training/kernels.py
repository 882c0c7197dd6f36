"""Scans on a GPU: the kernel of the cuda engine forwards, and a linear recurrence backwards.

Triton looks names up in this module when it compiles a kernel, so it is imported here: import this module where a
kernel is to run.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from spikewright.engines.cuda.kernels import BLOCK, Fused
from spikewright.engines.neurons import NeuronState, Population


def run(
    population: Population,
    state: NeuronState,
    current: Tensor,
    charges: Tensor,
    spikes: Tensor,
    fused: Fused | None = None,
) -> NeuronState:
    """All steps of a population without ``fired_bias``, in one kernel.

    Args:
        population: its neurons, in one row.
        state: before the first step, ``(samples, neurons)``.
        current: ``(steps, samples, neurons)``, or one step of it.
        charges: in the same shape: takes the potentials before the reset.
        spikes: takes what is sent.
        fused: the kernels of the cuda engine.

    Returns:
        the state after the last step.
    """
    steps, decay = len(charges), population.neuron.decay
    fired = (fused or Fused()).fire(population, state, current, steps, potentials=True)
    assert fired.potentials is not None
    spikes.copy_(fired.spikes)
    before = torch.cat([state.v[None], fired.potentials[:-1]])
    charges.copy_(current.expand_as(charges))
    if population.step_bias is not None:
        biases = population.step_bias[state.t : state.t + steps]
        charges[: len(biases)] += biases[:, None]
    charges += before if decay == 1.0 else decay * before
    return fired.state


def recurrence(delta: Tensor, reset: Tensor, last: Tensor | None, decay: float) -> None:
    """``δ[t] ← δ[t] + r[t]·decay·δ[t+1]`` in place, from the last step to the first.

    Args:
        delta: ``(steps, samples, neurons)``.
        reset: the same: r.
        last: what stands for ``decay·δ`` behind the last step, ``(samples, neurons)``; None for zeros.
        decay: of the potential in a step.
    """
    reset = reset.contiguous()
    if not delta.is_contiguous():
        raise ValueError("a recurrence works in place on tensors that are in one piece")
    cells = delta[0].numel()
    recurrence_kernel[(-(-cells // BLOCK),)](
        delta,
        reset,
        delta if last is None else last.contiguous(),
        len(delta),
        cells,
        float(decay),
        LAST=last is not None,
        BLOCK=BLOCK,
    )


@triton.jit(do_not_specialize=["steps"])
def recurrence_kernel(delta, reset, last, steps, cells, decay, LAST: tl.constexpr, BLOCK: tl.constexpr):
    """A cell is one neuron of one sample; it goes from the last step to the first."""
    cell = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = cell < cells
    u = tl.load(last + cell, mask=inside & LAST, other=0.0)
    at = cell + cells * (steps - 1)
    for _ in range(steps):
        found = tl.load(delta + at, mask=inside, other=0.0) + tl.load(reset + at, mask=inside, other=0.0) * u
        tl.store(delta + at, found, mask=inside)
        u = found * decay
        at -= cells
