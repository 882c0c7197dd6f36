"""Which samples make up the parts of a run."""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.settings import whole

MOST = 64
"""How many parts a run has where nobody says: enough for as many workers, and few enough to merge."""


@dataclass(frozen=True)
class Part:
    """Some consecutive samples of a data set.

    Attributes:
        start, stop: from one place on and up to but not including another.
    """

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"samples {self.start:,} to {self.stop - 1:,}"


def cut(samples: int, size: int, parts: int = MOST, start: int = 0) -> tuple[Part, ...]:
    """Parts of a data set that are whole batches, so that every batch is the same however many parts there are.

    Args:
        samples: how many there are.
        size: of a batch.
        parts: at most so many.
        start: a place at which a batch begins; what lies before it is left out.

    Raises:
        SettingsError: for less than one sample a batch, or less than one part.
    """
    size, parts = whole("batch_size", size), whole("parts", parts)
    batches = -(-(samples - start) // size)
    each = size * max(1, -(-batches // parts))
    return tuple(Part(first, min(first + each, samples)) for first in range(start, samples, each))
