"""Samples that are read where they are needed, piece by piece: any number of them, known or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikewright.data.dataset import CACHE, ArrayDataset, Batch, Dataset, keep_digests
from spikewright.data.digests import Raw, digests_of
from spikewright.data.labels import Targets, as_targets, joined
from spikewright.data.labels import rows as targets_of_rows
from spikewright.data.layout import Inputs, side_by_side
from spikewright.data.preprocessing import AS_THEY_ARE, Preprocessing
from spikewright.data.sampling import Choice, Rows, classes_of
from spikewright.data.source import Samples, Source, at_once, count, regrouped, taken, together
from spikewright.errors import DataError
from spikewright.graph import Shape
from spikewright.settings import whole
from spikewright.text import with_article


@dataclass(eq=False)
class Noted:
    """What a reading of all samples of a data set told beside the samples.

    Attributes:
        length: how many there are.
        targets: of all of them.
    """

    length: int | None = None
    targets: Targets | None = None


@dataclass(frozen=True, eq=False, repr=False)
class StreamedDataset(Dataset):
    """Samples of a source, laid out and preprocessed batch by batch; no more than a batch or two is in memory.

    Attributes:
        source: where they come from.
        preprocessing: applied to each batch.
        inputs: of the network that they are laid out for; None as they are given.
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        first_sample: of a part, the place of its first sample in the whole.
        start, stop: which samples of the source: from one on and up to but not including another; None: to the end.
        chosen: ``(N,)`` instead of these, the places of samples in the source.
        noted: what a reading told.
    """

    source: Source
    preprocessing: Preprocessing = AS_THEY_ARE
    inputs: Inputs | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_sample: int = 0
    start: int = 0
    stop: int | None = None
    chosen: Rows | None = None
    noted: Noted = field(default_factory=Noted)

    def __len__(self) -> int:
        if self.length is None and self._ends and self.source.repeatable:
            self._note_all()
        if self.length is None:
            raise DataError(
                f"{with_article(self.source.noun)} does not say how many samples it has, and that must be known here: "
                "draw some with sample(N) (--samples N), or take the first with take(N) (--first-samples N)"
            )
        return self.length

    @property
    def length(self) -> int | None:
        if self.chosen is not None:
            return len(self.chosen)
        if self.source.length is None:
            return self.noted.length
        end = self.source.length if self.stop is None else min(self.stop, self.source.length)
        return max(0, end - self.start)

    @property
    def _ends(self) -> bool:
        """Whether reading is known to come to an end."""
        return self.source.finite or self.stop is not None

    @cached_property
    def _head(self) -> ArrayDataset:
        return self._piece(self.source.head, 0)

    @property
    def shape(self) -> Shape:
        return self._head.shape

    @property
    def has_labels(self) -> bool:
        return self.source.has_targets

    def _piece(self, samples: Samples, number: int) -> ArrayDataset:
        """Raw samples as the network wants them, the first of which has a number among these."""
        x, y = samples
        if isinstance(x, Mapping):
            if self.inputs is None:
                raise DataError(
                    f"a dictionary of {', '.join(map(str, x))[:80]}: arrays by name are for a network with several "
                    "inputs; samples and labels are given as (x, y)"
                )
            x = next(iter(x.values())) if len(self.inputs) == 1 else side_by_side(x, self.inputs)
        first = self.start + number if self.chosen is None else 0
        places = None if self.chosen is None else self.chosen[number : number + len(x)]
        found = ArrayDataset(x, y, self.preprocessing, first_sample=first, places=places)
        return found if self.inputs is None else found.with_axes_for(self.inputs)

    def _pieces(self, size: int) -> Iterator[ArrayDataset]:
        """The samples in pieces of one size, but for the last, as the network wants them."""
        number = 0
        for samples in self._read(size):
            found = self._piece(samples, number)
            if found.x.shape[1:] != self._head.x.shape[1:]:
                shapes = self._head.x.shape[1:], found.x.shape[1:]
                raise DataError(f"samples have the shapes {shapes[0]} and {shapes[1]}; make them one size")
            if number % (64 * size) == 0:
                self._check_steady(found, number)
            number += len(found)
            yield found
        if self.chosen is None:
            self.noted.length = number
            if self.stop is None and self.start == 0:
                self.source.length = number

    def _read(self, size: int) -> Iterator[Samples]:
        source = self.source
        if self.chosen is None:
            yield from regrouped(source.read(self.start, self.stop), size)
        elif source.by_place:
            for first in range(0, len(self.chosen), size):
                yield source.at(self.chosen[first : first + size])
        else:
            yield from regrouped(self._found(), size)

    def _found(self) -> Iterator[Samples]:
        """Chosen samples among all of a source that gives them one after the other."""
        assert self.chosen is not None
        at, left = 0, self.chosen
        for samples in self.source.read(0, int(left[-1]) + 1 if len(left) else 0):
            end = at + count(samples)
            here = left[: np.searchsorted(left, end)]
            if len(here):
                yield taken(samples, here - at)
            at, left = end, left[len(here) :]

    def _check_steady(self, found: ArrayDataset, number: int) -> None:
        """Refuse a source that gives other samples than before: they would not be those that were looked at."""
        known = vars(self).get(CACHE)
        if known is None or self.source.steady or not len(found):
            return
        if int(digests_of(found._rows(slice(1)).raw())[0]) != int(known[number]):
            raise DataError(
                f"this {self.source.noun} gives other samples each time it is read (sample {self.start + number} has "
                "changed): leave away what is random in it, or keep some with sample(N) (--samples N)"
            )

    def batches(self, size: int) -> Iterator[Batch]:
        for piece in self._pieces(size):
            yield from piece.batches(size)

    def noting_batches(self, size: int) -> Iterator[Batch]:
        if CACHE in vars(self) and self.knows_targets:
            yield from self.batches(size)
            return
        digests, targets = [], []
        for piece in self._pieces(size):
            digests.append(digests_of(piece.raw()))
            if not self._given_targets and piece.y is not None:
                targets.append(piece.y)
            yield from piece.batches(size)
        if targets:
            self.noted.targets = joined(targets)
        keep_digests(self, np.concatenate([*digests, np.zeros(0, np.uint64)]))

    def _note_all(self) -> None:
        for _ in self.noting_batches(max(1, at_once(self._head.x.shape, self._head.x.dtype))):
            pass

    def raw(self) -> Iterator[Raw]:
        for piece in self._pieces(at_once(self._head.x.shape, np.dtype(np.float32))):
            yield from piece.raw()

    @property
    def digests(self) -> NDArray[np.uint64]:
        if CACHE not in vars(self):
            self._check_again("the digests")
            self._note_all()
        found: NDArray[np.uint64] = vars(self)[CACHE]
        return found

    @property
    def form(self) -> str:
        return f"{self.shape} {self._head.x.dtype} {self.preprocessing}"

    @property
    def _given_targets(self) -> bool:
        return self.source.targets is not None

    @property
    def knows_targets(self) -> bool:
        return self._given_targets or self.noted.targets is not None or not self.has_labels

    @property
    def targets(self) -> Targets | None:
        if self._given_targets:
            some = slice(self.start, self.stop) if self.chosen is None else self.chosen
            found = targets_of_rows(self.source.targets, some)
            return None if found is None else as_targets(found, len(self))
        if not self.knows_targets:
            self._check_again("the labels")
            self._note_all()
        return self.noted.targets

    def _check_again(self, what: str) -> None:
        """Refuse to read all samples for something that is needed before they are used.

        Raises:
            DataError: where they can be read once only, or may have no end.
        """
        if not self.source.repeatable:
            raise DataError(
                f"{with_article(self.source.noun)} can be read once only, and here {what} of all samples are needed "
                "before: draw some with sample(N) (--samples N), or give a data set that can be read again"
            )
        if not self._ends and self.length is None:
            raise DataError(
                f"{with_article(self.source.noun)} does not say where it ends, and here {what} of all samples are "
                "needed before: draw some with sample(N) (--samples N), or take the first with take(N) "
                "(--first-samples N)"
            )

    @property
    def labels(self) -> Rows | None:
        found = classes_of(self.noted.targets) if self.noted.targets is not None else self.source.labels
        if found is None or self.noted.targets is not None:
            return found
        return found[slice(self.start, self.stop) if self.chosen is None else self.chosen]

    def take(self, count: int) -> StreamedDataset:
        count = whole("samples", count, 0)
        return self.between(0, count if self.length is None else min(count, self.length))

    def between(self, start: int, stop: int) -> StreamedDataset:
        first = self.first_sample + start
        if self.chosen is not None:
            return self._some(chosen=self.chosen[start:stop], first_sample=first)
        end = self.start + stop
        return self._some(
            start=self.start + start, stop=end if self.stop is None else min(end, self.stop), first_sample=first
        )

    def subset(self, rows: Rows) -> StreamedDataset:
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        places = self.start + rows if self.chosen is None else self.chosen[rows]
        source = self.source
        if not source.by_place and ((np.diff(places) <= 0).any() or source.steady):
            source = source.placed()
        return self._some(source=source, start=0, stop=None, chosen=places, first_sample=0)

    def _some(self, **fields: object) -> StreamedDataset:
        """Some of the samples, of which nothing is noted yet."""
        return replace(self, noted=Noted(), **fields)  # type: ignore[arg-type]

    def sample(self, count: int, seed: int = 0) -> Dataset:
        """A seeded draw of ``count`` samples: see ``Dataset.sample``.

        Of a source that does not know its length it is a reservoir: all samples are read once, and those that are drawn
        are kept in memory, each as likely as any other (Vitter 1985, algorithm R).
        """
        if self.length is not None:
            return super().sample(count, seed)
        return self._reservoir(whole("samples", count), whole("the seed of a draw", seed, 0))

    def _reservoir(self, wanted: int, seed: int) -> Dataset:
        random = np.random.default_rng(seed)
        kept: list[tuple[int, Samples]] = []
        at = 0
        for samples in self.source.read(self.start, self.stop):
            for k in range(count(samples)):
                place = at if at < wanted else int(random.integers(at + 1))
                if place < wanted:
                    one = at, _copy(taken(samples, slice(k, k + 1)))
                    kept[place : place + 1] = [one]
                at += 1
        if not kept:
            raise DataError("the data set is empty")
        self.noted.length = at
        if self.start == 0 and self.stop is None:
            self.source.length = at
        kept.sort(key=lambda one: one[0])
        chosen = replace(self, chosen=np.array([place for place, _ in kept]) + self.start, noted=Noted())
        found = chosen._piece(together([samples for _, samples in kept]), 0)
        return replace(found, classes=self.classes, notes=self.notes)

    def choice(self, whole: Dataset) -> Choice:
        if self.length is None or whole.length is None:
            asked = None if self.stop is None else self.stop - self.start
            return Choice(asked if self.length is None else self.length, whole.length, names=whole.classes)
        return super().choice(whole)

    def with_axes_for(self, inputs: Inputs) -> StreamedDataset:
        if self.inputs is not None and _same(self.inputs, inputs):
            return self
        return replace(self, inputs=inputs, noted=Noted(self.noted.length, self.noted.targets))


def _same(a: Inputs, b: Inputs) -> bool:
    return dict(a) == dict(b) and getattr(a, "channels", {}) == getattr(b, "channels", {})


def _copy(samples: Samples) -> Samples:
    """A piece that holds on to nothing larger than itself."""
    x, y = samples
    values = {name: one.copy() for name, one in x.items()} if isinstance(x, Mapping) else x.copy()
    targets = {name: one.copy() for name, one in y.items()} if isinstance(y, Mapping) else y
    return values, targets.copy() if isinstance(targets, np.ndarray) else targets
