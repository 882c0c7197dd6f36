"""The trains that a chip is sent, binned to steps: so that the stepped network runs on the very same events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.chips.network import ChipNetwork
from spikewright.chips.quantise import pictures_of
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.encoders import Encoder
from spikewright.text import brief

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrainFrames(Encoder):
    """An encoder that gives in each step the events that a chip is sent in it, each as what it stands for.

    Attributes:
        network: whose inputs say what an event stands for: that of a quantised conversion.
        trains: how pictures are sent.
    """

    network: ChipNetwork
    trains: PictureTrains
    _last: dict[str, Any] = field(default_factory=dict, repr=False)

    __repr__ = brief

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        if t >= self.trains.timesteps:
            return x.new_zeros(x.shape)
        return self._frames(x, first)[:, t].reshape(x.shape)

    def _frames(self, x: Tensor, first: int) -> Tensor:
        """``(B, T, values)``; those of the last batch are kept, since every step asks for them."""
        last = self._last
        if last.get("first") != first or last["x"].shape != x.shape or not bool((last["x"] == x).all()):
            last.update(first=first, x=x, frames=x.new_tensor(self._made(x.cpu().numpy(), first)))
        frames: Tensor = last["frames"]
        return frames

    def _made(self, x: Any, first: int) -> Any:
        pictures, parts = pictures_of(self.network, x), []
        for source in self.network.inputs:
            own = np.stack(
                [
                    self.trains.frames(self.trains.of(picture, source, first + k), source)
                    for k, picture in enumerate(pictures[source.name])
                ]
            ).reshape(len(x), self.trains.timesteps, -1)
            if source.places is not None:
                own = own[:, :, np.argsort(source.places)]
            parts.append(own)
        return np.concatenate(parts, axis=2)
