"""The squared error that a population makes of its activations, and the λ that makes least of it.

A neuron that is reset by subtraction sends, of a constant activation x, in T steps ::

    n(x) = clip(floor(x·T/λ + v_init), 0, φ·T)      (φ spikes a step at most)

and its spikes say n·λ/T: x rounded to levels that lie λ/T apart, and clipped at φ·λ. Li et al. (2021, eq. 10) choose
the λ with the least mean squared error of that; they round down, where a neuron that starts at half a threshold rounds
to the nearest. Here rounding is that of the neuron. With u = λ/T and borders b_k = (k − v_init)·u, summation by parts
gives ::

    E(λ) = Σ x² − 2u·Σ_k S(b_k) + u²·Σ_k (2k − 1)·N(b_k),      k = 1 … φ·T

where N(b) counts the values from b up and S(b) adds them up. So the whole error follows from these two functions:
cumulative counts of a histogram, or the tails of a normal distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.tails import Floats, Tails
from spikewright.conversion.neurons import Neurons
from spikewright.timesteps import Timesteps

USUAL = Timesteps(4, 32)
"""T where none is said."""
COARSE, FINE, ROUNDS = 160, 13, 2
"""Candidates of λ over the whole range, evenly spaced by ratio; then between the neighbours of the best; how often."""
FINEST = 30
"""Bits beyond which none says anything more."""
MANY = 128
"""Levels beyond which rounding is taken for what it is of evenly spread values: λ²/12T² a value."""
LOWEST = 0.25
"""Where the search begins: where the highest level is this part of the mean positive activation. Rounded to the nearest
levels n, the best λ is T·Σ n·x / Σ n², which is never below that mean divided by φ."""
SMALLEST = float(np.finfo(np.float32).tiny)
"""What is below is zero."""
TINY = 1e-12
"""An error that is less than this part of the largest one is none."""
AT_ONCE, ROWS = 1 << 20, 64
"""Borders that are looked up together, and groups whose tables lie side by side: these stay in cache."""


@dataclass(frozen=True)
class Levels:
    """What a neuron can say in T timesteps.

    Attributes:
        count: levels from 0 up to λ: T for spikes that are worth the same.
        most: the highest level it reaches; above ``count`` where a step may have several spikes.
        shift: of the rounding, in levels: its initial potential as a fraction of the threshold.
    """

    count: int
    most: int
    shift: float = 0.5

    @classmethod
    def of(cls, neurons: Neurons, timesteps: int) -> Levels:
        """The levels of neurons after T timesteps.

        Without a cap on spikes nothing is ever clipped, and the smaller λ the better: λ is then chosen as if a step had
        one spike at most. Neurons of the schedule "few_spike" send the bits of a number below 2^T.
        """
        if neurons.schedule == "few_spike":
            fine = 2 ** min(timesteps, FINEST)
            return cls(fine, fine - 1, neurons.v_init)
        return cls(timesteps, timesteps * (neurons.max_spikes or 1), neurons.v_init)

    def rounded(self, x: Floats, scale: Floats) -> Floats:
        """The values that a neuron's spikes say of activations."""
        unit = scale / self.count
        return np.asarray(np.clip(np.floor(x / unit + self.shift), 0, self.most) * unit)


def squared_error(tails: Tails, scale: Floats, levels: Levels) -> Floats:
    """The summed squared error of candidates of λ.

    Args:
        tails: of the activations.
        scale: ``(groups, n)``: candidates of each group.
        levels: of the neurons.
    """
    unit = scale / levels.count
    if levels.most > MANY:
        return _of_many(tails, unit, levels)
    everything = tails.squares_above(np.zeros((len(unit), 1)))
    k = np.arange(1, levels.most + 1)
    border = (k - levels.shift) * unit[..., None]
    count, total = (found.reshape(border.shape) for found in tails.above(border.reshape(len(unit), -1)))
    return np.asarray(everything - 2 * unit * total.sum(axis=-1) + unit**2 * (count @ (2 * k - 1.0)))


def _of_many(tails: Tails, unit: Floats, levels: Levels) -> Floats:
    """The same where levels are many: values below the highest are rounded as evenly spread ones are."""
    top = levels.most * unit
    border = top - levels.shift * unit
    count, total = tails.above(border)
    clipped = tails.squares_above(border) - 2 * top * total + top**2 * count
    positive, _ = tails.above(np.full((len(unit), 1), SMALLEST))
    return np.asarray(clipped + unit**2 * (positive - count) * (1 / 12 + (levels.shift - 0.5) ** 2))


def least_error(tails: Tails, highest: Floats, levels: Sequence[Levels]) -> Floats:
    """The λ of each group with the least squared error.

    For several T it is the λ with the least sum of relative errors: each divided by the least that any λ has at its T.

    Args:
        tails: of the activations.
        highest: ``(groups,)``: up to where λ is looked for; positive.
        levels: of the neurons, for each T.

    Returns:
        ``(groups,)``: λ; NaN for a group without positive activations.
    """
    step = max(1, min(ROWS, AT_ONCE // (COARSE * max(min(one.most, MANY) for one in levels))))
    parts = [slice(start, start + step) for start in range(0, len(highest), step)]
    return np.concatenate([_least_error(tails.some(part), highest[part], levels) for part in parts])


def _least_error(tails: Tails, highest: Floats, levels: Sequence[Levels]) -> Floats:
    count, total = (values[:, 0] for values in tails.above(np.full((len(highest), 1), SMALLEST)))
    most = max(one.most / one.count for one in levels)
    mean = np.divide(total, count * most, out=np.full(len(count), np.nan), where=count > 0)
    lowest = np.minimum(LOWEST * mean, highest)
    known = lowest > 0
    lowest = np.where(known, lowest, highest)
    groups = np.arange(len(lowest))
    scale = np.geomspace(lowest, highest, COARSE, axis=1)
    errors = [squared_error(tails, scale, one) for one in levels]
    least = [np.maximum(e.min(axis=1), TINY * e.max(axis=1) + SMALLEST)[:, None] for e in errors]

    def best() -> NDArray[np.int64]:
        relative = np.sum([e / at_best for e, at_best in zip(errors, least, strict=True)], axis=0)
        return np.asarray(relative.argmin(axis=1), np.int64)

    for _ in range(ROUNDS):
        low, high = (scale[groups, (best() + way).clip(0, scale.shape[1] - 1)] for way in (-1, 1))
        scale = np.geomspace(low, high, FINE, axis=1)
        errors = [squared_error(tails, scale, one) for one in levels]
    return np.where(known, scale[groups, best()], np.nan)
