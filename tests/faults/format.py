"""One thing that is read from disk, and how it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from faults.mutations import BYTES, Mutator


@dataclass(frozen=True)
class Format:
    """One thing that is read.

    Attributes:
        name: of the file, whose ending says what it is.
        make: writes a good one into an empty folder; more files may lie beside it.
        read: reads it from such a folder as a user's command would, and gives what it understood of it.
        inside: mutators that know what the format is made of.
        sure: whether damage to its bytes can never go unseen, so that what is read is the good file or nothing.
        slow: how many times longer than others one reading takes.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    inside: tuple[Mutator, ...] = ()
    sure: bool = False
    slow: int = 1

    def damaged(self, good: bytes, seed: int) -> tuple[bytes, bool]:
        """Bytes of a damaged file, and whether what is read of it must be what was read before."""
        random = Random(seed)
        if self.inside and random.random() < 0.4:
            return random.choice(self.inside)(good, random), False
        made = random.choice(BYTES)(good, random)
        if random.random() < 0.2 and made:
            made = random.choice(BYTES)(made, random)
        return made, self.sure
