"""What a corrector is: a small frozen value that makes the spiking network of a conversion better on some samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from spikewright.conversion import Conversion, Correction
from spikewright.corrections.walk import Layer, Walk
from spikewright.data import Dataset
from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines.windows import check_length, schedule_of
from spikewright.errors import SettingsError
from spikewright.graph import Node
from spikewright.registry import file_name
from spikewright.settings import plain
from spikewright.tasks import TaskChoice
from spikewright.timesteps import Timesteps
from spikewright.worded import Worded

MOST_ROUNDS = 10_000
"""How often something is gone through at most."""


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
    looks_at_samples: ClassVar[bool] = True
    """Whether what it does depends on samples: these then count as samples of calibration."""

    def __post_init__(self) -> None:
        steps: Any = plain(self.timesteps)
        if isinstance(steps, str | int) and not isinstance(steps, bool):
            object.__setattr__(self, "timesteps", Timesteps.parse(str(steps)))
        super().__post_init__()

    @abstractmethod
    def apply(self, given: Given) -> Conversion:
        """The conversion, corrected: see ``remembered`` for what it is to remember."""

    def check(self, conversion: Conversion, timesteps: Timesteps, before: Sequence[str] = ()) -> None:  # noqa: ARG002
        """Refuse what it cannot correct, before any work is done: of a network whose λ need not be known yet.

        Args:
            conversion: what is to be corrected; of its spiking network the neurons count, not the weights.
            timesteps: what it is corrected for.
            before: the names of the corrections that were made, or are to be made, before it.

        Raises:
            SettingsError: saying why, and what to do.
        """
        if self.looks_at_samples:
            timesteps.check_tuned(self)
            check_length(conversion.spiking, timesteps.last)

    def remembered(self, given: Given) -> Correction:
        """What a conversion remembers of a correction: what was done, and what it was tuned for."""
        settings: dict[str, Any] = {"timesteps": str(given.timesteps)} if self.looks_at_samples else {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "timesteps" and value != f.default:
                settings[f.name] = value
        if self.looks_at_samples:
            settings |= {"encoder": file_name(type(given.encoder)), "samples": len(given.data), "seed": given.seed}
        return Correction(self.name, tuple(settings.items()))


@dataclass(frozen=True)
class LayerCorrector(Corrector):
    """Base of correctors that go layer by layer through time: each population is corrected while all before it are."""

    @abstractmethod
    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        """The nodes to change for one population or output: itself, or some of its ``operators``; none to leave it."""

    def apply(self, given: Given) -> Conversion:
        return layer_by_layer(((self, given),))

    def check(self, conversion: Conversion, timesteps: Timesteps, before: Sequence[str] = ()) -> None:
        if schedule_of(conversion.spiking) != "free" and len(timesteps.values) > 1:
            raise SettingsError(
                f"{self.name}: neurons that speak in windows are another network for each T, not one for {timesteps}; "
                f"correct for one T, as in {self.name}:{timesteps.last}"
            )
        super().check(conversion, timesteps, before)


def layer_by_layer(chain: Sequence[tuple[LayerCorrector, Given]]) -> Conversion:
    """A conversion corrected by several correctors in one walk: each population by all of them before the next one.

    Args:
        chain: each with what it is given: the same conversion, samples and last timestep.

    Raises:
        SettingsError: for what one of them cannot correct.
    """
    for corrector, each in chain:
        corrector.check(each.conversion, each.timesteps)
    given = chain[0][1]
    walk, own = given.walk(), [each for _, each in chain]
    if walk.window is not None:
        own = [replace(each, timesteps=Timesteps(1, 1)) for each in own]
    for layer in walk:
        for (corrector, _), each in zip(chain, own, strict=True):
            layer.replace(*corrector.layer(layer, each))
    conversion, graph = given.conversion, walk.graph
    for corrector, each in chain:
        conversion = conversion.corrected(graph, corrector.remembered(each))
    return conversion
