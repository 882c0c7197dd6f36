"""A synapse graph on disk: part by part, whole or not at all, going on where an earlier run stopped.

Parts are written into a hidden folder beside the place where the graph will stand, each under a temporary name until it
is whole. What a part holds depends on the settings alone, so finished parts of an earlier run are kept as they are, and
several processes can write one graph. Whoever finds all parts there puts the graph in its place.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from spikewright.arrow import pyarrow
from spikewright.errors import SettingsError, StorageError
from spikewright.files import abandoned, mine, put_folder, write_text
from spikewright.settings import whole
from spikewright.synapses.log import as_json, as_text, log, settings
from spikewright.synapses.projection import Part, Projection
from spikewright.synapses.stream import Synapses
from spikewright.synapses.writers import AtOnce, InParts, Writer, writer

Progress = Callable[[int, int], None]
SETTINGS = "settings.json"
WHOLE = "whole"
"""What becomes the file, for formats that are one."""


@dataclass(frozen=True)
class _Job:
    """One part to write."""

    projection: Projection
    part: Part
    file: Path


def write(
    synapses: Synapses,
    path: Path,
    format: str | None = None,  # noqa: A002
    *,
    shard: tuple[int, int] = (1, 1),
    force: bool = False,
    workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Write a graph, or one shard of it: see ``Synapses.write``."""
    made = writer(path, format)
    workers = whole("workers", workers)
    try:
        which, of = (whole("a shard", number) for number in shard)
    except (TypeError, ValueError):
        raise SettingsError(f"shard must be two whole numbers such as (2, 8), not {repr(shard)[:40]}") from None
    if which > of:
        raise SettingsError(f"shard {which} of {of} does not exist; they are counted from 1")
    if made.limit is not None and len(synapses) > made.limit:
        raise SettingsError(
            f"{len(synapses):,} synapses are too many for this format, which takes {made.limit:,}; write .parquet"
        )
    if of > 1 and isinstance(made, AtOnce):
        raise SettingsError("this format is written in one go; write it without shards")
    check_place(path, made, force)
    hidden = path.with_name(f".{path.name}.parts")
    facts = as_json(settings(synapses, made))
    with _clearly(path, hidden):
        path.parent.mkdir(parents=True, exist_ok=True)
        _claim(hidden, facts, force)
        if isinstance(made, AtOnce):
            _at_once(synapses, made, hidden)
            if progress is not None:
                progress(len(synapses), len(synapses))
        elif isinstance(made, InParts):
            jobs = _jobs(synapses, hidden, made.extension)
            _write_parts(synapses, made, jobs[which - 1 :: of], workers, progress)
            if not all(job.file.exists() for job in jobs):
                return hidden  # other shards are still to come
        claimed = hidden.with_name(f"{hidden.name}.{mine()}")
        try:
            hidden.rename(claimed)
        except FileNotFoundError:  # another shard saw all parts there at the same time
            return path
        try:
            _finish(synapses, made, claimed, path)
        except BaseException:
            with suppress(OSError):
                claimed.rename(hidden)
            raise
    return path


def check_place(path: Path, made: Writer, force: bool) -> None:
    """Refuse a place where something stands, before any work is done; with ``force`` only what is not a graph.

    Raises:
        SettingsError: for a format that needs pyarrow, where there is none.
        StorageError: saying what stands there.
    """
    if made.needs_arrow:
        pyarrow()
    if not path.exists():
        return
    if not force:
        raise StorageError(f"{path} exists; choose another path, or give --force (force=True) to replace it")
    if path.is_dir() != made.folder or (path.is_dir() and any(not _is_ours(entry) for entry in path.iterdir())):
        raise StorageError(f"{path} is not a graph of this format and is not replaced; choose another path")


def _is_ours(entry: Path) -> bool:
    return entry.is_file() and (entry.suffix in (".parquet", ".npz") or entry.name == "pairs.txt")


def _jobs(synapses: Synapses, hidden: Path, extension: str) -> list[_Job]:
    return [
        _Job(projection, part, hidden / f"{p:04d}-{k:05d}.{extension}")
        for p, projection in enumerate(synapses.projections)
        for k, part in enumerate(synapses.parts(projection))
    ]


def _claim(hidden: Path, facts: str, force: bool) -> None:
    """The hidden folder for this run, with what an earlier run with the same settings left there."""
    known = hidden / SETTINGS
    for claimed in hidden.parent.glob(f"{hidden.name}.*"):
        if not hidden.exists() and abandoned(claimed.suffix[1:]):
            claimed.rename(hidden)
    if known.exists() and known.read_text(encoding="utf-8") != facts:
        if not force:
            raise StorageError(
                f"{hidden} holds the beginning of another graph (other network, rates or settings); "
                "finish that one, or give --force (force=True) to start anew"
            )
        shutil.rmtree(hidden)
    hidden.mkdir(exist_ok=True)
    for left in hidden.glob("*.tmp"):
        if abandoned(left.suffixes[-2][1:]):
            left.unlink(missing_ok=True)
    if not known.exists():
        write_text(known, facts)


def _write_parts(synapses: Synapses, made: InParts, jobs: list[_Job], workers: int, progress: Progress | None) -> None:
    total = sum(job.part.rows for job in jobs)
    done = sum(job.part.rows for job in jobs if job.file.exists())
    if progress is not None:
        progress(done, total)
    stop = threading.Event()
    _ = synapses.mean_values  # once, before the threads

    def one(job: _Job) -> int:
        if stop.is_set():
            return 0
        temporary = job.file.with_name(f"{job.file.name}.{mine()}.tmp")
        try:
            made.part(synapses, job.projection, job.part, temporary)
            temporary.replace(job.file)
        finally:
            with suppress(OSError):
                temporary.unlink()
        return job.part.rows

    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(one, job) for job in jobs if not job.file.exists()]
        try:
            for finished in as_completed(waiting):
                done += finished.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            stop.set()
            for future in waiting:
                future.cancel()
            raise


def _at_once(synapses: Synapses, made: AtOnce, hidden: Path) -> None:
    if made.folder:
        made.whole(synapses, hidden)
    else:
        made.whole(synapses, hidden / WHOLE)


def _finish(synapses: Synapses, made: Writer, claimed: Path, path: Path) -> None:
    """All parts in one file, for formats that are one; the log; and the graph in its place."""
    if isinstance(made, InParts) and not made.folder:
        with (claimed / WHOLE).open("wb") as file:
            file.write(made.head())
            for one in sorted(claimed.glob(f"*.{made.extension}")):
                with one.open("rb") as part:
                    shutil.copyfileobj(part, file, 1 << 20)
    facts = log(synapses, made)
    write_text(path.with_name(f"{path.name}.json"), as_json(facts))
    write_text(path.with_name(f"{path.name}.txt"), as_text(facts))
    _put_in_place(claimed, path, made)


def _put_in_place(claimed: Path, path: Path, made: Writer) -> None:
    if not made.folder:
        (claimed / WHOLE).replace(path)
        shutil.rmtree(claimed)
        return
    for extra in (claimed / SETTINGS, *claimed.glob("*.tmp")):
        extra.unlink(missing_ok=True)
    put_folder(claimed, path)


@contextmanager
def _clearly(path: Path, hidden: Path) -> Iterator[None]:
    """Errors of the disk as one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        left = any(True for _ in path.parent.glob(f"{hidden.name}*")) if path.parent.is_dir() else False
        kept = f"; finished parts stay in {hidden}: the same call goes on from there" if left else ""
        raise StorageError(f"cannot write {path}: {reason}{kept}") from error
