"""Writing files and folders whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from socket import gethostname

from spikewright.errors import StorageError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; renamed to it when the block ends well, removed otherwise.

    Raises:
        StorageError: when the file cannot be written; what stood there before is untouched.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
    finally:
        with suppress(OSError):  # gone already, or never there
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` to write into; put in its place when the block ends well, removed otherwise.

    What goes wrong inside the block is not looked at: wrap what writes there in ``storage_errors``.

    Raises:
        StorageError: when the folder cannot be made; what stood there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{mine()}.{token_hex(4)}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        temporary.mkdir()
    try:
        yield temporary
        with storage_errors(path):
            put_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Errors of the disk in one line, for what leaves the place itself as it was.

    Raises:
        StorageError: for any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {reason}; nothing was changed there") from error


def put_folder(made: Path, path: Path) -> None:
    """Rename a folder to where another may stand. That one is gone afterwards, or back in its place if this fails."""
    old = path.with_name(f".{path.name}.{mine()}.{token_hex(4)}.old")
    if path.exists():
        path.rename(old)
    try:
        made.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _tidy(path: Path) -> None:
    """What processes that are no more left beside a folder: half of one goes, one that was set aside comes back."""
    prefix = f".{path.name}."
    for left in path.parent.iterdir():
        words = left.name.removeprefix(prefix).split(".")
        if not left.name.startswith(prefix) or len(words) != 3 or not abandoned(words[0]):
            continue
        if words[2] == "old" and not path.exists():
            left.rename(path)
        elif words[2] in ("old", "part"):
            shutil.rmtree(left, ignore_errors=True)


def mine() -> str:
    """Who is writing: a name for what only this process may touch."""
    return f"{''.join(c for c in gethostname() if c.isalnum())}-{os.getpid()}"


def abandoned(owner: str) -> bool:
    """Whether what is called after a process was left behind by one of this machine that is no more."""
    host, _, process = owner.rpartition("-")
    if host != mine().rpartition("-")[0] or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs, for somebody else
        pass
    return False


def write_text(path: Path | str, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
