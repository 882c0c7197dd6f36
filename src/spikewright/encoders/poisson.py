"""Random spikes whose rate is the analog value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.encoders.encoder import Encoder
from spikewright.errors import SettingsError
from spikewright.settings import check_fields

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Poisson(Encoder):
    """At each step a value ``x`` sends a spike of its sign with probability ``min(|x| / scale, 1)``.

    A spike stands for ``scale``, so the mean input is ``x`` wherever ``|x| ≤ scale``. The draw depends on the
    seed, the sample's index and the timestep alone: neither the batch size nor the order matters.

    Attributes:
        scale: the value that fires at every step.
        seed: of the draws.
    """

    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.scale < float("inf"):
            raise SettingsError(f"poisson: scale must be positive and finite, not {self.scale}")
        if self.seed < 0:
            raise SettingsError(f"poisson: seed must be 0 or more, not {self.seed}")

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        import numpy as np
        import torch

        draws = np.empty(tuple(x.shape), np.float32)
        for row in range(len(draws)):
            generator = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, first + row, t]))
            draws[row] = generator.random(draws.shape[1:], np.float32)
        fires = torch.from_numpy(draws).to(x.device) < (x.abs() / self.scale)
        return torch.sign(x) * fires * self.scale
