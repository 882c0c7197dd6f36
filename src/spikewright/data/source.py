"""Where samples come from that are read piece by piece: what ``StreamedDataset`` makes batches of."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from socket import gethostname
from typing import Any

import numpy as np

from spikewright.data.labels import Targets, joined
from spikewright.data.labels import rows as targets_of_rows
from spikewright.data.sampling import Rows, classes_of
from spikewright.errors import DataError
from spikewright.graph import Array

Values = Array | Mapping[str, Array]
"""Raw samples ``(n, *shape)``, or for several inputs such of each by name."""
Samples = tuple[Values, Targets | None]
"""Raw samples that lie side by side, with their targets ``(n, ...)``."""
PIECE = 2**20
"""Bytes that are read at once where nothing else says how many."""


class Source(ABC):
    """Raw samples in a fixed order.

    Attributes:
        noun: what it is, in a word or two.
        length: how many there are; None as long as nobody knows.
        repeatable: whether they can be read more than once.
        finite: whether they are known to end.
        by_place: whether ``at`` gives any of them without reading those before.
        targets: of all of them, where they are known without reading samples.
        classes: the names of the classes, in the order of their indices, where they have names.
        steady: whether every reading gives the same, whatever happens; code of a user's own may not.
    """

    noun: str = "data set"
    length: int | None = None
    repeatable: bool = True
    finite: bool = True
    by_place: bool = False
    targets: Targets | None = None
    classes: tuple[str, ...] = ()
    steady: bool = True

    @property
    @abstractmethod
    def head(self) -> Samples:
        """One sample that is like all others in shape and type, with its target where it has one.

        Raises:
            DataError: where there is none, or it cannot be read.
        """

    @abstractmethod
    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        """The samples from a place on, up to but not including another (None: to the end), in pieces of any size."""

    def at(self, places: Rows) -> Samples:
        """The samples at some places ``(n,)``, in that order; only where ``by_place``."""
        raise NotImplementedError

    def placed(self) -> Source:
        """The same samples by place.

        Raises:
            DataError: where they come one after the other only.
        """
        if self.by_place:
            return self
        raise DataError(
            f"the samples of a {self.noun} come one after the other, and others are wanted here than the next: draw "
            "some with sample(N) (--samples N), or give arrays, files or a data set with a length"
        )

    @property
    def has_targets(self) -> bool:
        """Whether samples have targets."""
        return self.targets is not None or self.head[1] is not None

    @property
    def labels(self) -> Rows | None:
        """``(N,)``: the class of each sample, where that is known without reading samples."""
        return classes_of(self.targets)


class ArraySource(Source):
    """An array, such as one that a file is mapped to.

    Args:
        x: ``(N, *shape)``.
        y: targets ``(N, ...)``, or None.
    """

    noun, by_place = "array", True

    def __init__(self, x: Array, y: Targets | None = None) -> None:
        self.x, self.targets, self.length = x, y, len(x)

    @property
    def mapped(self) -> tuple[str, int, int] | None:
        """The file that all of the array is mapped to, its size, and where the array begins; None for others."""
        x = self.x
        name = getattr(x, "filename", None)
        if not isinstance(x, np.memmap) or name is None or not x.flags.c_contiguous:
            return None
        size = Path(name).stat().st_size
        return (str(Path(name).resolve()), size, x.offset) if x.offset + x.nbytes == size else None

    def __reduce__(self) -> tuple[Any, ...]:
        mapped = self.mapped
        if mapped is None:
            return ArraySource, (self.x, self.targets)
        return _mapped_again, (*mapped, self.x.dtype.str, self.x.shape, self.targets)

    @property
    def head(self) -> Samples:
        return empty_like(self.x.shape, self.x.dtype), targets_of_rows(self.targets, slice(1))

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        stop = len(self.x) if stop is None else min(stop, len(self.x))
        step = at_once(self.x.shape, self.x.dtype)
        for first in range(start, stop, step):
            part = slice(first, min(first + step, stop))
            yield np.array(self.x[part]), targets_of_rows(self.targets, part)

    def at(self, places: Rows) -> Samples:
        return self.x[places], targets_of_rows(self.targets, places)


def _mapped_again(
    path: str, size: int, offset: int, kind: str, shape: tuple[int, ...], targets: Targets | None
) -> ArraySource:
    """The array of a file in another process, which may run on another machine.

    Raises:
        DataError: where the file is not there, or is another one.
    """
    file = Path(path)
    if not file.is_file() or file.stat().st_size != size:
        raise DataError(f"{path}: is not there as it is here on {gethostname()}: workers read data where they are")
    return ArraySource(np.memmap(file, np.dtype(kind), "r", offset, shape), targets)


def empty_like(shape: tuple[int, ...], kind: np.dtype[np.generic]) -> Array:
    """A sample of the shape of those of an array, which takes no memory."""
    return np.broadcast_to(np.zeros((), kind), (1, *shape[1:]))


def at_once(shape: tuple[int, ...], kind: np.dtype[np.generic], size: int = PIECE) -> int:
    """How many samples of an array make up some bytes; at least one."""
    each = kind.itemsize
    for length in shape[1:]:
        each *= length
    return max(1, size // max(1, each))


def no_room(path: Path, error: OSError) -> DataError:
    """What to say where a packed file cannot be unpacked for samples out of their order."""
    return DataError(
        f"{path}: is packed, and for samples out of their order it is unpacked into {tempfile.gettempdir()}, which "
        f"cannot be ({error.strerror}); say in TMPDIR where there is room"
    )


def taken(samples: Samples, part: slice | Rows) -> Samples:
    """Some of a piece."""
    x, y = samples
    chosen = {name: one[part] for name, one in x.items()} if isinstance(x, Mapping) else x[part]
    return chosen, targets_of_rows(y, part)


def count(samples: Samples) -> int:
    """How many samples a piece holds."""
    x = samples[0]
    return len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)


def together(pieces: list[Samples]) -> Samples:
    """Pieces as one.

    Raises:
        DataError: for samples of several shapes, or targets that some have and others lack.
    """
    if len(pieces) == 1:
        return pieces[0]
    first, labelled = pieces[0][0], pieces[0][1] is not None
    targets = [y for _, y in pieces if y is not None]
    if len(targets) not in (0, len(pieces)):
        raise DataError("some batches have labels and others have none; give one to each sample, or to none")
    if isinstance(first, Mapping):
        x: Values = {name: np.concatenate([part[name] for part, _ in pieces]) for name in first}
    else:
        parts = [part for part, _ in pieces if not isinstance(part, Mapping)]
        strange = next((part for part in parts if part.shape[1:] != first.shape[1:]), None)
        if strange is not None:
            raise DataError(f"samples have the shapes {first.shape[1:]} and {strange.shape[1:]}; make them one size")
        x = np.concatenate(parts)
    return x, joined(targets) if labelled else None


def regrouped(pieces: Iterator[Samples], size: int) -> Iterator[Samples]:
    """The same samples in pieces of one size, but for the last."""
    held: list[Samples] = []
    number = 0
    for piece in pieces:
        at, end = 0, count(piece)
        while at < end:
            step = min(size - number, end - at)
            held.append(piece if step == end else taken(piece, slice(at, at + step)))
            at, number = at + step, number + step
            if number == size:
                yield together(held)
                held, number = [], 0
    if held:
        yield together(held)
