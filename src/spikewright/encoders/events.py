"""Recorded events, binned into one frame a timestep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spikewright.encoders.encoder import Encoder
from spikewright.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class EventFrames(Encoder):
    """Samples of shape ``(frames, *input shape)`` that hold event counts; after the last frame nothing comes."""

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        return x[:, t] if t < x.shape[1] else x.new_zeros(x[:, 0].shape)

    def mean(self, x: Tensor, timesteps: int) -> Tensor:
        return x[:, :timesteps].sum(dim=1) / timesteps

    def wanted(self, shape: tuple[int, ...]) -> str:
        return f"samples of shape (frames, {', '.join(map(str, shape))}) with the encoder events, one frame a timestep"

    def sample_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 2:
            raise DataError(f"event samples need the shape (frames, *input shape); these have {shape}")
        return shape[1:]
