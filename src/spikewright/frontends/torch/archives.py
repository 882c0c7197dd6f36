"""Archives and pickles of torch, looked at before torch reads them: nothing in them is run."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any, cast

from spikewright.errors import ModelFileError

PICKLES = 5
"""What files from before torch 1.6 hold one behind the other, before their numbers."""
OF_TENSORS = ("collections", "torch", "torch._utils", "torch._tensor", "torch.nn.parameter", "torch.storage")
"""The modules that a pickle of nothing but tensors names things of."""


def pickled_objects(where: str, advice: str) -> ModelFileError:
    """The error for a file that reading would make run code."""
    return ModelFileError(f"{where} holds pickled objects that could run code, and was not read; {advice}")


def check_unpacked(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that unpacks to more than it is.

    Raises:
        ValueError: saying so.
    """
    if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
        raise ValueError("its records unpack to more than the file holds; torch does not compress them")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, by its first bytes, which is what torch goes by."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def names_objects(path: Path) -> bool:
    """Whether a pickle, or an archive with one, names anything that tensors are not made of."""
    try:
        if not is_archive(path):
            with path.open("rb") as file:
                pickles = _Bounded(file, path.stat().st_size)
                return any(_names_objects(pickles) for _ in range(PICKLES))
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    with archive.open(name) as record:
                        return _names_objects(_Bounded(record, archive.getinfo(name).file_size))
    except (OSError, ValueError, LookupError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return False  # damaged before anything of the kind
    return False


class _Bounded:
    """A file of which no more bytes are asked for than it has: room is made for as many as a damaged length says."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size, self.readline, self.tell = file, size, file.readline, file.tell

    def read(self, length: int) -> bytes:
        """The next bytes, as many as there are of those asked for."""
        return self.file.read(min(length, self.size))


def _names_objects(pickle: _Bounded) -> bool:
    """Whether one pickle names such things, by its operations; torch writes the names of what it needs in full."""
    return any(
        operation.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")
        or (operation.name == "GLOBAL" and str(argument).split(" ")[0] not in OF_TENSORS)
        for operation, argument, _ in pickletools.genops(cast(Any, pickle))
    )
