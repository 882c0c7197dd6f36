"""What a long run has finished, kept beside its output, so that an interrupted one can go on.

A run has stages ("calibrating", "simulating"), and each has one file that says what it is of and how many samples are
counted in it. The file is replaced whole, again and again, and gone when the output is written.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spikewright.errors import ModelFileError, SettingsError, warn
from spikewright.files import abandoned, shown, stem, storage_errors, sync, this_process, token, unfinished
from spikewright.parts.machine import machine, unlike
from spikewright.parts.plain import from_plain, to_plain
from spikewright.tensors import Kind, check_facts, read_tensors, write_tensors

ENDING = "unfinished"
"""The folder beside an output is ``.NAME.unfinished``; of a share ``.NAME.2-of-8.unfinished``."""
EVERY = 5.0
"""Seconds between two times that a stage is kept, at least: what took less is not worth a file."""
SHARE = 20
"""What keeping a stage takes of the time is at most one part in so many."""
LOST = 0.01
"""What an interruption may cost is so much of the time, so that a run of days has not kept something a hundred thousand
times."""
KIND = Kind(
    key="spikewright-unfinished",
    noun="unfinished run",
    contents="unfinished run",
    format=1,
    facts=frozenset({"stage", "of", "machine", "done", "total", "state"}),
    again="take this file away to do its stage anew, or leave --resume (resume=True) away to begin anew",
)
HINTS = {"of": dict[str, str], "machine": dict[str, str], "done": int, "total": int}


def fingerprint_of_run(network: str, data: str, **settings: Any) -> dict[str, str]:
    """What must be the same for a run to go on.

    Args:
        network: the fingerprint of what runs.
        data: that of the samples.
        settings: everything else that its numbers depend on, by name; each is told by its ``repr``.
    """
    told = hashlib.sha256("\n".join(f"{k}={v!r}" for k, v in sorted(settings.items())).encode()).hexdigest()
    return {"spikewright": version("spikewright"), "network": network, "data": data, "settings": told}


class Checkpoint:
    """Keeps the stages of a run beside the output that it is for.

    Args:
        output: of the run; nothing needs stand there.
        resume: whether to go on from what lies there. Else it is replaced as soon as something new is kept, and where
            there is something a warning says so.
        share: which of how many runs that have this output in common, perhaps at the same time, this one is: each
            keeps its own.

    Attributes:
        refused: whether the run cannot go on from what lies there, which is of another run or damaged: an error says
            why and what to do, and nothing else of it is said.
    """

    def __init__(self, output: Path | str, resume: bool = False, share: tuple[int, int] = (1, 1)) -> None:
        self.output, self.resume = output, resume
        destination = Path(os.path.realpath(output))
        whose = "" if share == (1, 1) else f".{share[0]}-of-{share[1]}"
        self.folder = destination.parent / f"{stem(destination)}{whose}.{ENDING}"
        self.stages: dict[str, Stage] = {}
        self.refused = False
        self._written: list[Path | str] = []
        self.stale = not resume and self.folder.is_dir()
        if self.stale:
            left = f"what an interrupted run left beside {shown(output)} is not used"
            warn([f"{left}, and goes when this one keeps something: --resume (resume=True) goes on from it"])
        unfinished.append(self.told)

    def stage(self, name: str, of: Mapping[str, str]) -> Stage:
        """One stage of the run.

        Args:
            name: what is being done.
            of: what it is of: ``fingerprint_of_run``.

        Raises:
            SettingsError: to go on with what was left by a run of other settings, another network or other data.
            ModelFileError: for a damaged file.
        """
        slug = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
        path = self.folder / f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.safetensors"
        made = Stage(self, name, path, dict(of))
        self.stages[name] = made
        if self.resume:
            made.load()
        return made

    def note_written(self, path: Path | str) -> None:
        """Remember an output that was written before the run is over: one that goes on may write it again."""
        self._written.append(path)
        if any(stage.done for stage in self.stages.values()):
            self.mark_written()

    def mark_written(self) -> None:
        """Say beside what is kept which outputs were written."""
        for path in self._written:
            with storage_errors(path):
                (self.folder / _mark(path)).write_text(_identity(path), encoding="utf-8")
        self._written.clear()

    def wrote(self, path: Path | str) -> bool:
        """Whether a run that goes on has written what stands there, and nobody has changed it since."""
        try:
            return self.resume and (self.folder / _mark(path)).read_text(encoding="utf-8") == _identity(path)
        except OSError:
            return False

    def clear(self) -> None:
        """Let go of everything that was kept: the outputs are written, or somebody wants to begin anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.told in unfinished:
            unfinished.remove(self.told)

    def told(self) -> str:
        """What lies there and how to go on, in words; empty for nothing, and where nobody can go on from it."""
        found = [stage for stage in self.stages.values() if stage.done]
        if not found or self.refused:
            return ""
        last = found[-1]
        of = f" of {last.total:,}" if last.total else ""
        kept = f"{last.done:,}{of} samples ({last.name}) are kept beside {shown(self.output)}"
        return f"{kept}: --resume (resume=True) goes on from there"


@dataclass
class Stage:
    """One stage of a run.

    Attributes:
        checkpoint: of the run.
        name: what is being done.
        path: of its file.
        of: what it is of.
        done, total: how many samples are counted in the file, and are there; 0 where nobody knows.
        state: what was counted of them, where the run goes on; None from the beginning.
    """

    checkpoint: Checkpoint
    name: str
    path: Path
    of: dict[str, str]
    done: int = 0
    total: int = 0
    state: Any = None
    _begun: float = 0.0
    _last: float = 0.0
    _cost: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self._last = time.monotonic()

    def load(self) -> None:
        """Read what was kept, if anything was."""
        if not self.path.is_file():
            return
        try:
            facts, arrays = read_tensors(self.path, KIND)
        except ModelFileError:
            self.checkpoint.refused = True
            raise
        try:
            check_facts(facts, HINTS)
            if facts["done"] < 0:
                raise ModelFileError("less than no samples are done")
        except ModelFileError as error:
            raise self.damaged(error) from error
        differing = [what for what in self.of if facts["of"].get(what) != self.of[what]]
        if differing:
            kinds = {"spikewright": "another version of spikewright", "network": "another network"}
            kinds |= {"data": "other data", "settings": "other settings"}
            raise self.differs(" and ".join(kinds.get(one, one) for one in differing))
        if differs := unlike(facts["machine"], machine()):
            warn([f"this run was begun with {differs}: its last digits may not be those of a run on one machine"])
        try:
            self.state = from_plain(facts["state"], arrays)
        except ModelFileError as error:
            raise self.damaged(error) from error
        self.done, self.total = facts["done"], facts["total"]

    def damaged(self, why: Exception) -> ModelFileError:
        """The error that says that the file is damaged; nothing says afterwards that the run goes on from it."""
        self.checkpoint.refused = True
        return ModelFileError(f"{self.path}: damaged ({why}); {KIND.again}")

    def differs(self, what: str) -> SettingsError:
        """The error that says why a run cannot go on: what was kept is of other data, say."""
        self.checkpoint.refused = True
        return SettingsError(
            f"what was left beside {shown(self.checkpoint.output)} is of {what}, so that this run cannot go on from "
            "it: leave --resume (resume=True) away to begin anew, or choose another output"
        )

    def keep(self, state: Callable[[], Any], done: int, total: int = 0, now: bool = False) -> None:
        """Keep what was counted, if it is time: at most one part in ``SHARE`` of the time goes into it.

        Args:
            state: gives what was counted.
            done: of how many samples.
            total: how many there are; 0 where nobody knows.
            now: whether all of it is done, so that it is kept whatever keeping takes.

        Raises:
            StorageError: when the disk refuses; what was kept before is still there.
        """
        begun = time.monotonic()
        wait = EVERY if now else max(EVERY, SHARE * self._cost, LOST * (begun - self._begun))
        if begun - self._last < wait:
            return
        folder = self.path.parent
        with storage_errors(self.checkpoint.output):
            if self.checkpoint.stale:
                shutil.rmtree(folder, ignore_errors=True)
                self.checkpoint.stale = False
        plain, arrays = to_plain(state())
        facts = {"stage": self.name, "of": self.of, "machine": machine(), "done": done, "total": total, "state": plain}
        with storage_errors(self.checkpoint.output):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*.tmp"):  # of a run that was killed while it wrote
                if abandoned(left.name.partition(".")[0]):
                    left.unlink(missing_ok=True)
            temporary = folder / f"{this_process()}.{token()}.tmp"
            try:
                write_tensors(temporary, KIND, facts, arrays)
                sync(temporary)
                temporary.replace(self.path)
            finally:
                with suppress(OSError):
                    temporary.unlink()
                with suppress(OSError):
                    folder.rmdir()  # where nothing could be kept
        self.checkpoint.mark_written()
        self.done, self.total = done, total
        self._last = time.monotonic()
        self._cost = self._last - begun


def _mark(path: Path | str) -> str:
    """The name of the file that says which output was written."""
    return f"written-{hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]}"


def _identity(path: Path | str) -> str:
    facts = Path(path).stat()
    return f"{facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"
