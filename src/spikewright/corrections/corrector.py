"""What a corrector is: a small frozen value that makes the spiking network of a conversion better on some samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from spikewright.conversion import Conversion
from spikewright.corrections.walk import Layer, Walk
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.graph import Graph, Node
from spikewright.settings import plain
from spikewright.tasks import TaskChoice
from spikewright.timesteps import Timesteps
from spikewright.worded import Worded


@dataclass(frozen=True)
class Given:
    """What a corrector is given to work with.

    Attributes:
        conversion: as it is before the correction.
        data: the samples to correct with.
        timesteps: one T or a range of them.
        encoder: of the inputs.
        seed: of whatever is drawn.
        task: what labels mean, where somebody said so.
        device: a torch device.
        progress: called with (what is done, what there is).
    """

    conversion: Conversion
    data: Dataset
    timesteps: Timesteps
    encoder: Encoder = field(default_factory=Constant)
    seed: int = 0
    task: TaskChoice = None
    device: str = "cpu"
    progress: Callable[[int, int], None] | None = None

    def walk(self, timesteps: int | None = None) -> Walk:
        """Layer by layer through time over the samples, as many steps as are wanted: see ``Walk``."""
        return Walk(
            self.conversion,
            self.data,
            timesteps or self.timesteps.last,
            encoder=self.encoder,
            device=self.device,
            progress=self.progress,
        )


@dataclass(frozen=True)
class Corrector(Worded, ABC):
    """Base of all correctors.

    Attributes:
        timesteps: one T or a range that it corrects for; None for what whoever calls has in mind. A text or a number
            will do.
    """

    timesteps: Timesteps | None = None

    def __post_init__(self) -> None:
        steps: Any = plain(self.timesteps)
        if isinstance(steps, str | int) and not isinstance(steps, bool):
            object.__setattr__(self, "timesteps", Timesteps.parse(str(steps)))
        super().__post_init__()

    @abstractmethod
    def corrected(self, given: Given) -> Graph:
        """The spiking network, corrected: the same populations, by the same names."""


@dataclass(frozen=True)
class LayerCorrector(Corrector):
    """Base of correctors that go layer by layer through time: each population is corrected while all before it are."""

    @abstractmethod
    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        """The nodes to change for one population or output: itself, or some of its ``operators``; none to leave it."""

    def corrected(self, given: Given) -> Graph:
        walk = given.walk()
        for layer in walk:
            layer.replace(*self.layer(layer, given))
        return walk.graph
