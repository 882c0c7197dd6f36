"""What has been written so far, for messages that must say so truly, whenever they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spikewright.files.errors import shown

_records: list[Written] = []
unfinished: list[Callable[[], str]] = []
"""What says, of each long run that is under way, what it has kept and how to go on; an empty text for nothing."""


class Written:
    """What was put at its destination since a moment.

    Noted is what is about to be renamed, and looked at is afterwards whether it was: an interruption may come between
    any two steps.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[str, Path, tuple[int, int]]] = []

    def note(self, given: Path | str, destination: Path, made: Path) -> None:
        """Remember that what was made is about to be renamed to a destination."""
        self._noted.append((shown(given), destination, _identity(made)))

    @property
    def paths(self) -> list[str]:
        """Places as the user named them, where what was made stands now."""
        found: dict[str, None] = {}
        for given, destination, made in self._noted:
            try:
                stands = _identity(destination) == made
            except OSError:
                stands = False
            if stands:
                found[given] = None
        return list(found)

    def __str__(self) -> str:
        return ", ".join(self.paths)


@contextmanager
def recording() -> Iterator[Written]:
    """A record of what is put at its destination by this process while the block runs."""
    record = Written()
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)


def note(given: Path | str, destination: Path, made: Path) -> None:
    """Say in every record that a file or folder is about to be renamed to a destination."""
    for record in _records:
        record.note(given, destination, made)


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino
