"""One at a time: renames that belong together, and looks at what they change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not there, as on Windows: renames are each whole by themselves
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out of such blocks for the same folder, where the system can.

    The lock is on the folder itself, so that nothing lies about, and the system takes it from a process that ends.
    It is held for a few renames, never while something is written, and not taken twice by one thread.
    """
    handle: int | None = None
    try:
        if fcntl is not None:
            with suppress(OSError):  # some network disks cannot
                handle = os.open(folder, os.O_RDONLY)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)
