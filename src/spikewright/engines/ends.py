"""Samples of a batch that end at different timesteps: recordings of different length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings import events_in

if TYPE_CHECKING:
    from torch import Tensor


class Ends:
    """When each sample of a batch ends, and what a step of it counts for.

    Args:
        x: the batch.
        timesteps: T of the run.

    Attributes:
        lengths: ``(B,)``: the steps of each, at most T; None where all have T.
        factors: ``(B,)``: what biases of each are multiplied by, and the mean that is its answer divided; None for 1.
    """

    def __init__(self, x: Any, timesteps: int) -> None:
        events = events_in(x)
        lengths = None if events is None else np.minimum(events.steps_each, timesteps)
        self.lengths = None if lengths is None or (lengths == timesteps).all() else lengths
        self.factors = None if events is None else events.bias_factors
        self.timesteps = timesteps

    def masked(self, values: Mapping[str, Tensor], t: int) -> Mapping[str, Tensor]:
        """What nodes gave in a step, nothing of samples that have ended."""
        if self.lengths is None or t < self.lengths.min():
            return values
        return {name: value * self._column(self.lengths > t, value) for name, value in values.items()}

    def mean(self, total: Tensor, t: int) -> Tensor:
        """The mean over the steps so far, ``(B, *shape)``; of a sample that has ended, that of its last step."""
        if self.lengths is not None:
            total = total / self._column(np.minimum(self.lengths, t + 1), total)
        else:
            total = total / (t + 1)
        return total if self.factors is None else total / self._column(self.factors, total)

    def means(self, totals: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of all steps, from the totals ``(B, T, values)``, which are changed."""
        steps = np.arange(1, self.timesteps + 1)[None]
        if self.lengths is not None:
            for row, length in enumerate(self.lengths.tolist()):
                totals[row, length:] = totals[row, length - 1]
            steps = np.minimum(steps, self.lengths[:, None])
        totals /= steps[..., None].astype(totals.dtype)
        if self.factors is not None:
            totals /= self.factors[:, None, None].astype(totals.dtype)
        return totals

    def running(self, like: Tensor) -> Tensor | None:
        """Which steps of a sequence ``(T, B, *shape)`` its samples have, ``(T, B, 1, …)`` of 0 and 1; None for all."""
        import torch

        if self.lengths is None:
            return None
        there = torch.from_numpy(self.lengths)[None] > torch.arange(self.timesteps)[:, None]
        return there.to(like).view(*there.shape, *(1 for _ in like.shape[2:]))

    def divisors(self, like: Tensor) -> Tensor:
        """What sums of a sequence ``(T, B, *shape)`` are divided by for the answers so far, ``(T, B, 1, …)``."""
        import torch

        steps = torch.arange(1, self.timesteps + 1)[:, None]
        if self.lengths is not None:
            steps = torch.minimum(steps, torch.from_numpy(self.lengths)[None])
        found = steps.to(like).expand(-1, like.shape[1])
        if self.factors is not None:
            found = found * torch.as_tensor(self.factors).to(like)
        return found.view(*found.shape, *(1 for _ in like.shape[2:]))

    def _column(self, values: Any, like: Tensor) -> Tensor:
        import torch

        return torch.as_tensor(values).to(like).view(-1, *(1 for _ in like.shape[1:]))
