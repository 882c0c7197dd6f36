"""Arrays in ``.npz`` and ``.npy`` files from anywhere: nothing is unpacked or believed before its size is known."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError

PIECE = 2**20
HEADER = 2**16
UNPACKED = 2**30
RATIO = 100
AGAIN = "save or download it again"
FAULTS = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    TypeError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the readers of a zip, a deflated stream and a header raise for bytes that are none. Nothing else can go wrong
in the few lines that ``sane`` is put around."""


@dataclass(frozen=True)
class Header:
    """What an array says of itself before its values.

    Attributes:
        shape: of the array.
        dtype: of its values, never of objects.
        fortran: whether its first axis is the quick one.
        size: of the header, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    size: int

    @property
    def nbytes(self) -> int:
        """The bytes of its values."""
        return prod(self.shape) * self.dtype.itemsize


def npz_headers(path: Path | str, advice: str = AGAIN) -> dict[str, Header]:
    """What every array of an ``.npz`` says of itself, by name; no values are read.

    Raises:
        DataError: for a file that is missing, damaged, encrypted or holds pickled objects; it ends with ``advice``.
    """
    with _opened(path, advice) as (_, members):
        return {name: header for name, (_, header) in members.items()}


def read_npz(path: Path | str, names: Collection[str] | None = None, *, advice: str = AGAIN) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` by name, each checked against what it says of itself before it is unpacked.

    Args:
        path: the file.
        names: which arrays, as far as they are there; None for all.
        advice: what to do if it is damaged: the end of the message.

    Raises:
        DataError: for a file that is missing, damaged, encrypted, holds pickled objects, or would unpack to more than
            1 GiB and more than a hundred times its size.
    """
    with _opened(path, advice) as (archive, members):
        wanted = {name: member for name, member in members.items() if names is None or name in names}
        _check_bound(Path(path), [member for member, _ in wanted.values()])
        return {name: _values(archive, *member) for name, member in wanted.items()}


def read_npy(path: Path | str, *, advice: str = AGAIN) -> NDArray[Any]:
    """The array of an ``.npy``, mapped into memory, so that only what is used of it is read.

    Raises:
        DataError: for a file that is missing, damaged, or holds pickled objects.
    """
    with sane(path, advice):
        with Path(path).open("rb") as file:
            header = _header(file)
            there = file.seek(0, io.SEEK_END) - header.size
        if header.nbytes != there:
            raise ValueError(f"{there:,} bytes of values where its header says {header.nbytes:,}")
        order = "F" if header.fortran else "C"
        if not header.nbytes:
            return np.zeros(header.shape, header.dtype)
        return np.memmap(path, header.dtype, "r", header.size, header.shape, order)  # type: ignore[call-overload,no-any-return]


SMALL = 2**24
"""Arrays of a file that together have no more bytes are read whole; larger ones piece by piece."""


def check_unpacked(path: Path, names: Collection[str], advice: str = AGAIN) -> int:
    """The bytes that some arrays of an ``.npz`` have once they are unpacked.

    Raises:
        DataError: as ``read_npz``, for more than is believed.
    """
    with _opened(path, advice) as (_, members):
        wanted = [info for name, (info, _) in members.items() if name in names]
        _check_bound(path, wanted)
        return sum(info.file_size for info in wanted)


@contextmanager
def npz_stream(path: Path | str, name: str, *, advice: str = AGAIN) -> Iterator[tuple[Header, IO[bytes]]]:
    """The bytes of the values of one array of an ``.npz``, to be read in pieces; the end of them checks their sum.

    Raises:
        DataError: as ``read_npz``.
    """
    with _opened(path, advice) as (archive, members):
        info, header = members[name]
        with archive.open(info) as stream:
            stream.read(header.size)
            yield header, stream


def npz_place(path: Path | str, name: str, *, advice: str = AGAIN) -> int | None:
    """Where the values of one array of an ``.npz`` begin in the file; None where they are packed.

    Raises:
        DataError: as ``read_npz``.
    """
    with _opened(path, advice) as (archive, members):
        info, header = members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        assert archive.fp is not None
        archive.fp.seek(info.header_offset)
        local = archive.fp.read(30)
        names, extra = (int.from_bytes(local[k : k + 2], "little") for k in (26, 28))
        return info.header_offset + 30 + names + extra + header.size


@contextmanager
def sane(path: Path | str, advice: str = AGAIN) -> Iterator[None]:
    """Whatever a damaged file makes its reader raise, as one line that ends with ``advice``.

    Raises:
        DataError: for any of ``FAULTS``.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason if len(reason) <= 120 else f"{reason[:117]}…"
        raise DataError(f"{path}: damaged or not what its name says ({reason}); {advice}") from error


Member = tuple[zipfile.ZipInfo, Header]


@contextmanager
def _opened(path: Path | str, advice: str) -> Iterator[tuple[zipfile.ZipFile, dict[str, Member]]]:
    with sane(path, advice), Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        members: dict[str, Member] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name == info.filename:
                continue
            if name in members:
                raise ValueError(f"it holds '{name}' twice")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"'{name}' is encrypted or packed in an unusual way")
            with archive.open(info) as stream:
                header = _header(stream)
            if header.nbytes != info.file_size - header.size:
                there = info.file_size - header.size
                raise ValueError(f"'{name}' has {there:,} bytes of values where its header says {header.nbytes:,}")
            members[name] = info, header
        yield archive, members


def _header(file: IO[bytes]) -> Header:
    """Of the array that a stream starts with; reads little more than it."""
    start = file.read(12)
    version = start[6:8]
    if start[:6] != b"\x93NUMPY" or version not in (b"\1\0", b"\2\0"):
        raise ValueError("no array: it does not start as one")
    first = 10 if version == b"\1\0" else 12
    length = int.from_bytes(start[8:first], "little")
    if length > HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    whole = io.BytesIO(start + file.read(max(0, first + length - 12)))
    whole.seek(8)
    read = np.lib.format.read_array_header_1_0 if first == 10 else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 2, whose headers need a second look
        try:
            shape, fortran, dtype = read(whole)
        except Exception as error:  # a Python expression in a file: there is no end to what it raises
            raise ValueError("an array's header that cannot be read") from error
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if len(shape) > 32 or any(n < 0 for n in shape) or prod(shape) >= 2**62 or not dtype.itemsize:
        raise ValueError(f"an array of {dtype} cannot have the shape {shape}")
    return Header(shape, dtype, fortran, first + length)


def _check_bound(path: Path, members: Collection[zipfile.ZipInfo]) -> None:
    packed = min(sum(info.compress_size for info in members), path.stat().st_size)
    unpacked = sum(info.file_size for info in members)
    if unpacked > max(UNPACKED, RATIO * packed):
        raise DataError(
            f"{path}: {packed / 1e6:.1f} MB in it unpack to {unpacked / 1e9:.1f} GB, which is not believed; "
            "if it is meant, save it with np.savez, without compression"
        )


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> NDArray[Any]:
    """Exactly as many bytes as the header says; reading to the end checks their sum."""
    values = np.empty(prod(header.shape), header.dtype)
    room = values.view(np.uint8)
    with archive.open(info) as stream:
        stream.read(header.size)
        for start in range(0, len(room), PIECE):
            piece = room[start : start + PIECE]
            got = stream.read(len(piece))
            if len(got) < len(piece):
                raise EOFError("it ends too early")
            piece[:] = np.frombuffer(got, np.uint8)
        if stream.read(1):
            raise ValueError("it goes on where it should end")
    return values.reshape(header.shape, order="F" if header.fortran else "C")
