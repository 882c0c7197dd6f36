"""Samples that code of other people gives: one by one by their number, or one after the other, alone or in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from spikewright.data.columns import Columns
from spikewright.data.labels import Targets, collected_targets, targets_of
from spikewright.data.sampling import Rows, classes_of
from spikewright.data.source import Samples, Source, taken
from spikewright.data.values import array_of
from spikewright.errors import DataError, SpikewrightError
from spikewright.graph import Array
from spikewright.text import with_article

GIVE = "give an array, (x, y), a list of (sample, label), or a torch Dataset"
AT_ONCE = 32
"""Items that are put together at once."""


class ItemSource(Source):
    """Items by their number: a list, a torch ``Dataset``, a data set of Hugging Face.

    Args:
        items: with a length and items.
        columns: which keys of items are what.
        steady: whether items cannot change.
    """

    by_place = True

    def __init__(self, items: Any, columns: Columns, steady: bool = False) -> None:
        self.items, self.columns, self.steady = items, columns, steady
        self.noun, self.length = type(items).__name__, length_of(items)
        self.classes = class_names(items, columns)
        self._head: Samples | None = None

    @property
    def head(self) -> Samples:
        if self._head is None:
            if not self.length:
                raise DataError("the data set is empty")
            self._head = self.at(np.zeros(1, np.int64))
        return self._head

    @property
    def labels(self) -> Rows | None:
        return labels_beside(self.items, self.length) if self.targets is None else classes_of(self.targets)

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        assert self.length is not None
        stop = self.length if stop is None else min(stop, self.length)
        for first in range(start, stop, AT_ONCE):
            yield self.at(np.arange(first, min(first + AT_ONCE, stop)))

    def at(self, places: Rows) -> Samples:
        numbers = [int(place) for place in places]
        items = zip(numbers, (self._item(number) for number in numbers), strict=True)
        pairs = [(f"item {number}", *apart(item, f"item {number}", self.columns)) for number, item in items]
        arrays = [array_of(sample, where) for where, sample, _ in pairs]
        first = arrays[0] if self._head is None else self._head[0]
        assert not isinstance(first, Mapping)
        shape = first.shape if self._head is None else first.shape[1:]
        for (where, _, _), one in zip(pairs, arrays, strict=True):
            if one.shape != shape:
                raise DataError(f"{where} has the shape {one.shape}, the first {shape}; make them one size")
        labels = [label for _, _, label in pairs]
        if self._head is not None and (strange := _lacking(labels, self._head[1] is not None)) is not None:
            raise DataError(f"sample {numbers[strange]} has no label, others have; give one to each, or to none")
        return np.stack(arrays), collected_targets(labels, numbers)

    def _item(self, k: int) -> Any:
        try:
            return self.items[k]
        except (Exception, SystemExit) as error:  # the code of whoever wrote the data set
            raise DataError(f"item {k} of the {self.noun} cannot be read: {line_of(error)}") from error


def _lacking(labels: Sequence[Any], labelled: bool) -> int | None:
    """The first that has no label where others have, or has one where others have none."""
    return next((k for k, label in enumerate(labels) if (label is not None) != labelled), None)


class StreamSource(Source):
    """Items or batches one after the other: an iterable torch ``Dataset``, a ``DataLoader``, a generator.

    Args:
        begin: begins to read, and gives what is read from.
        noun: what it is, in a word or two.
        columns: which keys of items are what.
        batched: whether it gives batches; None where the first that comes shows it.
        repeatable: whether ``begin`` may be called again.
        finite: whether it is known to end.
        classes: the names of the classes, where they have names.
        fits: whether an array is a sample of the network, where one is known.
    """

    steady = False

    def __init__(
        self,
        begin: Callable[[], Iterator[Any]],
        noun: str,
        columns: Columns,
        *,
        batched: bool | None = None,
        repeatable: bool = True,
        finite: bool = False,
        length: int | None = None,
        classes: tuple[str, ...] = (),
        fits: Callable[[Array], bool] | None = None,
    ) -> None:
        self.begin, self.noun, self.columns, self.batched, self.fits = begin, noun, columns, batched, fits
        self.repeatable, self.finite, self.length, self.classes = repeatable, finite, length, classes
        self._head: Samples | None = None
        self._waiting: Iterator[Samples] | None = None
        self._begun = False

    @property
    def head(self) -> Samples:
        if self._head is None:
            reader = self._pieces()
            first = next(reader, None)
            if first is None:
                raise DataError("the data set is empty")
            self._waiting = _again(first, reader)
        assert self._head is not None
        return self._head

    def read(self, start: int, stop: int | None) -> Iterator[Samples]:
        reader, self._waiting = self._waiting or self._pieces(), None
        at = 0
        with closing(reader):  # type: ignore[type-var]
            while stop is None or at < stop:
                piece = next(reader, None)
                if piece is None:
                    return
                size = len(piece[0])
                low, high = max(start - at, 0), size if stop is None else min(size, stop - at)
                if low < high:
                    yield piece if (low, high) == (0, size) else taken(piece, slice(low, high))
                at += size

    def _pieces(self) -> Iterator[Samples]:
        if self._begun and not self.repeatable:
            raise DataError(
                f"{with_article(self.noun)} can be read once only, and it has been: give what makes it (a function or "
                "module:function), or keep some with sample(N) (--samples N)"
            )
        self._begun = True
        for k, item in enumerate(_careful(self.begin, self.noun)):
            where = f"{'batch' if self.batched else 'item'} {k}"
            sample, label = apart(item, where, self.columns)
            piece = self._piece(array_of(sample, where), label, where)
            if self._head is None:
                self._head = taken(piece, slice(1))
            self._check(piece, where)
            yield piece

    def _piece(self, x: Array, y: Any, where: str) -> Samples:
        if self.batched is None:
            self.batched = self._shows_batches(x, y)
        if not self.batched:
            return x[None], None if y is None else collected_targets([y], [where])
        targets: Targets | None = None if y is None else targets_of(y)
        if isinstance(targets, Mapping):
            raise DataError(f"{where}: batches with labels by name are not read; give arrays (x, y), or single samples")
        return x, targets

    def _shows_batches(self, x: Array, y: Any) -> bool:
        """Whether what comes first is a batch of samples and no sample."""
        if x.ndim < 2:
            return False
        if self.fits is not None and self.fits(x) != self.fits(x[None]):
            return self.fits(x)
        shape: Any = getattr(y, "shape", ())
        return len(shape) > 0 and shape[0] == len(x) and x.ndim > 2

    def _check(self, piece: Samples, where: str) -> None:
        assert self._head is not None
        (x, y), (first, label) = piece, self._head
        assert not isinstance(x, Mapping)
        assert not isinstance(first, Mapping)
        if x.ndim < 2:
            raise DataError(f"{where} is a single number; samples are arrays, with a row of values at least")
        if x.shape[1:] != first.shape[1:]:
            if self.batched:
                raise DataError(f"batches hold samples of different shapes, {first.shape[1:]} first; resize them all")
            raise DataError(f"{where} has the shape {x.shape[1:]}, the first {first.shape[1:]}; make them one size")
        if (y is None) != (label is None):
            raise DataError(f"{where} has {'no label' if y is None else 'a label'}, unlike those before")
        if isinstance(y, np.ndarray) and len(y) != len(x):
            raise DataError(f"{where}: {len(x)} samples but {len(y)} labels; they must be as many")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_waiting": None}


def _again(first: Samples, rest: Iterator[Samples]) -> Iterator[Samples]:
    yield first
    yield from rest


def _careful(begin: Callable[[], Iterator[Any]], noun: str) -> Iterator[Any]:
    try:
        yield from begin()
    except SpikewrightError:
        raise
    except (Exception, SystemExit) as error:  # the code of whoever wrote the data set
        raise DataError(f"the {noun} fails: {type(error).__name__}: {line_of(error)}") from error


def length_of(data: Any) -> int:
    """How many items there are.

    Raises:
        DataError: where that cannot be told.
    """
    try:
        return len(data)
    except (Exception, SystemExit) as error:  # the code of whoever wrote the data set; a stream has none
        raise DataError(f"this {type(data).__name__} has no length ({line_of(error)}); {GIVE}") from error


def apart(item: Any, where: str, columns: Columns) -> tuple[Any, Any]:
    """The sample and the target of an item or batch.

    Raises:
        DataError: for what cannot be taken apart.
    """
    if item is None:
        raise DataError(f"{where} is None; leave it out")
    if isinstance(item, Mapping):
        sample, label = columns.chosen(item, where)
        return item[sample], None if label is None else item[label]
    if not isinstance(item, tuple | list) or (isinstance(item, list) and not _is_pair(item)):
        return item, None
    if len(item) == 1:
        return item[0], None
    if len(item) != 2:
        raise DataError(f"{where} has {len(item)} parts; samples and labels are wanted: {GIVE}")
    return item[0], item[1]


def _is_pair(item: list[Any]) -> bool:
    """Whether a list is a sample and a label rather than a sample of numbers."""
    return any(hasattr(part, "shape") or not np.isscalar(part) for part in item) and len(item) <= 3


def class_names(data: Any, columns: Columns) -> tuple[str, ...]:
    """The names of classes, where a data set says them, as torchvision's do and those of Hugging Face of a column."""
    names = getattr(data, "classes", ())
    features = getattr(data, "features", None)
    if not names and isinstance(features, Mapping):
        try:
            names = getattr(features.get(columns.chosen(features, "features")[1]), "names", None) or ()
        except DataError:
            names = ()
    return tuple(names) if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names) else ()


def labels_beside(data: Any, length: int | None) -> Rows | None:
    """``(N,)``: the classes that a data set keeps beside its items, as torchvision's ``targets``; for draws only."""
    for name in ("targets", "labels"):
        beside = getattr(data, name, None)
        if beside is None or callable(beside) or not hasattr(beside, "__len__") or len(beside) != length:
            continue
        try:
            return classes_of(array_of(beside))
        except (DataError, ValueError):
            return None
    return None


def line_of(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
