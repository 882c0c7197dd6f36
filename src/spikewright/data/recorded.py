"""Where a path leads to recordings of event cameras, and what its folders and tables say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikewright.data.folders import PICTURES, RECORDINGS, Split, kind_in, pictures_in
from spikewright.data.recordings import Recordings
from spikewright.data.stretches import recordings_with_tables, stretches, table_of
from spikewright.errors import DataError
from spikewright.npz import npz_headers, read_npy, sane
from spikewright.recordings import Binning, load_recording
from spikewright.recordings.named import columns_among

SHARED = {".npz", ".npy"}
"""Endings of files that hold arrays of any kind."""


def is_recording(path: Path, said: bool = False) -> bool:
    """Whether a file is a recording, by its name; of arrays by what they are called.

    Args:
        path: of the file.
        said: whether somebody said that it is one, by giving a binning.
    """
    if not RECORDINGS.fits(path):
        return False
    if path.suffix.lower() not in SHARED or said:
        return True
    with sane(path):
        names = npz_headers(path) if path.suffix.lower() == ".npz" else read_npy(path).dtype.names or ()
        return bool(columns_among(names))


def holds_recordings(path: Path, split: Split, said: bool = False) -> bool:
    """Whether a folder holds recordings, and no data of other kinds that are looked for first; arguments as above."""
    if any(path.glob("*-images*idx*")) or any((path / name).exists() for name in ("x_test.npz", "x_norm.npz")):
        return False
    if recordings_with_tables(path, split):
        return True
    if kind_in(path) is PICTURES:
        return False
    first = next((file for file in sorted(path.rglob("*")) if file.is_file() and RECORDINGS.fits(file)), None)
    return first is not None and is_recording(first, said)


def recordings_of(path: Path, split: Split, classes: Sequence[str], binning: Binning) -> Recordings:
    """The recordings of a file or folder.

    Args:
        path: a recording, with a table of stretches beside it or without; or a folder of them, in class folders or with
            tables beside them.
        split: which part, where a folder holds several.
        classes: names in the order that labels are to have, where that is known already.
        binning: how they become frames.

    Raises:
        DataError: for no recordings, tables that are none, and classes that do not fit.
    """
    with_tables = recordings_with_tables(path, split) if path.is_dir() else [path] if table_of(path) else []
    if with_tables:
        items, labels, names = stretches(with_tables, binning.sensor)
        if names and classes and names != tuple(classes):
            here, before = (", ".join(words)[:80] for words in (names, classes))
            raise DataError(f"{path}: its classes are {here}, those of before {before}")
        return Recordings(items, binning, labels, names or tuple(classes))
    if path.is_file():
        return Recordings((load_recording(path, sensor=binning.sensor),), binning)
    found = pictures_in(path, split, classes, RECORDINGS)
    made = tuple(load_recording(file, sensor=binning.sensor) for file in found.files)
    return Recordings(made, binning, found.labels, found.classes, found.notes)
