"""What a format of recordings is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from spikewright.recordings.columns import Columns

Size = tuple[int, int]
"""Columns and rows of a sensor: (width, height)."""


@dataclass(frozen=True)
class RecordingFormat(ABC):
    """One file in a format; the format is called after the file that it stands in. Nothing is read before it is asked.

    Attributes:
        path: of the file.
        unit: of times, "s", "ms", "us" or "ns", and order: of columns, as in "txyp": for formats that do not say them.
    """

    path: Path
    unit: str | None = None
    order: str | None = None
    says_units: ClassVar[bool] = True
    """Whether the format itself says what its numbers are, as all do that hold no plain arrays."""

    @classmethod
    @abstractmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        """Whether a file is in this format.

        Args:
            head: its first bytes, 512 at most.
            suffix: the ending of its name, in small letters, with the dot.
        """

    @property
    def sensor_size(self) -> Size | None:
        """The columns and rows of the sensor, as the file says; None where it does not."""
        return None

    @abstractmethod
    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        """The events, piece after piece, each of a size that fits in memory.

        Args:
            counted: how much was left out, by what it is: ``counted[CUT] += 3``.

        Raises:
            Exception: for a damaged file: any of ``spikewright.npz.FAULTS``, of which one line is made.
        """
