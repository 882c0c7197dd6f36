"""Renaming as the system itself can do it in one step: two names exchanged, or only to a name that is free."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

AT_FDCWD = -100
LINUX = {"free": 1, "exchange": 2}
"""Flags of ``renameat2``: RENAME_NOREPLACE, RENAME_EXCHANGE."""
MACOS = {"free": 4, "exchange": 2}
"""Flags of ``renamex_np``: RENAME_EXCL, RENAME_SWAP."""
CANNOT = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})
"""What a system or a filesystem says that does not know how."""


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders change their names, so that neither name is free for a moment.

    Returns:
        whether the system and the filesystem can; if not, nothing was done.

    Raises:
        OSError: when it fails for another reason.
    """
    return _renamed(one, other, "exchange")


def rename_to_free(made: Path, destination: Path) -> None:
    """Rename a file to a name that nothing has.

    Raises:
        FileExistsError: when something has it.
        OSError: when it fails for another reason.
    """
    if _renamed(made, destination, "free"):
        return
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(destination))
    made.rename(destination)


def _renamed(one: Path, other: Path, how: str) -> bool:
    call = _system_call()
    if call is None:
        return False
    function, flags, folders = call
    first, second = os.fsencode(one), os.fsencode(other)
    arguments = (AT_FDCWD, first, AT_FDCWD, second, flags[how]) if folders else (first, second, flags[how])
    if function(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _system_call() -> tuple[Any, dict[str, int], bool] | None:
    """The function, its flags, and whether it wants folders to start from; None where there is none."""
    name, flags, folders = {"linux": ("renameat2", LINUX, True), "darwin": ("renamex_np", MACOS, False)}.get(
        sys.platform, ("", {}, False)
    )
    if not name:
        return None
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):
        return None
    text, number = ctypes.c_char_p, ctypes.c_int
    function.argtypes = (number, text, number, text, ctypes.c_uint) if folders else (text, text, ctypes.c_uint)
    function.restype = number
    return function, flags, folders
