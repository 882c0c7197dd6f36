"""Random spikes whose rate is the analog value."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from spikewright.encoders.encoder import Encoder
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.settings import plain, whole

if TYPE_CHECKING:
    from torch import Tensor

Negative = Literal["events", "refuse"]


@dataclass(frozen=True)
class Poisson(Encoder):
    """Noise: at each step a value ``x`` sends a spike of its sign with probability ``min(|x| / scale, 1)``.

    A spike stands for ``scale``, so the mean input is ``x`` wherever ``|x| ≤ scale``. The draw depends on the
    seed, the sample's index and the timestep alone: neither the batch size nor the order matters.

    Attributes:
        scale: the value that fires at every step. None for what each input of the network says itself
            (``Input.event_value``, which calibration learns); where it says nothing it is 1, and larger values are
            refused.
        seed: of the draws.
        negative: what negative values do: send "events" of their sign, or the run is to "refuse" them.
    """

    scale: float | None = None
    seed: int = 0
    negative: Negative = "events"

    def __post_init__(self) -> None:
        scale = plain(self.scale)
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        if scale is not None and not (number and 0 < scale < float("inf")):
            raise SettingsError(f"poisson: scale must be positive and finite, not {str(scale)[:40]}")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "seed", whole("poisson: seed", self.seed, 0))
        if self.seed >= 2**128:
            raise SettingsError(f"poisson: seed must be below 2^128, not {str(self.seed)[:40]}")
        if self.negative not in get_args(Negative):
            raise SettingsError(f"poisson: negative must be 'events' or 'refuse', not {repr(self.negative)[:40]}")

    def fitted(self, graph: Graph) -> FittedPoisson:
        parts = []
        for name, shape in graph.inputs.items():
            value = self.scale if self.scale is not None else getattr(graph[name], "event_value", None)
            parts.append(_InputValues(name, prod(shape), None if value is None else float(value)))
        return FittedPoisson(self, tuple(parts))

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        alone = _InputValues("", x[0].numel(), None if self.scale is None else float(self.scale))
        return FittedPoisson(self, (alone,)).at(x, t, first)


@dataclass(frozen=True)
class _InputValues:
    """The values of one input: ``size`` of them, and what an event stands for; None where nobody said."""

    name: str
    size: int
    value: float | None

    def __str__(self) -> str:
        return f"input '{self.name}'" if self.name else "the input"


@dataclass(frozen=True)
class FittedPoisson(Encoder):
    """A Poisson encoder that knows what an event of each input stands for; made by ``Poisson.fitted``.

    Attributes:
        settings: as they were given.
        parts: the inputs as they lie side by side.
    """

    settings: Poisson
    parts: tuple[_InputValues, ...]

    @property
    def event_values(self) -> dict[str, float]:
        import numpy as np

        return {part.name: float(np.float32(part.value or 1.0)) for part in self.parts}

    def at(self, x: Tensor, t: int, first: int) -> Tensor:
        """See ``Encoder.at``.

        Raises:
            DataError: for values above 1 where nobody said what an event stands for, and for negative ones where they
                are to be refused.
        """
        import numpy as np
        import torch

        self._check(x)
        draws = np.empty(tuple(x.shape), np.float32)
        bits = np.random.Philox(key=self.settings.seed)
        generator, start = np.random.Generator(bits), cast(Any, bits.state)
        for row in range(len(draws)):  # a tenth of the time that a new generator for each would take
            start["state"]["counter"][:] = (0, 0, first + row, t)
            bits.state = start
            generator.random(dtype=np.float32, out=draws[row])
        scale: float | Tensor = next(iter(self.event_values.values()))
        if len(self.parts) > 1:
            each = np.repeat(list(self.event_values.values()), [part.size for part in self.parts])
            scale = torch.from_numpy(each).to(x)
        fires = torch.from_numpy(draws).to(x.device) < (x.abs() / scale)
        return torch.sign(x) * fires * scale

    def _check(self, x: Tensor) -> None:
        """Refuse what would be cut without anybody having said so."""
        unsaid = any(part.value is None for part in self.parts)
        if not len(x) or not (unsaid or self.settings.negative == "refuse"):
            return
        rows, end = x.flatten(1), 0
        for part in self.parts:
            values, end = rows[:, end : end + part.size], end + part.size
            low, high = (float(end) for end in values.aminmax())
            most = max(-low, high)
            if part.value is None and most > 1:
                raise DataError(
                    f"poisson: {part} reaches {high if high >= -low else low:.6g}, and one event of it stands for 1: "
                    f"larger values would be cut; give Poisson(scale={most:.6g}) (--input-scale {most:.6g})"
                )
            if low < 0 and self.settings.negative == "refuse":
                raise DataError(
                    f"poisson: {part} has negative values, down to {low:.6g}, which negative='refuse' (--negative "
                    "refuse) does not allow; 'events' sends events of their sign"
                )
