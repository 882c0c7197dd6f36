"""Arrays in files as sources: read in order piece by piece as they are packed, by place once unpacked on the disk."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from spikewright.data.idx import IdxHeader, check_end, idx_stream, read_exactly
from spikewright.data.labels import Targets
from spikewright.data.labels import rows as targets_of_rows
from spikewright.data.sampling import Rows
from spikewright.data.source import PIECE, ArraySource, Samples, Source, at_once, empty_like, no_room, regrouped
from spikewright.graph import Array, Shape
from spikewright.npz import Header, npz_place, npz_stream, sane


class PackedSource(Source):
    """An array in a file that is read in order.

    Args:
        path: of the file.
        shape: of the array.
        kind: of its values.
        targets: of all samples, or None.
        fortran: whether its first axis is the quick one: its samples do not lie one after the other.
    """

    noun = "file"

    def __init__(
        self, path: Path, shape: Shape, kind: np.dtype[Any], targets: Targets | None, fortran: bool = False
    ) -> None:
        self.path, self.shape, self.kind, self.targets, self.fortran = path, shape, kind, targets, fortran
        self.length = shape[0]
        self._placed: Source | None = None

    @property
    def head(self) -> Samples:
        return empty_like(self.shape, self.kind), targets_of_rows(self.targets, slice(1))

    @abstractmethod
    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        """The bytes of the values."""

    @abstractmethod
    def _got(self, stream: IO[bytes], size: int, before: int) -> bytes:
        """So many bytes, where so many came before; fewer are refused."""

    @abstractmethod
    def _check_end(self, stream: IO[bytes]) -> None:
        """Refuse what goes on behind the last value."""

    @property
    def _bytes_place(self) -> int | None:
        """Where the values begin in the file; None where they are packed."""
        return None

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        if self.fortran:
            yield from self.placed().read(start, stop)
            return
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        step, each = at_once(self.shape, self.kind), self.kind.itemsize * prod(self.shape[1:])
        with sane(self.path), self._opened() as stream:
            for first in range(0, stop, step):
                number = min(step, stop - first)
                got = self._got(stream, number * each, first * each)
                skipped = max(0, min(start - first, number))
                if skipped < number:
                    part = np.frombuffer(got, self.kind).reshape(number, *self.shape[1:])[skipped:]
                    yield part, targets_of_rows(self.targets, slice(first + skipped, first + number))
            if stop == self.shape[0]:
                self._check_end(stream)

    def placed(self) -> Source:
        if self._placed is None:
            order: Any = "F" if self.fortran else "C"
            place = self._bytes_place
            if place is not None:
                mapped: Array = np.memmap(self.path, self.kind, "r", place, self.shape, order)
            else:
                mapped = self._unpacked(order)
            self._placed = ArraySource(mapped, self.targets)
        return self._placed

    def _unpacked(self, order: Any) -> Array:
        """The array in a file of its own without a name, which is gone when nobody reads it any more."""
        size = self.kind.itemsize * prod(self.shape)
        try:
            room = tempfile.TemporaryFile()  # noqa: SIM115 - closed below; the mapping stays
        except OSError as error:
            raise no_room(self.path, error) from error
        with room, sane(self.path), self._opened() as stream:
            for first in range(0, size, PIECE):
                got = self._got(stream, min(PIECE, size - first), first)
                try:
                    room.write(got)
                    room.flush()
                except OSError as error:
                    raise no_room(self.path, error) from error
            self._check_end(stream)
            return np.memmap(room, self.kind, "r", 0, self.shape, order)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_placed": None}


class NpzSource(PackedSource):
    """One array of an ``.npz``.

    Args:
        path: of the file.
        name: of the array.
        header: what it says of itself.
        targets: of all samples, or None.
    """

    def __init__(self, path: Path, name: str, header: Header, targets: Targets | None) -> None:
        super().__init__(path, header.shape, header.dtype, targets, header.fortran)
        self.name, self.header = name, header

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with npz_stream(self.path, self.name) as (header, stream):
            if header != self.header:
                raise ValueError("it has changed since it was opened")
            yield stream

    def _got(self, stream: IO[bytes], size: int, before: int) -> bytes:  # noqa: ARG002
        got = stream.read(size)
        if len(got) < size:
            raise EOFError("it ends too early")
        return got

    def _check_end(self, stream: IO[bytes]) -> None:
        if stream.read(1):
            raise ValueError("it goes on where it should end")

    @property
    def _bytes_place(self) -> int | None:
        return npz_place(self.path, self.name)


class IdxSource(PackedSource):
    """The array of an IDX file.

    Args:
        path: of the file.
        header: what it says of itself.
        targets: of all samples, or None.
    """

    def __init__(self, path: Path, header: IdxHeader, targets: Targets | None) -> None:
        super().__init__(path, header.shape, header.kind, targets)
        self.header = header

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with idx_stream(self.path) as (header, stream):
            if header != self.header:
                raise ValueError("it has changed since it was opened")
            yield stream

    def _got(self, stream: IO[bytes], size: int, before: int) -> bytes:
        return read_exactly(stream, size, self.header, before)

    def _check_end(self, stream: IO[bytes]) -> None:
        check_end(stream, self.shape)

    @property
    def _bytes_place(self) -> int | None:
        return None if self.header.packed else self.header.size


class SeveralSource(Source):
    """Arrays side by side, one for each input of a network.

    Args:
        parts: by the names of inputs, all of as many samples.
        targets: of all samples, or None.
    """

    noun = "file"

    def __init__(self, parts: Mapping[str, Source], targets: Targets | None) -> None:
        self.parts, self.targets = dict(parts), targets
        self.by_place = all(part.by_place for part in parts.values())
        self.length = next(iter(parts.values())).length

    @property
    def head(self) -> Samples:
        return self._joined({name: part.head for name, part in self.parts.items()}, slice(1))

    def _joined(self, parts: Mapping[str, Samples], places: slice | Rows) -> Samples:
        values = {name: x for name, (x, _) in parts.items() if not isinstance(x, Mapping)}
        return values, targets_of_rows(self.targets, places)

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        size = min(_step(part) for part in self.parts.values())
        readers = [regrouped(part.read(start, stop), size) for part in self.parts.values()]
        at = start
        for pieces in zip(*readers, strict=True):
            yield self._joined(dict(zip(self.parts, pieces, strict=True)), slice(at, at + size))
            at += size

    def at(self, places: Rows) -> Samples:
        return self._joined({name: part.at(places) for name, part in self.parts.items()}, places)

    def placed(self) -> Source:
        return SeveralSource({name: part.placed() for name, part in self.parts.items()}, self.targets)


def _step(part: Source) -> int:
    x = part.head[0]
    assert not isinstance(x, Mapping)
    return at_once(x.shape, x.dtype)
