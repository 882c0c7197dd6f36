"""What a neuron sends for a current that stays the same for a while: the count that needs no simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.nodes import IF

if TYPE_CHECKING:
    from torch import Tensor


def steady_count(v: Tensor, current: Tensor, steps: int, cap: int | None) -> Tensor:
    """The spikes of neurons that reset by subtraction, in k steps of one current.

    With ``A = max(0, floor(v + k·z))``, from the potential v, current z and at most φ spikes a step:

    * z ≥ 0: ``min(A, n + φ·(k − j − 1))``, where j steps pass before v reaches the threshold, and n ≤ φ spikes are sent
      in the step in which it does;
    * z < 0: only what v holds at the start: φ spikes a step while it holds so many, then once what is left.

    Args:
        v: potentials at the start, in thresholds.
        current: of a step, in thresholds; the same shape.
        steps: k; 0 sends nothing.
        cap: φ; None for any number.
    """
    import torch

    if not steps:
        return torch.zeros_like(v)
    reached = (v + steps * current).floor().clamp(min=0)
    if cap is None:
        return reached.maximum((v + current).floor())
    waited = ((1 - v) / current.where(current > 0, 1)).ceil().sub(1).clamp(0, steps).where(current > 0, 0)
    first = (v + (waited + 1) * current).floor().clamp(0, cap)
    rising = reached.minimum((first + cap * (steps - waited - 1)).where(waited < steps, 0))
    whole = (v / (cap - current.clamp(max=0))).floor().clamp(0, steps)
    rest = (v + (whole + 1) * current - cap * whole).floor().clamp(min=0)
    falling = cap * whole + rest.where(whole < steps, 0)
    return rising.where(current >= 0, falling)


def is_plain(neuron: IF) -> bool:
    """Whether neurons only integrate, fire and subtract, so that ``steady_count`` knows what they send."""
    return (
        type(neuron) is IF
        and neuron.reset == "subtract"
        and neuron.v_min is None
        and not neuron.signed
        and not neuron.no_debt
    )
