"""Events that an unfinished run has set aside: what lies in a folder until they are joined."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.arrow import pyarrow
from spikewright.errors import ModelFileError
from spikewright.files import digest_of, reason, sync
from spikewright.text import first_line

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

Kept = tuple[int, list[int], list[list[str]]]
"""What a run that goes on must know of what was set aside: samples, events of each population, and of each piece the
digests of its files."""
AGAIN = "leave --resume (resume=True) away to begin anew"


class DamagedPiece(ModelFileError):
    """What was set aside is damaged or gone, so that nobody can go on from it."""


@dataclass
class EventPieces:
    """Files of events, closed and set aside one piece after another.

    A piece has one file for each population, also for those that sent nothing: a piece that a killed run had set aside
    without anybody knowing is then replaced whole.

    Attributes:
        folder: made when the first piece comes.
        digests: of the files of each piece that counts, in the order of the populations.
    """

    folder: Path
    digests: list[list[str]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """How many pieces count."""
        return len(self.digests)

    def add(self, files: list[Path]) -> None:
        """Move files here as the next piece; they are on the disk afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = []
        for file in files:
            there = self._path(self.number, file.name)
            shutil.move(file, there)  # to another disk too
            sync(there)
            made.append(digest_of(there))
        self.digests.append(made)

    def row_groups(self, name: str) -> Iterator[list[pa.Array]]:
        """The columns of each row group of a file, piece after piece.

        Args:
            name: of the file, as it was called where it came from.

        Raises:
            DamagedPiece: for one that is missing or damaged, of which it says which.
        """
        for number in range(self.number):
            with self._opened(number, name) as file:
                for group in range(file.num_row_groups):
                    yield [column.combine_chunks() for column in file.read_row_group(group).columns]

    def check(self, names: Sequence[str]) -> None:
        """Refuse pieces that are not what was set aside, to the last byte.

        Args:
            names: of the files, in the order of the populations.

        Raises:
            DamagedPiece: as ``row_groups``.
        """
        for number, digests in enumerate(self.digests):
            for name, digest in zip(names, digests, strict=True):
                path = self._path(number, name)
                try:
                    there = digest_of(path)
                except OSError as error:
                    raise _damaged(path, reason(error)) from error
                if there != digest:
                    raise _damaged(path, "it does not hold what was set aside")

    @contextmanager
    def _opened(self, number: int, name: str) -> Iterator[ParquetFile]:
        pyarrow()
        from pyarrow.parquet import ParquetFile

        path = self._path(number, name)
        try:
            with path.open("rb") as raw, ParquetFile(raw, page_checksum_verification=True) as file:
                yield file
        except (OSError, ValueError) as error:
            raise _damaged(path, reason(error) if isinstance(error, OSError) else first_line(error)) from error

    def _path(self, number: int, name: str) -> Path:
        return self.folder / f"{number:06d}-{name}"


def _damaged(path: Path, why: str) -> DamagedPiece:
    return DamagedPiece(f"{path}: damaged ({why}); {AGAIN}")
