"""What an encoder is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spikewright.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor


class Encoder(ABC):
    """Turns a batch of samples into the network's input at each timestep."""

    @abstractmethod
    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        """The input of one timestep.

        Args:
            x: the batch ``(B, *shape)``.
            t: the timestep, counted from 0.
            first: the index of the batch's first sample in its data set, so that what is random does not
                depend on how the data are cut into batches.

        Returns:
            ``(B, *input shape)``.
        """

    def fitted(self, graph: Graph) -> Encoder:
        """The encoder as it runs on one network, with what it takes from it; engines ask for it before a run."""
        return self

    @property
    def event_values(self) -> Mapping[str, float]:
        """What one event of each input stands for, where all that it sends are events of one size; 1 for others."""
        return {}

    def mean(self, x: Tensor, timesteps: int) -> Tensor:
        """What the analog network sees in the place of the whole run: the expected input of a timestep.

        Args:
            x: the batch ``(B, *shape)``.
            timesteps: T.

        Returns:
            ``(B, *input shape)``.
        """
        return x

    def wanted(self, shape: tuple[int, ...]) -> str:
        """The samples that a network with an input shape takes by way of this encoder, in words."""
        return f"samples of shape {shape}"

    def sample_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The network's input shape for samples of ``shape``."""
        return shape
