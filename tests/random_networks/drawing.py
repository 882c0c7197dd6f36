"""What the generators of all frameworks share: chance, and a network that was drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")
D = TypeVar("D")
Array = np.ndarray[Any, Any]


class Chance:
    """A random generator with the words that drawing a network needs."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def pick(self, *choices: T) -> T:
        return choices[int(self.random.integers(len(choices)))]

    def happens(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.random.integers(low, high + 1))

    def ints(self, count: int, low: int, high: int) -> tuple[int, ...]:
        return tuple(self.between(low, high) for _ in range(count))

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        return np.asarray(self.random.normal(size=shape) * scale, np.float32)

    def order(self, count: int) -> list[int]:
        return [int(n) for n in self.random.permutation(count)]

    def divisor(self, number: int) -> int:
        return self.pick(*(n for n in range(1, number + 1) if number % n == 0))

    def sample_shape(self) -> tuple[int, ...]:
        """Channels, and none to three further axes; some of length one."""
        axes = self.pick(0, 1, 1, 2, 2, 2, 2, 3)
        longest = {0: 1, 1: 12, 2: 8, 3: 5}[axes]
        spatial = self.ints(axes, max(longest // 2, 1), longest)
        return (self.pick(1, 2, 3, 4, 4, 6, 8), *(1 if self.happens(0.05) else n for n in spatial))

    def weights(self, *shape: int) -> Array:
        """Trained numbers: mostly plain, at times zero, huge or tiny."""
        fan_in = max(int(np.prod(shape[1:])), 1)
        drawn = self.normal(*shape, scale=1 / np.sqrt(fan_in))
        kind = self.random.random()
        if kind < 0.03:
            return np.zeros_like(drawn)
        if kind < 0.06:
            return drawn * np.float32(self.pick(1e4, 1e-5))
        return drawn


def draw_blocks(drawing: D, chance: Chance, plain: Callable[[D], bool], oddity: Callable[[D], bool]) -> None:
    """Two to eight blocks; in four networks of ten one or two of them are odd. What cannot be drawn is tried anew."""
    wished = 0 if chance.happens(0.6) else chance.between(1, 2)
    blocks = chance.between(2, 8)
    places = {chance.between(0, blocks - 1) for _ in range(wished)}
    for block in range(blocks):
        for _ in range(6):
            if (oddity if block in places else plain)(drawing):
                break


class Reference(Protocol):
    """What a framework makes of a batch of each input: all its outputs, or None where it takes no such batch."""

    def __call__(self, batches: Sequence[Array]) -> list[Array] | None: ...


@dataclass
class Network:
    """A network as it was drawn.

    Attributes:
        model: what ``spikewright.loading`` takes, and ``settings``, by name.
        shapes: of one sample of each input, as the framework has it.
        reference: the framework itself.
        odd: what was drawn that may be refused by design; a network without may be refused only where two parts of it
            cannot go together.
        channels_last: whether the axes of Spikewright's values must be moved to compare them.
    """

    model: Any
    shapes: list[tuple[int, ...]]
    reference: Reference
    settings: dict[str, Any] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    channels_last: bool = False
    story: list[str] = field(default_factory=list)

    def answers(self, batches: Sequence[Array]) -> list[Array] | None:
        """What the framework makes of them; whatever it warns of is its own."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.reference(batches)

    def batches(self, count: int, seed: int) -> list[Array]:
        """Random samples of each input, positive and negative, some exactly zero."""
        random = np.random.default_rng(seed)
        found = []
        for shape in self.shapes:
            x = random.normal(size=(count, *shape)) * random.choice([0.3, 1.0, 3.0])
            x[random.random(x.shape) < 0.05] = 0
            found.append(x.astype(np.float32))
        return found
