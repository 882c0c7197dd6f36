"""What a neuron sends in its window, from the number that it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.nodes.integrate_and_fire import Schedule

if TYPE_CHECKING:
    from torch import Tensor


def levels_of(schedule: Schedule, timesteps: int) -> tuple[int, int]:
    """How fine the values are that a window of T steps can tell.

    Returns:
        into how many units λ is cut, and how many of them a neuron sends at most: T and T for "layered", ``2^T`` and
        ``2^T − 1`` for "few_spike".
    """
    return (2**timesteps, 2**timesteps - 1) if schedule == "few_spike" else (timesteps, timesteps)


def number_told(schedule: Schedule, heard: Tensor, threshold: Tensor, v_init: Tensor, timesteps: int) -> Tensor:
    """The number that neurons tell in their window, ``(B, *shape)``, from all that they heard in the one before.

    Args:
        schedule: "layered" or "few_spike".
        heard: ``(B, *shape)``: the sum of their currents over the T steps.
        threshold: ``(*shape)``.
        v_init: ``(*shape)``, added to the sum.
        timesteps: T.
    """
    units, most = levels_of(schedule, timesteps)
    return ((v_init + heard * units / timesteps) / threshold).floor().clamp(0, most)


def spikes_at(schedule: Schedule, numbers: Tensor, step: int, timesteps: int) -> Tensor:
    """The spikes, 0 or 1, of one step of a window.

    "layered" neurons send n spikes evenly: by step k, counted from 1, ``⌊k·n/T⌋`` of them. "few_spike" neurons send the
    T bits of their number, the most significant first.

    Args:
        schedule: "layered" or "few_spike".
        numbers: what neurons tell, whole: 0 to T, or 0 to ``2^T − 1``.
        step: from 0.
        timesteps: T.
    """
    if schedule == "few_spike":
        return (numbers / float(2 ** (timesteps - 1 - step))).floor().remainder(2.0)
    wide = numbers.double()  # products of long windows are beyond float32
    sent = ((step + 1) * wide / timesteps).floor() - (step * wide / timesteps).floor()
    return sent.to(numbers.dtype)


def number_of_spikes(schedule: Schedule, numbers: Tensor, timesteps: int) -> Tensor:
    """How many spikes a window has: n, or how many bits of it are set."""
    if schedule != "few_spike":
        return numbers
    spikes = spikes_at(schedule, numbers, 0, timesteps)
    for step in range(1, timesteps):
        spikes = spikes + spikes_at(schedule, numbers, step, timesteps)
    return spikes


def spike_weight(schedule: Schedule, step: int, timesteps: int) -> float:
    """What a spike of one step of a window weighs; λ is told by a weight of 1 in each of T steps.

    Args:
        schedule: "layered", 1 in each step, or "few_spike": ``T·2^−t`` in step t, counted from 1.
        step: from 0.
        timesteps: T.
    """
    return timesteps / 2 ** (step + 1) if schedule == "few_spike" else 1.0
