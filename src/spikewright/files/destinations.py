"""Whether something can be written to a destination, and may: asked before any work is done."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from spikewright.errors import StorageError
from spikewright.files.errors import shown, storage_errors
from spikewright.files.owners import tidy


def check_destination(path: Path | str, force: bool = False) -> None:
    """Refuse a destination for a file where something stands, or where nothing can be written, before any work is done.

    A link stays a link: what it points to is what counts.

    Args:
        path: of the file.
        force: whether a file that stands there may be replaced. Nothing but a file ever is.

    Raises:
        StorageError: saying what stands in the way.
    """
    destination = check_reachable(path)
    with storage_errors(path):
        try:
            mode = destination.stat().st_mode
        except FileNotFoundError:
            return
    if stat.S_ISDIR(mode):
        raise StorageError(f"{shown(path)} is a folder; give the name of a file")
    if not stat.S_ISREG(mode):
        raise StorageError(f"{shown(path)} is a device or a pipe and is not replaced; choose another path")
    if not force:
        raise exists(path)


def exists(path: Path | str) -> StorageError:
    """What is said about a result that stands already."""
    return StorageError(f"{shown(path)} exists; choose another path, or give --force (force=True) to replace it")


def check_reachable(path: Path | str) -> Path:
    """Refuse a destination where nothing can be written, whatever stands there; what a killed process left there goes.

    Returns:
        the destination itself, behind all links.

    Raises:
        StorageError: for an empty path, one with control characters, one below a file, or one that may not be written.
    """
    text = os.fspath(path)
    if not text:
        raise StorageError("the path of an output is empty; give it a name")
    if any(not c.isprintable() and (ord(c) < 160 or 0xD800 <= ord(c) <= 0xDFFF) for c in text):
        raise StorageError(f"{shown(path)}: a line break or another control character in a path; choose another name")
    with storage_errors(path):
        destination = Path(os.path.realpath(text))
        _stat(destination)  # a name that is too long, links in a circle, a folder that may not be looked into
        above = next(
            (folder for folder in destination.parents if _stat(folder) is not None), destination
        )  # "/" has none
        if not above.is_dir():
            raise StorageError(f"cannot write {shown(path)}: {shown(above)} is a file, not a folder")
        if not os.access(above, os.W_OK | os.X_OK):
            raise StorageError(f"cannot write {shown(path)}: no permission to write into {shown(above)}")
    tidy(destination)
    return destination


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
