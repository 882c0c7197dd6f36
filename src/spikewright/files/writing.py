"""Files and folders that are there whole or not at all.

Everything is made in a hidden folder beside its destination and renamed when whole and on the disk. A file replaces
another by that rename; two folders change their names in one step where the system can, so that there is no moment in
which nothing stands at the destination.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikewright.errors import StorageError
from spikewright.files import swap
from spikewright.files.destinations import check_destination, check_reachable, exists
from spikewright.files.errors import shown, storage_errors
from spikewright.files.lock import one_at_a_time
from spikewright.files.owners import stem, this_process, token
from spikewright.files.record import note


@contextmanager
def atomic_path(path: Path | str, force: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which becomes the file when the block ends well, and is removed otherwise.

    Whatever a library leaves beside that path goes too, and the file's mode is what the umask says, whoever wrote it.

    Args:
        path: of the file; a link stays one, and what it points to is written.
        force: whether a file that stands there is replaced.

    Raises:
        StorageError: as ``check_destination``, and when the file cannot be written; what stood there is untouched.
    """
    check_destination(path, force)
    destination = Path(os.path.realpath(path))
    with storage_errors(path), _beside(destination) as folder:
        temporary = folder / f"whole{destination.suffix[:20]}"
        temporary.touch()
        mode = temporary.stat().st_mode & 0o7777
        yield temporary
        temporary.chmod(mode)
        put_file(temporary, destination, force, path)


@contextmanager
def atomic_folder(path: Path | str, force: bool = False) -> Iterator[Path]:
    """A temporary folder to write into; put at its destination when the block ends well, removed otherwise.

    What goes wrong inside the block is not looked at: wrap what writes there in ``storage_errors``. Whether what stands
    at the destination may be replaced is for the caller to find out.

    Args:
        path: of the folder; a link stays one.
        force: whether a folder that stands there, and is not empty, is replaced.

    Raises:
        StorageError: when the folder cannot be made; what stood there before is untouched.
    """
    destination = check_reachable(path)
    with _beside(destination, path) as temporary:
        yield temporary
        with storage_errors(path):
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync(file)
            with one_at_a_time(destination.parent):
                put_folder(temporary, destination, force, path)


def write_text(path: Path | str, text: str, force: bool = False) -> None:
    """Write a text file whole or not at all; arguments and errors as ``atomic_path``."""
    with atomic_path(path, force) as temporary:
        temporary.write_bytes(text.encode())


def write_bytes(path: Path | str, data: bytes | memoryview, force: bool = False) -> None:
    """Write a file whole or not at all; arguments and errors as ``atomic_path``."""
    with atomic_path(path, force) as temporary:
        temporary.write_bytes(data)


@contextmanager
def _beside(destination: Path, given: Path | str | None = None) -> Iterator[Path]:
    """A new folder beside a destination, gone when the block ends."""
    temporary = destination.with_name(f"{stem(destination)}.{this_process()}.{token()}.part")
    with parents(destination, destination if given is None else given):
        try:
            with storage_errors(destination if given is None else given):
                temporary.mkdir()
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def parents(destination: Path, given: Path | str) -> Iterator[None]:
    """The folders that a destination is in; those made for it go again if the block ends badly and they are empty.

    Args:
        destination: behind all links.
        given: the destination as the user named it.

    Raises:
        StorageError: when they cannot be made.
    """
    made: list[Path] = []
    try:
        with storage_errors(given):
            for folder in reversed(destination.parents):
                if not folder.exists():
                    made.append(folder)
                    folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise


def put_file(made: Path, destination: Path, force: bool, given: Path | str) -> None:
    """Rename a finished file to its destination, once what it holds is on the disk.

    Args:
        made: the file.
        destination: behind all links.
        force: whether a file that stands there is replaced.
        given: the destination as the user named it.

    Raises:
        StorageError: when something stands there that may not be replaced.
        OSError: when the disk refuses.
    """
    sync(made)
    note(given, destination, made)
    if force:
        made.replace(destination)
        return
    try:
        swap.rename_to_free(made, destination)
    except FileExistsError:
        raise exists(given) from None


def put_folder(made: Path, destination: Path, force: bool, given: Path | str) -> None:
    """Rename a folder to where another may stand, which is gone afterwards.

    Args:
        made: the folder. What stood at the destination may be under its name afterwards.
        destination: behind all links.
        force: whether a folder that stands there, and is not empty, is replaced.
        given: the destination as the user named it.

    Raises:
        StorageError: when something stands there that may not be replaced.
        OSError: when the disk refuses; what stood there is at its destination then.
    """
    note(given, destination, made)
    try:
        made.rename(destination)  # where nothing stands, or an empty folder
        return
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    if not force:
        raise exists(given)
    if swap.exchange(made, destination):
        return
    old = destination.with_name(f"{stem(destination)}.{this_process()}.{token()}.old")
    destination.rename(old)
    try:
        made.rename(destination)
    except BaseException:
        try:
            old.rename(destination)
        except OSError as error:
            raise StorageError(
                f"cannot write {shown(given)}: {error.strerror}; what stood there is now {shown(old)}"
            ) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def digest_of(path: Path) -> str:
    """SHA-256 of what a file holds, as 64 characters.

    Raises:
        OSError: for a file that is not there, or that the disk does not give.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until what a file holds is on the disk, so that no loss of power leaves its name without it."""
    with path.open("rb" if os.name == "posix" else "rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some filesystems cannot
                raise
