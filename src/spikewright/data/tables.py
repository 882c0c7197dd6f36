"""Tables as data sets: columns of encoded pictures, or of lists of numbers, with a column of labels beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.data.columns import LABEL_KEYS, Columns
from spikewright.data.folders import Split
from spikewright.data.labels import Targets, as_targets
from spikewright.data.labels import rows as targets_of_rows
from spikewright.data.pictures import Encoded, PictureStore
from spikewright.data.sampling import Rows
from spikewright.data.source import Samples, Source
from spikewright.data.table_files import Table, table_at
from spikewright.errors import DataError
from spikewright.graph import Array

JUMP = 4096
"""Rows that are rather read over than begun anew behind."""


class Cells:
    """One column of a table by row; quickest for rows that follow one another.

    Args:
        table: that holds it.
        column: its name.
    """

    def __init__(self, table: Table, column: str) -> None:
        self.table, self.column = table, column
        self._reader: Iterator[Any] | None = None
        self._batch: Any = None
        self._first = 0

    def __getitem__(self, row: int) -> Any:
        """A cell, as an Arrow scalar."""
        held = 0 if self._batch is None else len(self._batch)
        if self._reader is None or not self._first <= row < self._first + held + JUMP:
            self._reader, self._first, held = self.table.read(row, [self.column]), row, 0
        while row >= self._first + held:
            self._first += held
            self._batch = next(self._reader, None)
            if self._batch is None:
                self._reader = None
                raise DataError(f"the column '{self.column}' ends before row {row}; the file has changed")
            held = len(self._batch)
        return self._batch.column(0)[row - self._first]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_batch": None, "_first": 0}


class PictureCells(PictureStore):
    """Pictures in the cells of a column: the bytes of their files.

    Args:
        table: that holds them.
        column: its name.
        where: what to call the table.
        rows: of those that are meant; None for all.
    """

    quick_headers = False

    def __init__(self, table: Table, column: str, where: str, rows: Rows | None = None) -> None:
        self.cells, self.where, self.rows = Cells(table, column), where, rows

    def __len__(self) -> int:
        return self.cells.table.length if self.rows is None else len(self.rows)

    def __getitem__(self, row: int) -> Encoded:
        place = row if self.rows is None else int(self.rows[row])
        cell, name = self.cells[place].as_py(), f"{self.where}, row {place}"
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not content:
            raise DataError(f"{name}: holds no picture in '{self.cells.column}'; leave the row out")
        return Encoded(name, content)

    def some(self, rows: Rows) -> PictureCells:
        places = np.asarray(rows) if self.rows is None else self.rows[rows]
        table = self.cells.table
        if (np.diff(places) <= 0).any():
            table = table.placed([self.cells.column])
        return PictureCells(table, self.cells.column, self.where, places)


class ListSource(Source):
    """Samples that are lists of numbers in the cells of a column.

    Args:
        table: that holds them.
        column: its name.
        targets: of all samples, or None.
        where: what to call the table.
    """

    noun = "table"

    def __init__(self, table: Table, column: str, targets: Targets | None, where: str) -> None:
        self.table, self.column, self.targets, self.where = table, column, targets, where
        self.length, self.by_place = table.length, table.by_place

    @property
    def head(self) -> Samples:
        return next(self.read(0, 1))

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        stop = self.table.length if stop is None else min(stop, self.table.length)
        at = start
        for batch in self.table.read(start, [self.column]) if at < stop else ():
            x = self._values(batch.column(0), at)[: stop - at]
            yield x, targets_of_rows(self.targets, slice(at, at + len(x)))
            at += len(batch)
            if at >= stop:
                return

    def at(self, places: Rows) -> Samples:
        cells = Cells(self.table, self.column)
        parts = [np.asarray(cells[int(place)].as_py()) for place in places]
        kind = self.head[0].dtype  # type: ignore[union-attr]
        return np.stack(parts).astype(kind), targets_of_rows(self.targets, places)

    def placed(self) -> Source:
        return (
            self
            if self.by_place
            else ListSource(self.table.placed([self.column]), self.column, self.targets, self.where)
        )

    def _values(self, cells: Any, first: int) -> Array:
        """``(rows, *shape)`` of nested lists."""
        if hasattr(cells, "to_numpy_ndarray"):  # tensors of one shape
            return np.asarray(cells.to_numpy_ndarray())
        pa = pyarrow()
        shape, held = [len(cells)], getattr(cells, "storage", cells)
        while (
            pa.types.is_list(held.type) or pa.types.is_large_list(held.type) or pa.types.is_fixed_size_list(held.type)
        ):
            inner = held.flatten()
            each, rest = divmod(len(inner), max(1, len(held)))
            lengths = held.value_lengths().to_numpy(zero_copy_only=False)
            if rest or held.null_count or (lengths != each).any():
                raise DataError(
                    f"{self.where}, row {first} and on: lists of different lengths in '{self.column}'; make them one "
                    "size"
                )
            shape.append(each)
            held = inner
        if held.null_count:
            raise DataError(f"{self.where}, row {first} and on: values are missing in '{self.column}'")
        return np.asarray(held.to_numpy(zero_copy_only=False)).reshape(shape)


def pictures_or_lists(
    path: Path, split: Split, columns: Columns
) -> tuple[PictureStore | Source, Targets | None, tuple[str, ...]]:
    """What a table holds: its pictures, or its lists of numbers; the targets of all rows; and the names of classes.

    Args:
        path: see ``table_at``.
        split: which part, where there are several.
        columns: which columns are sample and label, as far as somebody said so.

    Raises:
        DataError: for no such columns, and for those that hold something else.
    """
    table, where = table_at(path, split), str(path)
    if not table.length:
        raise DataError(f"{path}: the data set is empty")
    sample, label = _chosen(table, columns, where)
    targets, classes = (None, ()) if label is None else _targets(table, label, where)
    kind = table.schema.field(sample).type
    if _is_picture(kind):
        return PictureCells(table, sample, where), targets, classes
    if _is_list(kind):
        return ListSource(table, sample, targets, where), targets, classes
    raise DataError(
        f"{path}: the column '{sample}' holds {str(kind)[:40]}; a sample is an encoded picture (bytes) or a list of "
        "numbers"
    )


def _chosen(table: Table, columns: Columns, where: str) -> tuple[str, str | None]:
    names = list(table.schema.names)
    if not columns.sample:
        fitting = [name for name in names if _is_picture(table.schema.field(name).type)]
        fitting = fitting or [name for name in names if _is_list(table.schema.field(name).type)]
        labels = [name for name in names if name in LABEL_KEYS and name not in fitting]
        if len(fitting) == 1 and len(labels) < 2:
            return fitting[0], labels[0] if labels else None
    return columns.chosen(names, where)


def _is_picture(kind: Any) -> bool:
    types = pyarrow().types
    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_list(kind: Any) -> bool:
    types = pyarrow().types
    held = getattr(kind, "storage_type", kind)
    return bool(types.is_list(held) or types.is_large_list(held) or types.is_fixed_size_list(held))


def _targets(table: Table, name: str, where: str) -> tuple[Targets | None, tuple[str, ...]]:
    cells = table.column(name)
    classes = _names_of_classes(table, name)
    if pyarrow().types.is_dictionary(cells.type):
        whole = cells.unify_dictionaries()
        first = whole.chunk(0)
        classes = tuple(map(str, first.dictionary.to_pylist()))
        values = np.concatenate([part.indices.to_numpy(zero_copy_only=False) for part in whole.chunks])
        return as_targets(values, table.length), classes
    if cells.null_count:
        raise DataError(f"{where}: {cells.null_count:,} rows have no '{name}'; leave them out")
    if _is_list(cells.type):
        return as_targets(np.asarray(cells.to_pylist()), table.length), classes
    return as_targets(cells.to_numpy(), table.length), classes


def _names_of_classes(table: Table, column: str) -> tuple[str, ...]:
    """The names that Hugging Face keeps beside a column of labels."""
    kept = (table.schema.metadata or {}).get(b"huggingface")
    try:
        names = json.loads(kept)["info"]["features"][column]["names"] if kept else ()
    except (ValueError, LookupError, TypeError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
