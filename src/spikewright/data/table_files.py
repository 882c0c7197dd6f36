"""Tables in files, read in order in small pieces: Parquet, Arrow, and what Hugging Face's ``save_to_disk`` writes."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spikewright.arrow import pyarrow
from spikewright.data.folders import SPLITS, Split
from spikewright.data.source import no_room
from spikewright.errors import DataError
from spikewright.npz import sane

PARQUET, ARROW = frozenset({".parquet", ".pq"}), frozenset({".arrow", ".feather", ".ipc"})
ROWS = 32
"""Rows that are read at once."""
STATE, SPLIT_LIST = "state.json", "dataset_dict.json"
"""Files of a folder that ``save_to_disk`` wrote: of one data set, and of one a split."""


class TableFile(ABC):
    """One file of a table.

    Attributes:
        path: where it is.
        length: its rows.
        schema: its columns.
        by_place: whether rows can be had without those before them.
    """

    path: Path
    length: int
    schema: Any
    by_place: bool

    @abstractmethod
    def read(self, start: int, columns: Sequence[str]) -> Iterator[Any]:
        """Some columns from a row on, as record batches of a few rows."""


class ParquetFile(TableFile):
    """A Parquet file, whose groups of rows are read page by page.

    Args:
        path: of the file.
    """

    by_place = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with sane(path):
            file = self._opened()
            self.schema, self.length = file.schema_arrow, file.metadata.num_rows
            self.groups = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]

    def _opened(self) -> Any:
        from pyarrow.parquet import ParquetFile as Opened

        return Opened(self.path, memory_map=True, buffer_size=2**20, pre_buffer=False)

    def read(self, start: int, columns: Sequence[str]) -> Iterator[Any]:
        with sane(self.path):
            file = self._opened()
            for group, rows in enumerate(self.groups):
                if start < rows:
                    skipped = start
                    for batch in file.iter_batches(ROWS, row_groups=[group], columns=list(columns), use_threads=False):
                        if skipped < len(batch):
                            yield batch.slice(skipped)
                        skipped = max(0, skipped - len(batch))
                start = max(0, start - rows)


class ArrowFile(TableFile):
    """An Arrow file, of either kind, mapped into memory.

    Args:
        path: of the file.
    """

    by_place = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with sane(path):
            self.batches = self._mapped()
            self.schema = self.batches[0].schema if self.batches else None
            self.length = sum(map(len, self.batches))
        if self.schema is None:
            raise DataError(f"{path}: holds no rows")

    def _mapped(self) -> list[Any]:
        pa = pyarrow()
        file = pa.memory_map(str(self.path))
        try:
            reader = pa.ipc.open_file(file)
            return [reader.get_batch(k) for k in range(reader.num_record_batches)]
        except pa.ArrowInvalid:
            file.seek(0)
            return list(pa.ipc.open_stream(file))

    def read(self, start: int, columns: Sequence[str]) -> Iterator[Any]:
        for whole in self.batches:
            if start < len(whole):
                batch = whole.select(list(columns))
                for first in range(start, len(batch), ROWS):
                    yield batch.slice(first, ROWS)
            start = max(0, start - len(whole))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


class Table:
    """Files of one table, one after the other.

    Args:
        files: with the same columns.
    """

    def __init__(self, files: Sequence[TableFile]) -> None:
        self.files, self.schema = tuple(files), files[0].schema
        self.length = sum(file.length for file in files)
        self.by_place = all(file.by_place for file in files)
        self._placed: Table | None = None
        self._of: tuple[Table, tuple[str, ...]] | None = None

    def read(self, start: int, columns: Sequence[str]) -> Iterator[Any]:
        """Some columns from a row on, as record batches of a few rows."""
        for file in self.files:
            if start < file.length:
                yield from file.read(start, columns)
            start = max(0, start - file.length)

    def placed(self, columns: Sequence[str]) -> Table:
        """The same rows by their place: columns of Parquet are unpacked once, into a file without a name."""
        if self.by_place:
            return self
        if self._placed is None:
            pa = pyarrow()
            try:
                with tempfile.NamedTemporaryFile(suffix=".arrow") as room:
                    with pa.OSFile(room.name, "wb") as sink, pa.ipc.new_file(sink, self._kept(columns)) as out:
                        for batch in self.read(0, columns):
                            out.write_batch(batch)
                    self._placed = Table([ArrowFile(Path(room.name))])
                    self._placed._of = self, tuple(columns)
            except OSError as error:
                raise no_room(self.files[0].path, error) from error
        return self._placed

    def _kept(self, columns: Sequence[str]) -> Any:
        return pyarrow().schema([self.schema.field(name) for name in columns], self.schema.metadata)

    def column(self, name: str) -> Any:
        """All of one column, in memory."""
        return pyarrow().chunked_array(
            [batch.column(0) for batch in self.read(0, [name])], self.schema.field(name).type
        )

    def __reduce__(self) -> Any:
        return (Table, (self.files,)) if self._of is None else (Table.placed, self._of)


def holds_table(path: Path) -> bool:
    """Whether a path leads to a table: a file by its ending, a folder by what lies in it."""
    if path.is_file():
        return path.suffix.lower() in PARQUET | ARROW
    names = {STATE, SPLIT_LIST}
    return any((path / name).is_file() for name in names) or any(
        file.suffix.lower() in PARQUET | ARROW for file in path.iterdir() if file.is_file()
    )


def table_at(path: Path, split: Split) -> Table:
    """The table of a file or folder.

    Args:
        path: of a file; of a folder of such, whose names begin with a split (``test-00000-of-00001.parquet``) or do
            not; or of one that ``save_to_disk`` wrote.
        split: which part, where a folder holds several.

    Raises:
        DataError: for files that are damaged, or of different columns.
    """
    found = [_file(one) for one in _files(path, split)]
    strange = next((one for one in found if one.schema.names != found[0].schema.names), None)
    if strange is not None:
        raise DataError(f"{path}: its files have different columns; give one of them")
    return Table(found)


def _file(path: Path) -> TableFile:
    pyarrow()
    return ParquetFile(path) if path.suffix.lower() in PARQUET else ArrowFile(path)


def _files(path: Path, split: Split) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / SPLIT_LIST).is_file():
        there = sorted(entry.name for entry in path.iterdir() if (entry / STATE).is_file())
        chosen = next((name for name in SPLITS[split] if name in there), None)
        if chosen is None and len(there) == 1:
            chosen = there[0]
        if chosen is None:
            raise DataError(
                f"{path}: holds {', '.join(there)} and nothing to {split} with; name the folder that is meant"
            )
        path = path / chosen
    if (path / STATE).is_file():
        with sane(path / STATE):
            listed = json.loads((path / STATE).read_text("utf-8"))["_data_files"]
            names = [str(one["filename"]) for one in listed]
            if any(Path(name).name != name for name in names):
                raise ValueError("it names files of other folders")
            return [path / name for name in names]
    files = sorted(f for f in path.iterdir() if f.is_file() and f.suffix.lower() in PARQUET | ARROW)
    by_split = {
        one: [f for f in files if f.name.lower().startswith(tuple(f"{word}{mark}" for word in words for mark in "-._"))]
        for one, words in SPLITS.items()
    }
    if not any(by_split.values()):
        return files
    if not by_split[split]:
        raise DataError(f"{path}: no file to {split} with, by their names; name the file that is meant")
    return by_split[split]
