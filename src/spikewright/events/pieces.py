"""Events that an unfinished run has set aside: what lies in a folder until they are joined."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.arrow import pyarrow
from spikewright.errors import ModelFileError
from spikewright.files import reason, sync
from spikewright.text import first_line

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

Kept = tuple[int, list[int], int]
"""What a run that goes on must know of what was set aside: samples, events of each population, number of pieces."""


@dataclass
class EventPieces:
    """Files of events, closed and set aside one piece after another.

    A piece has one file for each population, also for those that sent nothing: a piece that a killed run had set aside
    without anybody knowing is then replaced whole.

    Attributes:
        folder: made when the first piece comes.
        number: how many pieces count.
    """

    folder: Path
    number: int = 0

    def add(self, files: list[Path]) -> None:
        """Move files here as the next piece; they are on the disk afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            there = self._path(self.number, file.name)
            shutil.move(file, there)  # to another disk too
            sync(there)
        self.number += 1

    def row_groups(self, name: str) -> Iterator[list[pa.Array]]:
        """The columns of each row group of a file, piece after piece.

        Args:
            name: of the file, as it was called where it came from.

        Raises:
            ModelFileError: for a piece that is missing or damaged.
        """
        for number in range(self.number):
            with self._opened(number, name) as file:
                for group in range(file.num_row_groups):
                    yield [column.combine_chunks() for column in file.read_row_group(group).columns]

    def check(self, name: str, count: int) -> None:
        """Refuse pieces of a file that do not say of themselves that they hold so many events together.

        Raises:
            ModelFileError: as ``row_groups``.
        """
        for number in range(self.number):
            with self._opened(number, name) as file:
                count -= file.metadata.num_rows
                if count < 0 or (count and number == self.number - 1):
                    raise ValueError("it holds other events than were set aside")

    @contextmanager
    def _opened(self, number: int, name: str) -> Iterator[ParquetFile]:
        pyarrow()
        from pyarrow.parquet import ParquetFile

        path = self._path(number, name)
        try:
            with path.open("rb") as raw, ParquetFile(raw, page_checksum_verification=True) as file:
                yield file
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else first_line(error)
            again = "leave --resume (resume=True) away to begin anew"
            raise ModelFileError(f"{path}: damaged ({why}); {again}") from error

    def _path(self, number: int, name: str) -> Path:
        return self.folder / f"{number:06d}-{name}"
