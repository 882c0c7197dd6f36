"""What disks and the libraries that write to them say, as one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spikewright.errors import SpikewrightError, StorageError

LIBRARIES = frozenset({"safetensors", "safetensors_rust", "pyarrow", "h5py", "PIL", "zipfile"})
"""Packages whose own exceptions, raised while they write, mean that writing failed."""
UNCHANGED = "nothing was changed there"
"""What is left of writing that went wrong, where everything is whole or not there."""
LONGEST = 200
"""Characters of a path or a reason in a message."""


@contextmanager
def storage_errors(path: Path | str, left: Callable[[], str] = lambda: UNCHANGED) -> Iterator[None]:
    """Errors of the disk, and of the libraries that write to it, in one line.

    Args:
        path: that is written.
        left: says, when it goes wrong, what is left there and what to do.

    Raises:
        StorageError: for any of them.
    """
    try:
        yield
    except SpikewrightError:
        raise
    except Exception as error:
        if not about_writing(error):
            raise
        raise StorageError(f"cannot write {shown(path)}: {reason(error)}; {left()}") from error


def about_writing(error: BaseException) -> bool:
    """Whether an exception, raised where something is written, says that it could not be."""
    return isinstance(error, OSError | UnicodeEncodeError) or type(error).__module__.partition(".")[0] in LIBRARIES


def reason(error: BaseException) -> str:
    """What an exception says, in a few words on one line."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return cut(" ".join(text.split()))


def shown(path: Path | str) -> str:
    """A path as a message shows it: on one line, and not too long."""
    text = os.fspath(path)
    return cut("".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text))


def cut(text: str) -> str:
    """A text of at most so many letters: its beginning and its end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"
