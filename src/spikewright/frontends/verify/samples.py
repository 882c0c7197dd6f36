"""Random samples that an imported network is tried on: of either sign, small and large, and nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.graph import Array, Shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Draw = Callable[[np.random.Generator, Shape], Array]
Batch = dict[str, "Tensor"]
"""One batch ``(B, *shape)`` for each input, by the names of the graph's inputs."""

KINDS: Mapping[str, Draw] = {
    "standard normal": lambda random, shape: random.standard_normal(shape),
    "uniform from 0 to 1": lambda random, shape: random.uniform(0, 1, shape),
    "uniform from 0 to 255": lambda random, shape: random.uniform(0, 255, shape),
    "normal with a deviation of 10": lambda random, shape: 10 * random.standard_normal(shape),
    "zero": lambda _, shape: np.zeros(shape),
}
"""What is drawn, by the name under which a difference is reported."""


@dataclass(frozen=True)
class SampleBatch:
    """Samples of one kind.

    Attributes:
        kind: a key of ``KINDS``, or "your example".
        size: how many.
        batch: they themselves.
    """

    kind: str
    size: int
    batch: Batch


@dataclass(frozen=True)
class Sampler:
    """Draws batches for the inputs of a graph; the same ones each time.

    Attributes:
        shapes: of one sample of each input.
        dtypes: what the framework takes them as; an input that takes whole numbers gets whole numbers.
        example: the user's batch, where there is one.
    """

    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, torch.dtype]
    example: Batch | None = None

    def draw(self, kind: str, size: int, seed: int = 0) -> Batch:
        """A batch of one kind."""
        random = np.random.default_rng([seed, size, list(KINDS).index(kind)])
        return {name: self._drawn(name, kind, (size, *shape), random) for name, shape in self.shapes.items()}

    def _drawn(self, name: str, kind: str, shape: Shape, random: np.random.Generator) -> Tensor:
        import torch

        dtype = self.dtypes[name]
        values = KINDS[kind](random, shape)
        if dtype is torch.bool:
            values = values > np.median(values)
        elif not dtype.is_floating_point:
            info = torch.iinfo(dtype)
            values = np.clip(np.rint(values), info.min, info.max)
        return torch.as_tensor(np.asarray(values, np.float32)).to(dtype)  # both sides get the same numbers

    def batches(self, sizes: Sequence[int]) -> Iterator[SampleBatch]:
        """Every kind twice, in one size and then in the other, the most telling first."""
        for turn in range(2):
            for k, kind in enumerate(KINDS):
                size = sizes[(turn + k) % len(sizes)]
                if kind != "zero" or turn == 0:
                    yield SampleBatch(kind, size, self.draw(kind, size, seed=0 if len(sizes) > 1 else turn))
            if turn == 0 and self.example is not None:
                taken = fitted(self.example, sizes[-1])
                yield SampleBatch("your example", sizes[-1], taken)


def fitted(example: Batch, size: int) -> Batch:
    """The example cut to a batch size, or repeated up to it."""
    import torch

    return {name: torch.cat([x] * -(-size // len(x)))[:size] for name, x in example.items()}
