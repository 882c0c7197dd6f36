"""Where pictures lie: files by their names, or the cells of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from spikewright.data.sampling import Rows
from spikewright.npz import sane


@dataclass(frozen=True)
class Encoded:
    """A picture as the bytes of a file that lies in something else.

    Attributes:
        name: what to call it.
        content: of the file.
    """

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


class PictureStore(ABC):
    """Pictures by their number.

    Attributes:
        quick_headers: whether a header can be read without the whole picture.
    """

    quick_headers: bool = True

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, row: int) -> Path | Encoded:
        """One of them; quickest for numbers that follow one another."""

    @abstractmethod
    def some(self, rows: Rows) -> Self:
        """Those with some numbers, in that order."""


class PictureFiles(PictureStore):
    """Pictures in files.

    Args:
        files: their names.
    """

    def __init__(self, files: Iterable[Path | str]) -> None:
        self.names = tuple(map(str, files))  # a Path takes five times as much

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> Path:
        return Path(self.names[row])

    def some(self, rows: Rows) -> PictureFiles:
        return PictureFiles(self.names[int(row)] for row in rows)


def content_of(picture: Path | Encoded) -> bytes:
    """The bytes of a picture's file.

    Raises:
        DataError: for a file that cannot be read.
    """
    if isinstance(picture, Encoded):
        return picture.content
    with sane(picture):
        return picture.read_bytes()
