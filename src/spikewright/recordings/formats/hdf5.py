"""HDF5: x, y, t and p beside each other in any group, as one structured array, or as four columns (MVSEC).

DSEC has ``/events/{p,t,x,y}`` and ``/t_offset``, microseconds to be added. Values packed with Blosc (DSEC) need the
package hdf5plugin (the extra ``dsec``); Prophesee's own packing (ECF) has none that is free.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikewright.errors import DataError, SettingsError
from spikewright.hdf5 import check_readable
from spikewright.recordings.columns import NAMES, Columns
from spikewright.recordings.format import RecordingFormat, Size
from spikewright.recordings.named import columns_among, pieces_of

MAGIC = b"\x89HDF\r\n\x1a\n"
KNOWN = 32000
"""Numbers of filters from here on are those of plugins."""
ECF = 0x8ECF
"""The filter of Prophesee's files."""
LAYERS, GROUPS = 6, 1000
"""How deep events lie in a file, and among how many groups, at most."""


class Hdf5(RecordingFormat):
    """``.h5`` and ``.hdf5``: DSEC, MVSEC, and plain ones."""

    says_units: ClassVar[bool] = False

    @classmethod
    def recognised(cls, head: bytes, suffix: str) -> bool:
        return head.startswith(MAGIC)

    @property
    def sensor_size(self) -> Size | None:
        with self._opened() as file:
            holders = [file, *(file[name] for name in ("events", "CD") if name in file)]
            for width, height in (("width", "height"), ("sensor_width", "sensor_height")):
                for holder in holders:
                    found = [holder.attrs.get(name) for name in (width, height)]
                    if all(np.size(one) == 1 and np.asarray(one).dtype.kind in "iu" for one in found):
                        return int(np.ravel(found[0])[0]), int(np.ravel(found[1])[0])
        return None

    def pieces(self, counted: Counter[str]) -> Iterator[Columns]:
        with self._opened() as file:
            arrays = _found(file)
            offset = file["t_offset"][()] if "t_offset" in file else 0
            if np.size(offset) != 1 or np.asarray(offset).dtype.kind not in "iu":
                raise ValueError("t_offset that is no whole number")
            try:
                yield from pieces_of(arrays, self.unit, int(np.ravel(offset)[0]))
            except OSError as error:
                missing = _missing_filters(arrays.values())
                if not missing:
                    raise
                what = f"{self.path}: packed with HDF5 filter {missing[0]}"
                if missing[0] == ECF:
                    raise DataError(
                        f"{what} (ECF, Prophesee's own), which no free package reads: write it as EVT 3.0 (.raw) or "
                        "without packing"
                    ) from error
                raise DataError(
                    f"{what}, which is not there: pip install 'spikewright[dsec]' for Blosc, Zstandard and others"
                ) from error

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import h5py
        except ImportError:
            raise SettingsError("reading HDF5 needs h5py: pip install 'spikewright[recordings]'") from None
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")  # it makes its filters known
        status = self.path.stat()
        _check(self.path, status.st_size, status.st_mtime_ns)
        with h5py.File(self.path, "r") as file:
            yield file


@lru_cache(maxsize=4096)
def _check(path: Path, _size: int, _changed: int) -> None:
    """A file is tried once, however often it is opened as long as it does not change."""
    check_readable(path)


def _missing_filters(arrays: Iterable[Any]) -> list[int]:
    """The numbers of the filters of plugins that arrays were packed with and that are not installed."""
    import h5py

    found = []
    for array in arrays:
        plist = getattr(getattr(array, "dataset", array), "id", None)
        if plist is not None:
            made = plist.get_create_plist()
            found += [made.get_filter(k)[0] for k in range(made.get_nfilters())]
    return [number for number in found if number >= KNOWN and not h5py.h5z.filter_avail(number)]


def _found(file: Any) -> Mapping[str, Any]:
    """The four columns of the first group, from the root down, that has them."""
    import h5py

    groups = [("", file)]
    for name, group in groups:
        if len(groups) > GROUPS or name.count("/") > LAYERS:
            break
        held = {key: group[key] for key in group if isinstance(group.get(key, getlink=True), h5py.HardLink)}
        arrays = {key: one for key, one in held.items() if isinstance(one, h5py.Dataset) and _plain(one)}
        named = columns_among([key for key, one in arrays.items() if one.ndim == 1 and not one.dtype.names])
        if named:
            return {column: arrays[key] for column, key in named.items()}
        for one in arrays.values():
            inside = columns_among(one.dtype.names or ())
            if inside and one.ndim == 1:
                return {column: _Field(one, key) for column, key in inside.items()}
            if name.endswith(("left", "right")) and one.ndim == 2 and one.shape[1] == 4 and one.dtype.kind == "f":
                return {column: _Column(one, place) for place, column in enumerate(NAMES)}  # MVSEC: x, y, t, p
        groups += [(f"{name}/{key}", one) for key, one in held.items() if isinstance(one, h5py.Group)]
    raise ValueError("no group of it holds x, y, t and p")


def _plain(array: Any) -> bool:
    """Whether all values lie in this file."""
    return not array.external and not array.is_virtual and array.shape is not None


class _Field:
    """One field of a structured array that is read piece by piece."""

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, name
        self.ndim, self.shape, self.dtype = 1, dataset.shape, dataset.dtype[name]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, which: slice) -> Any:
        return self.dataset.fields(self.name)[which]


class _Column:
    """One column of an array that is read piece by piece."""

    def __init__(self, dataset: Any, place: int) -> None:
        self.dataset, self.place = dataset, place
        self.ndim, self.shape, self.dtype = 1, dataset.shape[:1], dataset.dtype

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, which: slice) -> Any:
        return self.dataset[which, self.place]
