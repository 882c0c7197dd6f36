"""Values with time in front, ``(steps, samples, *shape)``: what knows nothing of time, and max pooling, over steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from spikewright.engines.reference import PoolState, estimate, let_through
from spikewright.nodes import SpikeMaxPool

if TYPE_CHECKING:
    from torch import Tensor


def over_time(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """What knows nothing of time, on all steps at once; a value with one step is the same in all of them."""
    steps = max(map(len, values))
    rows = [value.expand(steps, *value.shape[1:]).flatten(0, 1) for value in values]
    return by_step(function(*rows), steps)


def by_step(rows: Tensor, steps: int) -> Tensor:
    """Samples of several steps, one step behind the other, as ``(steps, samples, *shape)``."""
    return rows.reshape(steps, -1, *rows.shape[1:])


def pooled(
    pool: SpikeMaxPool,
    largest: Callable[[Tensor], Tensor],
    own: PoolState,
    spikes: Tensor,
    first: int,
    add_up: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """``reference.pool_spikes`` over time.

    Args:
        pool: the windows, and the policy.
        largest: the largest value of each window.
        own: the state of the pool, which moves on.
        spikes: ``(steps, samples, *shape)``.
        first: the number of the first step.
        add_up: running sums over time, from a start.

    Returns:
        what passes, ``(steps, samples, *shape)``.
    """
    import torch

    estimates = _estimates(pool, own, spikes, first, add_up)
    if pool.policy != "count_max":
        return over_time(partial(let_through, pool), estimates, spikes)
    most = over_time(largest, estimates)
    past = torch.zeros_like(most[0]) if own.past is None else own.past
    own.past = most[-1].clone()
    return most - torch.cat([past[None], most[:-1]])


def _estimates(
    pool: SpikeMaxPool, own: PoolState, spikes: Tensor, first: int, add_up: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """``reference.estimate`` over time."""
    import torch

    if pool.policy in ("count_max", "avg_max"):
        counts = add_up(own.v, spikes)
        own.v = counts[-1].clone()
        return counts
    estimates = []
    for t, now in enumerate(spikes):
        estimate(pool, own, now, first + t)
        estimates.append(own.v)
    own.trains = [train.clone() for train in own.trains]  # views would keep the chunk
    return torch.stack(estimates)
