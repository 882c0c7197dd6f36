"""IDX files, as MNIST comes: two zero bytes, a type, the number of axes, their lengths, the values, all big-endian."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.graph import Shape
from spikewright.npz import PIECE, RATIO, UNPACKED, sane

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@dataclass(frozen=True)
class IdxHeader:
    """What an IDX file says of itself.

    Attributes:
        shape: of the array.
        kind: of its values.
        packed: whether the file is packed by gzip.
        size: of the header, in bytes.
    """

    shape: Shape
    kind: np.dtype[Any]
    packed: bool
    size: int

    @property
    def nbytes(self) -> int:
        """The bytes of its values."""
        return prod(self.shape) * self.kind.itemsize


@contextmanager
def idx_stream(path: Path) -> Iterator[tuple[IdxHeader, IO[bytes]]]:
    """The header of an IDX file and the bytes of its values, packed by gzip or not, to be read in pieces."""
    with path.open("rb") as file, ExitStack() as stack:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
            raise ValueError("no IDX header")
        lengths = stream.read(4 * start[3])
        if len(lengths) < 4 * start[3] or not 1 <= start[3] <= 32:
            raise ValueError("no IDX header")
        shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
        if prod(shape) >= 2**62:
            raise ValueError(f"no array has the shape {shape}")
        yield IdxHeader(shape, np.dtype(TYPES[start[2]]), packed, 4 + 4 * start[3]), stream


def idx_header(path: Path, check: Callable[[Shape], None] | None = None) -> IdxHeader:
    """What an IDX file says of itself, once it is clear that it may be believed; no value is read.

    Args:
        path: the file.
        check: called with the shape; may raise.

    Raises:
        DataError: for a file that is missing, damaged, or would unpack to more than 1 GiB and more than a hundred times
            its size.
    """
    with sane(path), idx_stream(path) as (header, _):
        if check is not None:
            check(header.shape)
        _check_bound(path, header.nbytes, header.packed)
        return header


def check_end(stream: IO[bytes], shape: Shape) -> None:
    """Refuse what goes on behind its last value."""
    if stream.read(1):
        raise ValueError(f"more values than its header says, {shape}")


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file. As many bytes are read as its header says, and no more.

    Raises:
        DataError: as ``idx_header``.
    """
    header = idx_header(path)
    with sane(path), idx_stream(path) as (_, stream):
        values = np.empty(prod(header.shape), header.kind)
        room = values.view(np.uint8)
        for first in range(0, len(room), PIECE):
            got = read_exactly(stream, min(PIECE, len(room) - first), header, first)
            room[first : first + len(got)] = np.frombuffer(got, np.uint8)
        check_end(stream, header.shape)
        return values.reshape(header.shape)


def read_exactly(stream: IO[bytes], size: int, header: IdxHeader, before: int) -> bytes:
    """So many bytes, where so many came before; fewer are refused."""
    got = stream.read(size)
    if len(got) < size:
        there = (before + len(got)) // header.kind.itemsize
        raise ValueError(f"{there:,} values where its header says {header.shape}")
    return got


def _check_bound(path: Path, size: int, packed: bool) -> None:
    there = path.stat().st_size
    if not packed and size > there:
        raise ValueError(f"{there:,} bytes where its header says {size:,}")
    if size > max(UNPACKED, RATIO * there):
        raise DataError(
            f"{path}: {there / 1e6:.1f} MB would unpack to {size / 1e9:.1f} GB, which is not believed; "
            "if it is meant, unpack it with gunzip first"
        )
