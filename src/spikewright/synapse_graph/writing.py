"""A synapse graph on disk: part by part, whole or not at all, going on where an earlier run stopped if that is asked.

What a part holds depends on the settings alone, so finished parts of an earlier run with the same can be kept as they
are, if they hold what was noted of them (``sums.py``), and several processes can write one graph. ``staging.py`` says
where all that lies until the graph is whole.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spikewright.arrow import pyarrow
from spikewright.errors import SettingsError, StorageError, warn
from spikewright.files import (
    check_reachable,
    exists,
    one_at_a_time,
    parents,
    shown,
    storage_errors,
    sync,
    this_process,
    token,
)
from spikewright.files.errors import UNCHANGED
from spikewright.settings import whole
from spikewright.synapse_graph import staging
from spikewright.synapse_graph.log import as_json, as_text, log
from spikewright.synapse_graph.settings import digest, settings
from spikewright.synapse_graph.staging import PARTS, WHOLE
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.sums import note_sum, trouble_of
from spikewright.synapse_graph.writers import AtOnce, Parted, Piece, Writer, writer

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Job:
    """One piece to write, and where it is until it is whole."""

    piece: Piece
    hidden: Path
    name: str

    @property
    def file(self) -> Path:
        return self.hidden / PARTS / self.name


class _Overtaken(Exception):
    """Another process with the same settings has taken the parts to put the graph in its place."""


def write(
    synapses: SynapseStream,
    path: Path,
    format: str | None = None,  # noqa: A002
    *,
    shard: tuple[int, int] = (1, 1),
    force: bool = False,
    resume: bool = False,
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
    made.check(synapses)
    if of > 1 and isinstance(made, AtOnce):
        raise SettingsError("this format is written in one go; write it without shards")
    target = Path(os.path.realpath(path))
    check_destination(path, made, force)
    with parents(target, path), storage_errors(path, partial(_left, target)):
        key, facts = digest(synapses, made), as_json(settings(synapses, made))
        if isinstance(made, AtOnce):
            taken = staging.new_private(target, key, facts)
        else:
            assert isinstance(made, Parted)
            gathered = _all_parts(synapses, made, target, key, facts, (which, of), force, resume, workers, progress)
            if gathered is None:
                hidden = staging.hidden_folder(target, key)
                return hidden if hidden.exists() else path
            taken = gathered
        try:
            product = _whole(synapses, made, taken)
            _check_stands(path, target, made, force)  # who knows what has come there since
            report = log(synapses, made)
            logs = dict(zip(staging.LOGS, (as_json(report), as_text(report)), strict=True))
        except BaseException:
            staging.give_back(taken)
            raise
        staging.put_in_place(taken, product, target, logs, force, path)
        if progress is not None and isinstance(made, AtOnce):
            progress(len(synapses), len(synapses))
    return path


def check_begun(synapses: SynapseStream, path: Path, made: Writer) -> None:
    """Refuse a place where another graph was begun, before rates are simulated for this one.

    Args:
        synapses: the graph without its rates.
        path: where it will be written.
        made: its writer.

    Raises:
        StorageError: as ``write``, as far as it is clear without the rates.
    """
    if isinstance(made, Parted):
        staging.check_begun(Path(os.path.realpath(path)), settings(synapses, made))


def check_destination(path: Path, made: Writer, force: bool) -> None:
    """Refuse a place where something stands, before any work is done; with ``force`` only what is not a graph.

    What a killed process had begun to put there is finished or taken back first.

    Raises:
        SettingsError: for a format that needs pyarrow, where there is none.
        StorageError: saying what stands there, or why nothing can be written.
    """
    if made.needs_arrow:
        pyarrow()
    target = check_reachable(path)
    with storage_errors(path):
        staging.recover(target)
    _check_stands(path, target, made, force)


def _check_stands(path: Path, target: Path, made: Writer, force: bool) -> None:
    with storage_errors(path), one_at_a_time(target.parent):
        stands = os.path.lexists(target)
        if stands and made.folder and target.is_dir():
            there = list(target.iterdir())
            stands, ours = bool(there), all(_is_ours(entry, made) for entry in there)
        else:
            ours = not made.folder and target.is_file()
        if stands and not force:
            raise exists(path)
        if stands and not ours:
            raise StorageError(f"{shown(path)} is not a graph of this format and is not replaced; choose another path")
        staging.check_logs(path, target, force)


def _is_ours(entry: Path, made: Writer) -> bool:
    """Whether a file in a folder says itself that it is of a graph."""
    try:
        return entry.is_file() and not entry.is_symlink() and made.mark(entry) is not None
    except Exception:  # whatever reading a stranger's file makes a library say
        return False


def _all_parts(
    synapses: SynapseStream,
    made: Parted,
    target: Path,
    key: str,
    facts: str,
    shard: tuple[int, int],
    force: bool,
    resume: bool,
    workers: int,
    progress: Progress | None,
) -> Path | None:
    """Write the parts of a shard; those of others are looked at once they are all there.

    Returns:
        the folder of all parts, which is private now; None if those of other shards are still to come, or if another
        process has put the graph in its place.
    """
    while True:
        hidden = staging.begin(target, key, facts, force)
        jobs = _jobs(synapses, hidden, made)
        which, of = shard
        own = jobs[which - 1 :: of]
        try:
            with staging.at_work(hidden):
                if not resume and not staging.others_at_work(hidden) and any(job.file.exists() for job in own):
                    left = f"what an interrupted run left beside {shown(target.name)} is not used"
                    warn([f"{left}, and is written anew: --resume (resume=True) goes on from it"])
                _write_parts(synapses, own, resume, max(workers, 1), progress)
                whole = all(job.file.exists() for job in jobs)
                if whole and of > 1:
                    others = [job for number, job in enumerate(jobs) if number % of != which - 1]
                    _write_parts(synapses, others, True, max(workers, 1), None)
            if whole:
                taken = staging.take(target, key)
                if taken is not None:
                    return taken
            elif hidden.exists():
                return None  # other shards are still to come
        except _Overtaken:
            pass
        except FileNotFoundError:
            if hidden.exists():
                raise
        while staging.taken_by_others(target, key):
            time.sleep(0.02)
        if staging.stands(target, key):
            return None


def _jobs(synapses: SynapseStream, hidden: Path, made: Parted) -> list[_Job]:
    return [_Job(piece, hidden, f"{piece.name}.{made.extension}") for piece in made.pieces(synapses)]


def _write_parts(
    synapses: SynapseStream, jobs: list[_Job], resume: bool, workers: int, progress: Progress | None
) -> None:
    """Write parts; with ``resume`` only those that are not there, or do not hold what was noted of them."""
    done, total = 0, sum(job.piece.rows for job in jobs)
    if progress is not None:
        progress(done, total)
    stop = threading.Event()
    _ = synapses.mean_values  # once, before the threads

    def one(job: _Job) -> tuple[int, str]:
        """How many synapses it has, and what was wrong with what was there of it."""
        if stop.is_set():
            return 0, ""
        remark = ""
        if resume and job.file.exists():
            remark = trouble_of(job.hidden, job.name, job.file)
            if not remark:
                return job.piece.rows, ""
        temporary = job.hidden / f"{job.name}.{this_process()}.{token()}.tmp"
        try:
            job.piece.write(temporary)
            sync(temporary)
            note_sum(job.hidden, job.name, temporary)
            temporary.replace(job.file)
        except FileNotFoundError:
            if job.hidden.exists():
                raise
            raise _Overtaken from None
        finally:
            with suppress(OSError):
                temporary.unlink()
        return job.piece.rows, remark and f"{shown(job.file)}: {remark}; it is written anew"

    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(one, job) for job in jobs]
        try:
            for finished in as_completed(waiting):
                rows, remark = finished.result()
                done += rows
                if remark:
                    warn([remark])
                if progress is not None:
                    progress(done, total)
        except BaseException:
            stop.set()
            for future in waiting:
                future.cancel()
            raise


def _whole(synapses: SynapseStream, made: Writer, taken: Path) -> str:
    """The graph in one piece; gives what it is called in its folder."""
    if isinstance(made, Parted):
        if made.folder:
            return PARTS
        with (taken / WHOLE).open("wb") as file:
            file.write(made.head(synapses))
            for one in sorted((taken / PARTS).glob(f"*.{made.extension}")):
                with one.open("rb") as part:
                    shutil.copyfileobj(part, file, 1 << 20)
    elif isinstance(made, AtOnce):
        if made.folder:
            (taken / WHOLE).mkdir()
        made.whole(synapses, taken / WHOLE)
        if made.folder:
            for one in (taken / WHOLE).iterdir():
                sync(one)
    return WHOLE


def _left(target: Path) -> str:
    """What is left of a writing that went wrong, and what to do."""
    left = staging.beginnings(target)
    return f"finished parts stay in {shown(left[0])}: {staging.GOES_ON}" if left else UNCHANGED
