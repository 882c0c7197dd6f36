"""How many timesteps something is made for: one number T, or a range of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from spikewright.errors import SettingsError
from spikewright.settings import LARGEST, whole

MOST_TUNED = 2**16
"""The most timesteps that something is chosen, corrected or tuned for: in more, a count is right to one in so many."""


@dataclass(frozen=True)
class Timesteps:
    """One T, or a range of them that is gone through by doubling.

    ``str`` gives its text, ``16`` or ``4..32``, which ``parse`` reads.

    Attributes:
        first: the fewest, at least 1.
        last: the most, at least ``first``.

    >>> Timesteps.parse("4..32").values
    (4, 8, 16, 32)
    >>> Timesteps(3, 10).values
    (3, 6, 10)
    """

    first: int
    last: int

    def __post_init__(self) -> None:
        for label in ("first", "last"):
            object.__setattr__(self, label, whole("timesteps", getattr(self, label), 1, LARGEST))
        if self.last < self.first:
            raise SettingsError(f"a range of timesteps goes up, as in {self.last}..{self.first}, not {self}")

    @property
    def values(self) -> tuple[int, ...]:
        """Every T of it: the first, its doubles below the last, and the last."""
        found = [self.first]
        while 2 * found[-1] < self.last:
            found.append(2 * found[-1])
        return tuple(dict.fromkeys([*found, self.last]))

    def __contains__(self, timesteps: int) -> bool:
        return self.first <= timesteps <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    @classmethod
    def of(cls, given: Timesteps | int | str) -> Timesteps:
        """A number of timesteps or a range of them as people give it: 16, ``"4..32"``, or such a value.

        Raises:
            SettingsError: for anything else.
        """
        if isinstance(given, Timesteps):
            return given
        if isinstance(given, str):
            return cls.parse(given)
        number = whole("timesteps", given, 1, LARGEST)
        return cls(number, number)

    def check_tuned(self, what: object) -> None:
        """Refuse numbers of timesteps that nothing is tuned for.

        Args:
            what: would be, for the message.

        Raises:
            SettingsError: for more than ``MOST_TUNED``.
        """
        if self.last > MOST_TUNED:
            raise SettingsError(
                f"{what}: nothing is tuned for {self.last:,} timesteps: what rounds to one in {MOST_TUNED:,} loses "
                f"nothing; give {MOST_TUNED:,} or fewer, 4 to 64 are usual"
            )

    @classmethod
    def is_text(cls, text: str) -> bool:
        """Whether a word looks like one of these: a whole number, or two with dots between."""
        return re.fullmatch(r"\d+(\.\.\d+)?", text) is not None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A number of timesteps or a range of them from its text.

        Raises:
            SettingsError: for anything else.
        """
        if not cls.is_text(text):
            raise SettingsError(f"timesteps are a whole number or a range, as in 16 or 4..32, not '{text[:40]}'")
        first, _, last = text.partition("..")
        return cls(int(first[:20]), int((last or first)[:20]))
