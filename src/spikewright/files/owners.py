"""Who is writing: names for what only one process may touch, and what a process that is no more has left.

What is not whole yet lies beside its destination as ``.NAME.OWNER.TOKEN.part``. The owner is this machine (and,
on Linux, its space of process ids), the process, and when that process started, so that another one that is given the
same number later is not taken for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from socket import gethostname

LONGEST_STEM = 120
"""Bytes of a name that stay in the names made from it: there is room for 255."""


def this_process() -> str:
    """The name of this process: MACHINE-NUMBER-START."""
    return f"{_machine()}-{os.getpid()}-{_started(os.getpid()) or 0}"


def token() -> str:
    """What tells one thing of a process from another, and one thread's from another's."""
    return token_hex(4)


def stem(path: Path) -> str:
    """What hidden names beside a path start with: a dot and its name, or the beginning of a long one and a digest."""
    raw = os.fsencode(path.name)
    if len(raw) <= LONGEST_STEM:
        return f".{path.name}"
    return f".{raw[:LONGEST_STEM].decode(errors='ignore')}~{hashlib.sha256(raw).hexdigest()[:12]}"


def leftovers(path: Path, *endings: str) -> Iterator[tuple[Path, str]]:
    """What lies beside a path under hidden names of it, of a process of this machine that is no more.

    Args:
        path: the destination.
        endings: last words of names: "part".

    Returns:
        each, and its ending.
    """
    prefix = f"{stem(path)}."
    with suppress(OSError), os.scandir(path.parent) as there:
        for entry in sorted(there, key=lambda one: one.name):
            words = entry.name.removeprefix(prefix).split(".")
            if entry.name.startswith(prefix) and len(words) == 3 and words[2] in endings and abandoned(words[0]):
                yield Path(entry.path), words[2]


def tidy(destination: Path) -> None:
    """Clear what ended processes left beside a destination: what is not whole goes, what was set aside comes back."""
    for left, ending in leftovers(destination, "part", "old"):
        with suppress(OSError):
            if ending == "old" and not os.path.lexists(destination):
                left.rename(destination)
            elif left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def abandoned(owner: str) -> bool:
    """Whether what is called after a process was left behind by one of this machine that is no more."""
    machine, _, rest = owner.partition("-")
    process, _, start = rest.partition("-")
    if sys.platform == "win32" or machine != _machine() or not (process.isdecimal() and start.isdecimal()):
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it runs, for somebody else
        pass
    now = _started(int(process))
    return now is not None and int(start) > 0 and now != int(start)  # another one has its number


@cache
def _machine() -> str:
    """Letters and digits: the machine's name, and which processes are seen from here."""
    space = ""
    with suppress(OSError, AttributeError):
        space = "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    return "".join(c for c in gethostname() if c.isascii() and c.isalnum())[:30] + space


def _started(process: int) -> int | None:
    """When a process started, in ticks of the system's clock; None where nobody says, or it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] == b"Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None
