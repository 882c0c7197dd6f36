"""Keras files, opened without Keras: the description as JSON, the weights as HDF5, and nothing else of them is used.

Keras' own loader builds what a file names: custom classes are looked up, a Lambda is code. Here nothing is built. What
a hostile file could do to a reader of archives and HDF5 is refused: links and storage outside the file, and contents
that would grow far beyond what is on disk.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from spikewright.errors import ModelFileError
from spikewright.frontends.common.files import check_exists, missing
from spikewright.hdf5 import check_readable
from spikewright.text import first_line

CONFIG, WEIGHTS, NOTES = "config.json", "model.weights.h5", "metadata.json"
SLACK = 1 << 26
"""Bytes that anything may unpack to; beyond them, only in proportion to what is stored."""
RATIO = 200
PACKED = 20
"""The same of an entry of an archive: Keras packs none, and trained weights hardly shrink."""

AGAIN = "save the whole model again with model.save('network.keras')"
DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    NotImplementedError,
    RecursionError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What the readers of zip, JSON and HDF5 raise for files that are not what they say."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[dict[str, Any], Any, bool]]:
    """The model's description, the HDF5 group of its weights, and whether the file is a ``.keras`` archive.

    The description says in ``keras_version`` which Keras wrote it, where the file says so anywhere.

    Raises:
        ModelFileError: for a file that is missing, damaged, hostile, or holds no model.
        SettingsError: where h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise missing("reading Keras files", "h5py", "keras") from None
    check_exists(path)
    with path.open("rb") as raw:
        archive = raw.read(2) == b"PK"  # by content: TensorFlow wrote HDF5 under either name
    try:
        if archive:
            text, stored, notes = _unpacked(path)
            check_readable(path, WEIGHTS)
            config, version = json.loads(text), json.loads(notes).get("keras_version")
            file = h5py.File(io.BytesIO(stored), "r")
        else:
            check_readable(path)
            file = h5py.File(path, "r")
            config, version = json.loads(_description(path, file)), file.attrs.get("keras_version")
        if not isinstance(config, dict):
            raise ModelFileError(f"{path}: its description is not a model; {AGAIN}")
        if version is not None:
            config = {"keras_version": decoded(version), **config}
        weights = file if archive else child(file, "model_weights")
    except DAMAGE as error:
        raise ModelFileError(f"{path}: damaged or not a Keras file ({first_line(error)}); {AGAIN}") from error
    with file:
        yield config, weights, archive


def _unpacked(path: Path) -> tuple[bytes, bytes, bytes]:
    """The description, the weights and the notes of a ``.keras`` archive; nothing is written to disk."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            _check_entry(path, entry)
        names = Counter(entry.filename for entry in entries)
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise ModelFileError(f"{path}: two of its entries are called '{twice}'; {AGAIN}")
        if CONFIG not in names:
            raise ModelFileError(f"{path}: not a Keras archive, or one without a network in it; {AGAIN}")
        if WEIGHTS not in names:
            raise ModelFileError(f"{path}: holds no {WEIGHTS}; save it again, in one piece and as HDF5")
        return archive.read(CONFIG), archive.read(WEIGHTS), archive.read(NOTES) if NOTES in names else b"{}"


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename.replace("\\", "/")
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or ":" in name or stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelFileError(f"{path}: its entry '{entry.filename}' leads out of the archive; nothing was read")
    if entry.file_size > SLACK + PACKED * entry.compress_size:
        raise ModelFileError(
            f"{path}: its entry '{entry.filename}' would unpack to {entry.file_size:,} bytes from "
            f"{entry.compress_size:,}; nothing was read"
        )


def _description(path: Path, file: Any) -> str:
    config = file.attrs.get("model_config")
    if config is None:
        raise ModelFileError(f"{path}: holds weights without the network; {AGAIN}")
    return decoded(config)


def decoded(text: Any) -> str:
    """A string as HDF5 gives it: bytes from older files."""
    return text.decode() if isinstance(text, bytes) else str(text)


def child(group: Any, name: str) -> Any:
    """A group or dataset below a group, refusing any that is not really in this file; ``name`` may be a path.

    Raises:
        ModelFileError: where there is none, or a link in its place.
    """
    import h5py

    for part in filter(None, name.split("/")):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise ModelFileError(f"its weights '{name}' are missing; {AGAIN}")
        if not isinstance(link, h5py.HardLink):
            raise ModelFileError(f"its weights '{name}' are a link to somewhere else, and were not read; {AGAIN}")
        group = group[part]
    return group


def check_stored(dataset: Any, where: str) -> None:
    """Refuse a dataset whose values are not in this file, or far more than the file holds.

    Raises:
        ModelFileError: naming ``where`` it stands.
    """
    if dataset.is_virtual or dataset.external:
        raise ModelFileError(f"{where}: its weights lie in another file, and were not read; {AGAIN}")
    if dataset.nbytes > SLACK + RATIO * dataset.id.get_storage_size():
        raise ModelFileError(
            f"{where}: its weights of shape {dataset.shape} say they hold {dataset.nbytes:,} bytes, the file has "
            f"{dataset.id.get_storage_size():,}; {AGAIN}"
        )
