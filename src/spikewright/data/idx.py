"""IDX files, as MNIST comes: two zero bytes, a type, the number of axes, their lengths, the values, all big-endian."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.graph import Shape
from spikewright.npz import PIECE, RATIO, UNPACKED, sane

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: Path, check: Callable[[Shape], None] | None = None) -> NDArray[Any]:
    """The array of an IDX file, packed by gzip or not. As many bytes are read as its header says, and no more.

    Args:
        path: the file.
        check: called with the shape before any value is read; may raise.

    Raises:
        DataError: for a file that is missing, damaged, or would unpack to more than 1 GiB and more than a hundred times
            its size.
    """
    with sane(path), ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: IO[bytes] | gzip.GzipFile = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
            raise ValueError("no IDX header")
        lengths = stream.read(4 * start[3])
        if len(lengths) < 4 * start[3] or not 1 <= start[3] <= 32:
            raise ValueError("no IDX header")
        shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
        if prod(shape) >= 2**62:
            raise ValueError(f"no array has the shape {shape}")
        kind = np.dtype(TYPES[start[2]])
        if check is not None:
            check(shape)
        _check_bound(path, prod(shape) * kind.itemsize, packed)
        values = np.empty(prod(shape), kind)
        room = values.view(np.uint8)
        for first in range(0, len(room), PIECE):
            got = stream.read(min(PIECE, len(room) - first))
            room[first : first + len(got)] = np.frombuffer(got, np.uint8)
            if len(got) < min(PIECE, len(room) - first):
                there = (first + len(got)) // kind.itemsize
                raise ValueError(f"{there:,} values where its header says {shape}")
        if stream.read(1):
            raise ValueError(f"more values than its header says, {shape}")
        return values.reshape(shape)


def _check_bound(path: Path, size: int, packed: bool) -> None:
    there = path.stat().st_size
    if not packed and size > there:
        raise ValueError(f"{there:,} bytes where its header says {size:,}")
    if size > max(UNPACKED, RATIO * there):
        raise DataError(
            f"{path}: {there / 1e6:.1f} MB would unpack to {size / 1e9:.1f} GB, which is not believed; "
            "if it is meant, unpack it with gunzip first"
        )
