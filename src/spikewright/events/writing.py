"""Events on disk, batch by batch: a folder with one Parquet file for each population, there whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EMFILE
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spikewright.arrow import pyarrow
from spikewright.errors import StorageError
from spikewright.events.pieces import EventPieces, Kept
from spikewright.events.trains import Events
from spikewright.files import atomic_folder, check_reachable, exists, one_at_a_time, shown, storage_errors, tidy
from spikewright.graph import Shape
from spikewright.provenance import PROVENANCE, Provenance
from spikewright.tensors import DIGEST, digest

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
FACTS = "events.json"
KEY = "spikewright-events"
"""The key under which a Parquet file says in its metadata whose events it holds."""
COLUMNS = {"sample": "int64", "timestep": "int32", "neuron": "int32", "value": "float32"}


class _Batch(Protocol):
    @property
    def events(self) -> Mapping[str, Events]: ...


class EventWriter:
    """Appends the events of batch after batch to the files of a folder; an observer of ``simulate``.

    Args:
        folder: empty, and there.
        network: the fingerprint of what runs.
        shapes: of the populations whose events are written.
        timesteps: T.
        target: where the folder will stand, for messages.
        first_sample: the destination of the first sample in its data set.
        pieces: a folder for what is set aside now and then, so that an interrupted run can go on; else None. What
            nothing was set aside of is not written twice.
        kept: what ``set_aside`` gave, to go on from there.
        made: how the run was made; asked when all of it is there.
    """

    def __init__(
        self,
        folder: Path,
        network: str,
        shapes: Mapping[str, Shape],
        timesteps: int,
        target: Path,
        first_sample: int = 0,
        pieces: Path | None = None,
        kept: Kept | None = None,
        made: Callable[[], Provenance] = Provenance.now,
    ) -> None:
        self.made = made
        self.folder, self.shapes, self.target = folder, shapes, target
        self.facts: dict[str, Any] = {"format": FORMAT, "network": network, "timesteps": timesteps}
        if first_sample:
            self.facts["first_sample"] = first_sample
        self.samples, counts, digests = kept or (0, [0] * len(shapes), [])
        self.counts = dict(zip(shapes, counts, strict=True))
        self.pieces = None if pieces is None else EventPieces(pieces, digests)
        self.schemas: dict[str, pa.Schema] = {}
        self.files: dict[str, Any] = {}
        self._open_all()

    def _open_all(self) -> None:
        many = len(self.counts)
        with storage_errors(self.target):
            for index, name in enumerate(self.counts):
                try:
                    self._open(index, name)
                except OSError as error:
                    if error.errno != EMFILE:
                        raise
                    raise StorageError(
                        f"cannot write {self.target}: {many:,} populations need as many open files at once, and "
                        f"only {index:,} could be opened; allow more with 'ulimit -n {many + 200}'"
                    ) from error

    def _open(self, index: int, name: str) -> None:
        from pyarrow.parquet import ParquetWriter

        shape = self.shapes[name]
        self.schemas[name] = schema(facts_of_file(self.facts["network"], self.facts["timesteps"], name, shape))
        self.files[name] = ParquetWriter(
            str(self.folder / file_name(index, name)),
            self.schemas[name],
            compression="zstd",
            use_dictionary=["sample", "timestep", "value"],  # long runs
            column_encoding={"neuron": "DELTA_BINARY_PACKED"},  # mostly small steps upwards
            write_page_checksum=True,
        )

    def __call__(self, x: Any, run: _Batch) -> None:
        """One batch: a row group in each file whose population sent something.

        Raises:
            StorageError: when the disk refuses.
        """
        pa = pyarrow()
        with storage_errors(self.target):
            for name, events in run.events.items():
                if len(events):
                    self._write(name, [pa.array(getattr(events, column)) for column in COLUMNS])
                    self.counts[name] += len(events)
        self.samples += len(x)

    def _write(self, name: str, columns: list[pa.Array]) -> None:
        table = pyarrow().Table.from_arrays(columns, schema=self.schemas[name])
        self.files[name].write_table(table, row_group_size=len(table))

    def set_aside(self) -> Kept | None:
        """Put what was written since the last time where it stays if the run is interrupted.

        Returns:
            what a writer needs to go on from there; None without a folder for it.

        Raises:
            StorageError: when the disk refuses.
        """
        if self.pieces is None:
            return None
        self._add_piece(self.pieces)
        return self.samples, list(self.counts.values()), self.pieces.digests

    def _add_piece(self, pieces: EventPieces) -> None:
        self.close()
        with storage_errors(self.target):
            pieces.add([self.folder / file_name(index, name) for index, name in enumerate(self.counts)])
        self._open_all()

    def _join(self, pieces: EventPieces) -> None:
        """Write what was set aside, row group by row group: the same bytes as of a run in one go."""
        self._add_piece(pieces)
        with storage_errors(self.target):
            for index, name in enumerate(self.counts):
                for columns in pieces.row_groups(file_name(index, name)):
                    self._write(name, columns)

    def close(self) -> None:
        """Everything on disk that is in memory still; once more does nothing."""
        with storage_errors(self.target):
            for name in list(self.files):
                self.files.pop(name).close()

    def finish(self) -> None:
        """Close the files, and write beside them what they hold."""
        if self.pieces is not None and self.pieces.number:
            self._join(self.pieces)
        self.close()
        populations = [
            {"name": name, "file": file_name(index, name), "shape": self.shapes[name], "events": count}
            for index, (name, count) in enumerate(self.counts.items())
        ]
        facts = {**self.facts, "samples": self.samples, "populations": populations}
        facts[PROVENANCE] = self.made().description
        facts = {**facts, DIGEST: digest(facts, {})}
        with storage_errors(self.target):
            (self.folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


@contextmanager
def events_folder(
    folder: Path | str,
    network: str,
    shapes: Mapping[str, Shape],
    timesteps: int,
    force: bool = False,
    first_sample: int = 0,
    pieces: Path | None = None,
    kept: Kept | None = None,
    made: Callable[[], Provenance] = Provenance.now,
) -> Iterator[EventWriter]:
    """A writer of events. The folder is put at its destination when the block ends well, else nothing is left of it.

    Args:
        folder: new or empty.
        network: the fingerprint of what runs.
        shapes: of the populations whose events are written.
        timesteps: T.
        force: whether events of an earlier run that stand there are replaced.
        first_sample: the destination of the first sample in its data set.
        pieces: a folder for what is set aside now and then, so that an interrupted run can go on; else None.
        kept: what ``EventPieces.set_aside`` gave, to go on from there.
        made: how the run was made; asked when all of it is there.

    Raises:
        DamagedPiece: for what was set aside and is damaged, when it is joined.
        StorageError: as ``check_destination``, and when the disk refuses; what stood there before is untouched.
    """
    check_destination(folder, force)
    with atomic_folder(folder, force) as hidden:
        writer = EventWriter(hidden, network, shapes, timesteps, Path(folder), first_sample, pieces, kept, made)
        try:
            yield writer
            writer.finish()
            check_destination(folder, force)  # who knows what has come there since
        finally:
            with suppress(Exception):  # closed already, or the folder goes anyway
                writer.close()


def check_pieces(pieces: Path, kept: Kept, populations: Iterable[str]) -> None:
    """Refuse to go on from pieces that are damaged or gone, before anything runs.

    Args:
        pieces: their folder.
        kept: what ``EventWriter.set_aside`` gave.
        populations: whose events are written.

    Raises:
        DamagedPiece: saying which.
    """
    EventPieces(pieces, kept[2]).check([file_name(index, name) for index, name in enumerate(populations)])


def check_destination(folder: Path | str, force: bool = False) -> None:
    """Refuse a destination where something stands, before any work is done; with ``force`` only what is not events.

    Raises:
        SettingsError: where there is no pyarrow.
        StorageError: saying what stands there, or why nothing can be written.
    """
    pyarrow()
    with storage_errors(folder):
        destination = Path(os.path.realpath(folder))
        tidy(destination)  # what a killed run set aside comes back
        with one_at_a_time(destination.parent):
            if os.path.lexists(destination) and not destination.is_dir():
                there, ours = [destination], False
            else:
                there = list(destination.iterdir()) if destination.exists() else []
                ours = _all_ours(there)
    if there and not ours:
        raise StorageError(f"{shown(folder)} is not a folder of events and is not replaced; choose another path")
    if there and not force:
        raise exists(folder)
    check_reachable(folder)


def _all_ours(there: list[Path]) -> bool:
    """Whether a folder holds what a simulation wrote, and nothing else: each file says so itself."""
    from pyarrow.parquet import read_metadata

    try:
        facts = next(entry for entry in there if entry.name == FACTS)
        known = {one["file"] for one in json.loads(facts.read_text(encoding="utf-8"))["populations"]}
        for entry in there:
            metadata = {} if entry == facts else read_metadata(entry).metadata or {}
            if entry.is_symlink() or (entry != facts and (entry.name not in known or KEY.encode() not in metadata)):
                return False
    except Exception:  # whatever reading a stranger's files makes a library say
        return False
    return True


def file_name(index: int, name: str) -> str:
    """The file of a population, whose name may hold anything."""
    return f"{index:03d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:80]}.parquet"


def facts_of_file(network: str, timesteps: int, name: str, shape: tuple[int, ...]) -> str:
    """What a file says of itself."""
    return json.dumps({"network": network, "timesteps": timesteps, "population": name, "shape": shape})


def schema(facts: str) -> pa.Schema:
    """The Arrow schema of one file."""
    pa = pyarrow()
    fields = [pa.field(name, pa.type_for_alias(kind), nullable=False) for name, kind in COLUMNS.items()]
    return pa.schema(fields, {KEY: facts})
