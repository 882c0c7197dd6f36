"""Small disks that can be full: a tmpfs where it may be mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.commands import Bench, Command, Outcome, assert_nothing_lost, hidden

SIZE = 16 << 20


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of ``SIZE`` bytes; None where none may be mounted."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        yield None
        return
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # what a command closed may take a moment


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes free."""
    facts = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(facts.f_bavail * facts.f_frsize - free, 0)))
    return filler


def on_a_full_disk(bench: Bench, command: Command, disk: Path, free: int) -> Outcome:
    """Run a command where a good result stands and so many bytes are free: one line, and nothing good lost.

    Then with room the same command is right.
    """
    with bench.folder(command, 0, disk) as folder:
        filler = fill(disk, free)
        try:
            done = bench.zygote.run(folder, command.typed(1))
            new = assert_nothing_lost(bench, command, folder, 0)
            assert done.status in (0, 2), f"status {done.status}: {done.err}"
            if done.status == 2:
                lines = done.err[done.err.find("error: ") :].strip().splitlines()  # behind what was seen of the data
                assert lines[0].startswith("error: cannot write "), done.err
                assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("written before that: ")), done.err
                for name in new:  # a log goes with its graph
                    assert name.removesuffix(".json").removesuffix(".txt") in lines[-1], done.err
                kept = [name for name in hidden(folder) if not name.endswith(".parts")]
                assert not kept
                assert bool(hidden(folder)) == ("finished parts stay in" in lines[0])
        finally:
            filler.unlink()
        again = bench.zygote.run(folder, command.typed(1))
        assert again.status == 0, again.err
        assert len(assert_nothing_lost(bench, command, folder, None)) == len(command.outputs)
        assert not hidden(folder)
    return done
