"""Thresholds that are learnt while the data pass by, each layer's clipping felt by the next (Bu et al., CVPR 2025)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests.request import Arrays, InOrder, Totals
from spikewright.nodes import Output, ReLU

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.data import Dataset
    from spikewright.forward import Forward


@dataclass(frozen=True)
class LocalThresholdBalancing(InOrder[NDArray[np.float64]]):
    """The threshold θ of every channel after so many batches of::

        θ ← θ + 2·mean(max(a − θ, 0))          over the batch and all positions
        a ← min(a, θ)                          which the next layers see

    that is, gradient descent on ``E max(a − θ, 0)²`` from θ = 0, whose batches say how far up it gets. What is found is
    ``(channels,)``: 0 where a channel was never active.

    Attributes:
        batches: how many.
        size: samples of each.
        seed: of the order of the samples, which go round and round.
    """

    batches: int
    size: int
    seed: int
    names: ClassVar[tuple[str, ...]] = ("thresholds",)

    @property
    def key(self) -> str:
        return f"ltb,batches={self.batches},size={self.size},seed={self.seed}"

    @classmethod
    def parse(cls, key: str) -> Self | None:
        found = re.fullmatch(r"ltb,batches=(\d{1,10}),size=(\d{1,10}),seed=(\d{1,10})", key)
        return cls(*map(int, found.groups())) if found else None

    @property
    def samples(self) -> int:
        return self.batches * self.size

    def gather(self, forward: Forward, data: Dataset, progress: Callable[[int], None]) -> dict[str, Arrays]:
        import torch

        learners = {node.name: _Learner(forward.functions[node.name]) for node in forward.graph.of_type(ReLU)}
        learners |= {node.name: _Learner(lambda x: x.relu()) for node in forward.graph.of_type(Output)}
        forward.functions.update(learners)
        for number, rows in enumerate(self._rows(len(data)), 1):
            for x, _ in data.subset(rows).batches(self.size):
                forward(torch.from_numpy(np.ascontiguousarray(x)))
            progress(number * self.size)
        return {name: {"thresholds": learner.threshold} for name, learner in learners.items()}

    def _rows(self, samples: int) -> Iterator[NDArray[np.int64]]:
        """Which samples make up each batch: one order of all after the other, cut into batches."""
        rng = np.random.default_rng(self.seed)
        left = np.zeros(0, np.int64)
        for _ in range(self.batches):
            while len(left) < self.size:
                left = np.concatenate([left, rng.permutation(samples)])
            yield left[: self.size]
            left = left[self.size :]

    def found(self, arrays: Arrays) -> NDArray[np.float64]:
        return arrays["thresholds"]

    def check(self, arrays: Arrays, totals: Totals) -> None:
        values = arrays["thresholds"]
        if values.dtype != np.float64 or values.shape != totals.positives.shape:
            raise ValueError(f"thresholds cannot be {values.dtype} {values.shape}")
        if not np.isfinite(values).all() or (values < 0).any():
            raise ValueError("thresholds are numbers, 0 or more")


class _Learner:
    """Stands in for a rectifier: learns the threshold of each channel from a batch, and clips the batch there.

    Args:
        rectify: what the rectifier does.
    """

    def __init__(self, rectify: Callable[..., Tensor]) -> None:
        self.rectify = rectify
        self.threshold = np.zeros(0)

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        values = self.rectify(x)
        if not len(self.threshold):
            self.threshold = np.zeros(values.shape[1])
        excess = (values - self._wide(values)).clamp_(min=0).transpose(0, 1).reshape(values.shape[1], -1)
        self.threshold = self.threshold + 2 * excess.mean(dim=1, dtype=torch.float64).cpu().numpy()
        return values.minimum(self._wide(values))

    def _wide(self, like: Tensor) -> Tensor:
        import torch

        return torch.from_numpy(self.threshold).to(like.device, like.dtype).reshape(-1, *(1 for _ in like.shape[2:]))
