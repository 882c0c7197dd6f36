"""NIR files as plain dictionaries, with nothing in them trusted.

HDF5 can point at other files, at itself, and at data far larger than the file. So every object is looked at before
it is read: it must lie in this file, be reached by one name, be made of numbers or text, and fit a budget.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright.errors import ModelFileError
from spikewright.frontends.common.files import check_exists, missing
from spikewright.hdf5 import check_readable
from spikewright.text import first_line

if TYPE_CHECKING:
    import h5py

BUDGET = 256 * 2**20
"""Bytes that a file may unpack to, whatever its size."""
PACKED = 50
"""How many times its own size a file may unpack to beyond that; constant arrays pack a thousandfold."""
EDGES = 10**5
"""The most edges of one graph; they are read one by one."""
DEEPEST = 64
"""Levels of groups: two for each level of nested graphs."""
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}
"""Those that h5py brings along; HDF5 would look for others among the plugins of the machine."""


def read_file(path: Path | str) -> dict[str, Any]:
    """The root node of a NIR file: groups as dictionaries, numbers as arrays, text as str.

    Raises:
        ModelFileError: for a file that is missing, damaged, not NIR, or hostile.
    """
    try:
        import h5py
    except ImportError:
        raise missing("reading NIR files", "nir", "nir") from None
    check_exists(path)
    try:
        check_readable(Path(path))
        with h5py.File(path, "r") as file:
            reader = _Reader(str(path), BUDGET + PACKED * Path(path).stat().st_size)
            found = reader.group(file, "", 0, only="node").get("node")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"{path}: damaged or not a NIR file ({first_line(error)}); export it again") from error
    if not isinstance(found, dict):
        raise ModelFileError(f"{path}: not a NIR file: it has no group 'node'; export it again")
    return found


class _Reader:
    def __init__(self, path: str, budget: int) -> None:
        self.path = path
        self.left = budget
        self.seen: set[Any] = set()

    def refuse(self, where: str, why: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: {where or '/'} {why}; this is no file that NIR writes")

    def group(self, group: h5py.Group, where: str, depth: int, only: str = "") -> dict[str, Any]:
        """What a group holds, or one thing in it."""
        if depth > DEEPEST:
            raise self.refuse(where, f"lies {DEEPEST} groups deep")
        return {key: self.item(group, key, where, depth) for key in group if not only or key == only}

    def item(self, group: h5py.Group, key: str, where: str, depth: int) -> Any:
        import h5py

        here = f"{where}/{key}"
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise self.refuse(here, "is a link to somewhere else")
        thing = group[key]
        info = h5py.h5o.get_info(thing.id)
        if (info.fileno, info.addr) in self.seen:
            raise self.refuse(here, "stands in the file under two names")
        self.seen.add((info.fileno, info.addr))
        if isinstance(thing, h5py.Group):
            return self.group(thing, here, depth + 1)
        if isinstance(thing, h5py.Dataset):
            return self.dataset(thing, here)
        raise self.refuse(here, "is neither a group nor a dataset")

    def dataset(self, data: h5py.Dataset, where: str) -> Any:
        import h5py

        if data.external or data.is_virtual:
            raise self.refuse(where, "keeps its values in another file")
        settings = data.id.get_create_plist()
        unknown = [f for f in (settings.get_filter(k)[0] for k in range(settings.get_nfilters())) if f not in FILTERS]
        if unknown:
            raise self.refuse(where, f"is packed by the filter {unknown[0]}")
        if data.shape is None:
            raise self.refuse(where, "is empty")
        self.spend(data.size * data.dtype.itemsize, where)
        if data.size and not data.id.get_storage_size():
            raise self.refuse(where, f"declares {data.size:,} values and holds none")
        if h5py.check_string_dtype(data.dtype) is None:
            if data.dtype.kind not in "fiub":
                raise self.refuse(where, f"holds {data.dtype}, neither numbers nor text")
            return data[()]
        if not data.shape:
            return self.text(data[()], where)
        if data.shape[0] > EDGES:
            raise self.refuse(where, f"holds {data.shape[0]:,} edges")
        if data.shape[1:] != (2,):  # all that NIR knows beside single texts are edges
            raise self.refuse(where, f"holds text in the shape {data.shape}")
        # pair by pair, since many entries may point at one long text
        return [[self.text(word, where) for word in pair] for pair in data]

    def text(self, value: Any, where: str) -> str:
        self.spend(len(value), where)
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)

    def spend(self, size: int, where: str) -> None:
        self.left -= size
        if self.left < 0:
            raise self.refuse(where, "unpacks to far more than the file's own size")
