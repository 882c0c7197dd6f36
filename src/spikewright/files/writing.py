"""Files and folders that are there whole or not at all.

Everything is made in a hidden folder beside its place and renamed when whole and on the disk. A file replaces
another by that rename; two folders change their names in one step where the system can, so that there is no moment in
which nothing stands at the place.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikewright.errors import StorageError
from spikewright.files import swap
from spikewright.files.errors import shown, storage_errors
from spikewright.files.lock import one_at_a_time
from spikewright.files.owners import mine, stem, token
from spikewright.files.places import check_place, check_reachable, exists
from spikewright.files.record import note


@contextmanager
def atomic_path(path: Path | str, force: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which becomes the file when the block ends well, and is removed otherwise.

    Whatever a library leaves beside that path goes too, and the file's mode is what the umask says, whoever wrote it.

    Args:
        path: of the file; a link stays one, and what it points to is written.
        force: whether a file that stands there is replaced.

    Raises:
        StorageError: as ``check_place``, and when the file cannot be written; what stood there is untouched.
    """
    check_place(path, force)
    place = Path(os.path.realpath(path))
    with storage_errors(path), _beside(place) as folder:
        temporary = folder / f"whole{place.suffix[:20]}"
        temporary.touch()
        mode = temporary.stat().st_mode & 0o7777
        yield temporary
        temporary.chmod(mode)
        put_file(temporary, place, force, path)


@contextmanager
def atomic_folder(path: Path | str, force: bool = False) -> Iterator[Path]:
    """A temporary folder to write into; put in its place when the block ends well, removed otherwise.

    What goes wrong inside the block is not looked at: wrap what writes there in ``storage_errors``. Whether what stands
    at the place may be replaced is for the caller to find out.

    Args:
        path: of the folder; a link stays one.
        force: whether a folder that stands there, and is not empty, is replaced.

    Raises:
        StorageError: when the folder cannot be made; what stood there before is untouched.
    """
    place = check_reachable(path)
    with _beside(place, path) as temporary:
        yield temporary
        with storage_errors(path):
            for file in temporary.rglob("*"):
                if file.is_file():
                    sync(file)
            with one_at_a_time(place.parent):
                put_folder(temporary, place, force, path)


def write_text(path: Path | str, text: str, force: bool = False) -> None:
    """Write a text file whole or not at all; arguments and errors as ``atomic_path``."""
    with atomic_path(path, force) as temporary:
        temporary.write_bytes(text.encode())


def write_bytes(path: Path | str, data: bytes | memoryview, force: bool = False) -> None:
    """Write a file whole or not at all; arguments and errors as ``atomic_path``."""
    with atomic_path(path, force) as temporary:
        temporary.write_bytes(data)


@contextmanager
def _beside(place: Path, said: Path | str | None = None) -> Iterator[Path]:
    """A new folder beside a place, gone when the block ends."""
    temporary = place.with_name(f"{stem(place)}.{mine()}.{token()}.part")
    with parents(place, place if said is None else said):
        try:
            with storage_errors(place if said is None else said):
                temporary.mkdir()
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def parents(place: Path, said: Path | str) -> Iterator[None]:
    """The folders that a place is in; those made for it go again if the block ends badly and they are empty.

    Args:
        place: behind all links.
        said: the place as the user named it.

    Raises:
        StorageError: when they cannot be made.
    """
    made: list[Path] = []
    try:
        with storage_errors(said):
            for folder in reversed(place.parents):
                if not folder.exists():
                    made.append(folder)
                    folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise


def put_file(made: Path, place: Path, force: bool, said: Path | str) -> None:
    """Rename a finished file to its place, once what it holds is on the disk.

    Args:
        made: the file.
        place: behind all links.
        force: whether a file that stands there is replaced.
        said: the place as the user named it.

    Raises:
        StorageError: when something stands there that may not be replaced.
        OSError: when the disk refuses.
    """
    sync(made)
    note(said, place, made)
    if force:
        made.replace(place)
        return
    try:
        swap.rename_to_free(made, place)
    except FileExistsError:
        raise exists(said) from None


def put_folder(made: Path, place: Path, force: bool, said: Path | str) -> None:
    """Rename a folder to where another may stand, which is gone afterwards.

    Args:
        made: the folder. What stood at the place may be under its name afterwards.
        place: behind all links.
        force: whether a folder that stands there, and is not empty, is replaced.
        said: the place as the user named it.

    Raises:
        StorageError: when something stands there that may not be replaced.
        OSError: when the disk refuses; what stood there is in its place then.
    """
    note(said, place, made)
    try:
        made.rename(place)  # where nothing stands, or an empty folder
        return
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    if not force:
        raise exists(said)
    if swap.exchange(made, place):
        return
    old = place.with_name(f"{stem(place)}.{mine()}.{token()}.old")
    place.rename(old)
    try:
        made.rename(place)
    except BaseException:
        try:
            old.rename(place)
        except OSError as error:
            raise StorageError(
                f"cannot write {shown(said)}: {error.strerror}; what stood there is now {shown(old)}"
            ) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until what a file holds is on the disk, so that no loss of power leaves its name without it."""
    with path.open("rb" if os.name == "posix" else "rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some filesystems cannot
                raise
