"""What stands for the slopes of neurons, whose spikes have none: of what they send, and of their reset.

The file imports nothing of torch, so that a value of it can be made where nothing is run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from spikewright.training.surrogates import InThresholds, Surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.engines.neurons import Population


@dataclass(frozen=True)
class SpikeGradient:
    """How gradients go through neurons.

    Attributes:
        surrogate: what stands for the slope of spikes.
        detach_reset: whether the reset is taken for a constant. sinabs and SpikingJelly do not, snnTorch does; the
            reset to zero of sinabs counts as detached here.
    """

    surrogate: Surrogate | InThresholds
    detach_reset: bool = False

    def in_units(self) -> SpikeGradient:
        """The same of neurons whose thresholds are all 1."""
        own = self.surrogate
        return replace(self, surrogate=own.surrogate) if isinstance(own, InThresholds) else self


class Slopes(NamedTuple):
    """The slopes of some neurons over some steps, each ``(steps, samples, neurons)``.

    Attributes:
        spikes: dn/dh, of what is sent with the potential before the reset.
        reset: dv/dh, of the potential after the step with that before the reset.
        kept: where the potential did not end at a lower end, as 1; None where there is none.
    """

    spikes: Tensor
    reset: Tensor
    kept: Tensor | None


def slopes_of(
    population: Population, gradient: SpikeGradient, h: Tensor, n: Tensor, sent: Tensor | None, fired: Tensor | None
) -> Slopes:
    """The slopes of neurons.

    A signed neuron takes back ``f(θ − h)`` where it sends ``f(h)``, ``f`` being the same staircase: its slope is
    ``g(h)``, and ``g(θ − h)`` more while there is something to take back.

    Args:
        population: its neurons, ``(neurons,)``.
        gradient: what stands for the slope of spikes.
        h: ``(steps, samples, neurons)``: potentials before the reset.
        n: the same: what was sent.
        sent: ``(samples, neurons)``: the sum of what was sent before the first step; None for nothing.
        fired: 1 where a neuron had sent a spike before the first step; None for nowhere.
    """
    neuron, threshold = population.neuron, population.threshold
    g = gradient.surrogate.slope(h, threshold)
    if neuron.signed:
        before = n.cumsum(0) - n
        before = before if sent is None else before + sent
        g = g + gradient.surrogate.slope(threshold - h, threshold).where(before > 0, 0)
    if neuron.reset == "subtract":
        reset = g.new_ones(()).expand_as(g) if gradient.detach_reset else (threshold * -g).add_(1)
    else:
        reset = (n == 0).to(h.dtype)
        reset = reset if gradient.detach_reset else reset + (neuron.v_reset - h) * g
    return Slopes(g, reset, _kept(population, h, n, fired))


def threshold_slopes(
    population: Population, gradient: SpikeGradient, h: Tensor, n: Tensor, slopes: Slopes
) -> tuple[Tensor, Tensor]:
    """The slopes with the threshold: of the spikes, ``−(h/θ)·g``, and of the potential after the step.

    Args:
        population: its neurons, ``(neurons,)``.
        gradient: what stands for the slope of spikes.
        h: ``(steps, samples, neurons)``: potentials before the reset.
        n: the same: what was sent.
        slopes: from ``slopes_of``.
    """
    spikes = -h / population.threshold * slopes.spikes
    if population.neuron.reset == "subtract":
        after = -n if gradient.detach_reset else -n - population.threshold * spikes
    elif gradient.detach_reset:
        after = h.new_zeros(()).expand_as(h)
    else:
        after = (population.neuron.v_reset - h) * spikes
    return spikes, after


def _kept(population: Population, h: Tensor, n: Tensor, fired: Tensor | None) -> Tensor | None:
    neuron = population.neuron
    if population.v_min is None and not neuron.no_debt:
        return None
    after = h - n * population.threshold if neuron.reset == "subtract" else h.where(n == 0, neuron.v_reset)
    kept = None if population.v_min is None else after > population.v_min
    if neuron.no_debt:
        ever = (n != 0).cumsum(0) > 0
        ever = ever if fired is None else ever | (fired != 0)
        free = ever | (after > 0)
        kept = free if kept is None else kept & free
    return None if kept is None else kept.to(h.dtype)
