"""What a data set is to Spikewright."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.digests import Raw, digests_of, fingerprint_of, values_of_each
from spikewright.data.labels import Targets, as_targets, joined, rows
from spikewright.data.layout import Inputs, channels_of, fit_axes, fit_picture_axes
from spikewright.data.preprocessing import AS_THEY_ARE, Preprocessing
from spikewright.data.sampling import Choice, Rows, classes_of, draw, part_of
from spikewright.data.values import not_finite
from spikewright.errors import DataError
from spikewright.graph import Array, Shape
from spikewright.settings import whole
from spikewright.tabular import Table, Tabular
from spikewright.text import listed, shape_text

Batch = tuple[NDArray[np.float32], Targets | None]
RAW_BYTES = 2**20
"""How many bytes of raw samples are brought to float32 at once."""


class Dataset(Tabular, ABC):
    """Samples in a fixed order, with or without labels: what everything that takes data reads.

    It says how many there are where that is known (``length``), gives batches, parts by range (``between``), and a
    ``fingerprint`` that follows from the digests of its samples. Only ``StreamedDataset`` may not know its length.

    Attributes:
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        first_sample: of a part, the place of its first sample in the whole.
        preprocessing: what is done to raw samples.
    """

    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_sample: int = 0
    preprocessing: Preprocessing = Preprocessing()

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def length(self) -> int | None:
        """How many samples there are; None where nobody knows before they are read."""
        return len(self)

    def __repr__(self) -> str:
        labels = listed(self.classes) if self.classes else "labelled" if self.has_labels else "without labels"
        steps = f", {self.preprocessing}" if str(self.preprocessing) else ""
        try:
            each = f"samples of {shape_text(self.shape)}"
        except DataError:  # of several sizes, or damaged: said where they are used
            each = "samples"
        count = "an unknown number of" if self.length is None else f"{self.length:,}"
        return f"{type(self).__name__}({count} {each}, {labels}{steps})"

    def _table(self) -> Table:
        """A row a class: how many samples it has, where their labels are known without reading samples."""
        lines, labels = [repr(self), *self.notes], self.labels
        if labels is None or not len(labels) or np.min(labels) < 0:
            return Table({}, tuple(lines))
        counts = np.bincount(np.asarray(labels))
        names = [self.classes[k] if k < len(self.classes) else str(k) for k in range(len(counts))]
        return Table({"class": names, "samples": counts.tolist()}, tuple(lines))

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """The shape of one sample, channels first."""

    @property
    @abstractmethod
    def has_labels(self) -> bool:
        """Whether samples have targets."""

    @abstractmethod
    def batches(self, size: int) -> Iterator[Batch]:
        """Batches ``(B, *shape)`` as float32 with their targets ``(B, ...)``; the last one may be smaller."""

    def noting_batches(self, size: int) -> Iterator[Batch]:
        """The same; a data set that is costly to read notes on the way what is asked of all samples: digests, targets.

        Whoever reads all samples anyway reads these, so that nothing is read once more for a fingerprint.
        """
        return self.batches(size)

    def arrays(self) -> Batch:
        """All samples ``(N, *shape)`` as float32 with their targets, in memory at once: to look at, or to train on.

        Returns:
            the samples, after preprocessing, and their targets, or None where there are none.

        Raises:
            DataError: for a data set without samples, or one that cannot be read.
        """
        found = list(self.batches(4096))
        if not found:
            raise DataError("there are no samples")
        return np.concatenate([x for x, _ in found]), joined([y for _, y in found if y is not None])

    def raw(self) -> Iterator[Raw]:
        """What stands for each sample before preprocessing, one by one: see ``sample_digests``."""
        for x, _ in self.batches(256):
            yield from values_of_each(x)

    @property
    def digests(self) -> NDArray[np.uint64]:
        """``(N,)``: of each sample, see ``sample_digests``: read once, and then kept."""
        kept = vars(self)
        if CACHE not in kept:
            keep_digests(self, digests_of(self.raw()))
        found: NDArray[np.uint64] = kept[CACHE]
        return found

    @property
    def knows_targets(self) -> bool:
        """Whether ``targets`` reads no sample, or none that is not read already."""
        return True

    @property
    def targets(self) -> Targets | None:
        """The targets of all samples; a data set that knows them without reading its samples says so here."""
        return self._read_targets

    @cached_property
    def _read_targets(self) -> Targets | None:
        """The targets of all batches, for which samples are read once, however often they are asked for."""
        if not self.has_labels:
            return None
        return joined([y for _, y in self.batches(4096) if y is not None])

    @abstractmethod
    def subset(self, rows: Rows) -> Dataset:
        """The samples of some rows, in that order."""

    @property
    def labels(self) -> Rows | None:
        """``(N,)`` the class of each sample, where that is known without reading samples; None otherwise."""
        return None

    def take(self, count: int) -> Dataset:
        """The first ``count`` samples, where they are in the whole.

        Raises:
            SettingsError: for anything but a whole number, 0 or more.
        """
        return self.between(0, min(whole("samples", count, 0), len(self)))

    def between(self, start: int, stop: int) -> Dataset:
        """The samples from one place on and up to but not including another, where they are in the whole."""
        found = copy(self.subset(np.arange(start, stop)))
        object.__setattr__(found, "first_sample", self.first_sample + start)
        return found

    def part(self, k: int, n: int) -> Dataset:
        """The k-th of n contiguous parts, whose sizes differ by at most one.

        What is made of all parts in their order is made of the whole: a part knows the place of its first sample, so
        that random draws go on where the part before ends, and events count samples on.

        Args:
            k: which part, from 0.
            n: how many parts, at most one for each sample.

        Raises:
            SettingsError: for a part that does not exist, or more parts than samples.
        """
        return self.between(*part_of(len(self), k, n))

    def sample(self, count: int, seed: int = 0) -> Dataset:
        """A seeded draw of ``count`` samples in proportion to the classes, at least one of each, in their order.

        Without class labels every sample is as likely as any other. No sample is read for it.

        Raises:
            SettingsError: for less than one sample.
        """
        if whole("samples", count) >= len(self):
            return self
        return self.subset(draw(self.labels, len(self), count, seed))

    def choice(self, whole: Dataset) -> Choice:
        """What this is of a whole data set that it was taken from."""
        return Choice.of(self.labels, whole.labels, (len(self), len(whole)), whole.classes)

    def with_axes_for(self, inputs: Inputs) -> Dataset:  # noqa: ARG002 - for those that can
        """The same samples with their axes as a network wants them, as far as that is clear."""
        return self

    @property
    def fingerprint(self) -> str:
        """Changes when the samples do, or what is done to them: it follows from their digests, in their order."""
        return fingerprint_of(self.form, self.digests)

    @property
    def known_fingerprint(self) -> str:
        """The same where no sample needs to be read for it any more; else empty."""
        return self.fingerprint if CACHE in vars(self) else ""

    @property
    def form(self) -> str:
        """What a fingerprint holds beside digests."""
        return f"{self.shape} {self.preprocessing}"


@dataclass(frozen=True, eq=False, repr=False)
class ArrayDataset(Dataset):
    """Samples that lie in memory in their own type, and become float32 batch by batch.

    Attributes:
        x: ``(N, *shape)``, channels first.
        y: targets ``(N, ...)``: whole numbers, floats, or by the names of outputs a mapping of such; or None.
        preprocessing: applied to each batch.
        axis: of ``x`` along which its channels lie.
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        layout: the shape and the place of channels, as ``Input`` has them, that ``x`` was laid out for; None where it
            lies as it was given.
        first_sample: of a part, the place of its first sample in the whole.
        places: of a selection, where its samples lie in what they were drawn from; None where they are all of it, or
            follow one another from ``first_sample`` on.
    """

    x: Array
    y: Targets | None = None
    preprocessing: Preprocessing = AS_THEY_ARE
    axis: int = 1
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    layout: tuple[Shape, str] | None = None
    first_sample: int = 0
    places: Rows | None = None

    def __post_init__(self) -> None:
        check_samples(self.x.shape, self.x.dtype)
        if self.y is not None:
            object.__setattr__(self, "y", as_targets(self.y, len(self.x)))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> Shape:
        return self.preprocessing.shape_after(tuple(self.x.shape[1:]), self.axis)

    @property
    def has_labels(self) -> bool:
        return self.y is not None

    @property
    def labels(self) -> Rows | None:
        return classes_of(self.y)

    @property
    def targets(self) -> Targets | None:
        return self.y

    def batches(self, size: int) -> Iterator[Batch]:
        for start in range(0, len(self), size):
            x = self.preprocessing(self.x[start : start + size], self.axis)
            if (row := not_finite(x)) is not None:
                raise DataError(f"sample {self._place(start + row)} holds NaN or infinity; remove or repair it")
            yield x, rows(self.y, slice(start, start + size))

    def raw(self) -> Iterator[Raw]:
        step = max(1, RAW_BYTES // (4 * prod(self.x.shape[1:])))
        for start in range(0, len(self), step):
            yield from values_of_each(self.x[start : start + step])

    def subset(self, rows: Rows) -> ArrayDataset:
        first = self.first_sample
        places = np.arange(first, first + len(self)) if self.places is None else self.places
        return replace(self._rows(rows), first_sample=0, places=places[rows])

    def between(self, start: int, stop: int) -> ArrayDataset:
        return replace(self._rows(slice(start, stop)), first_sample=self.first_sample + start)

    def _rows(self, which: Rows | slice) -> ArrayDataset:
        places = None if self.places is None else self.places[which]
        return replace(self, x=self.x[which], y=rows(self.y, which), places=places)

    def _place(self, row: int) -> int:
        """Where a sample lies in what was given, of which this may be a selection."""
        return self.first_sample + row if self.places is None else int(self.places[row])

    def with_axes_for(self, inputs: Inputs) -> ArrayDataset:
        if len(inputs) != 1:
            return self
        ((name, shape),) = inputs.items()
        channels = channels_of(inputs, name)
        if self.layout == (shape, channels):  # where axes could be read in two ways, they are turned once
            return self
        given = "first" if self.layout and channels == "moved" else channels
        if not self.preprocessing.spatial:
            x = fit_axes(self.x, shape, given)
        elif len(shape) == 3:
            x = fit_picture_axes(self.x, shape[-1] if channels == "last" else shape[0], given)
        else:
            x = None
        if x is None:
            return self
        axis = x.ndim - 1 if channels == "last" and len(shape) > 1 else max(1, x.ndim - len(shape))
        return replace(self, x=x, axis=axis, layout=(shape, channels))

    @property
    def form(self) -> str:
        return f"{self.shape} {self.x.dtype} {self.preprocessing}"


CACHE = "_sample_digests"


def keep_digests(data: Dataset, digests: NDArray[np.uint64]) -> None:
    """Let a data set keep the digests of its samples ``(N,)``."""
    digests.flags.writeable = False
    vars(data)[CACHE] = digests


def sample_digests(data: Dataset) -> NDArray[np.uint64]:
    """``(N,)``: the first time each sample is read once, one batch in memory; from then on the data set keeps them.

    What a digest covers is what ``Dataset.raw`` gives, before preprocessing:

    * of arrays the values as float32, whatever their type: the same picture as uint8, as whole floats and of another
      byte order has one digest. The values count in the order in which the data set holds them, so compare data sets
      that are fitted to the same network (``as_dataset(data, graph.inputs)``);
    * of pictures in files the bytes of the file, which is not decoded: a copy under another name has the same digest, a
      picture that was saved anew has not; the same of pictures in the columns of a table;
    * of a data set of your own what its ``raw`` gives; where it has none, the float32 values of its batches.

    Args:
        data: any data set, with labels or without; they are not part of it.

    Returns:
        BLAKE2b of 8 bytes (RFC 7693), read as a little-endian whole number. The array cannot be written to.

    Raises:
        DataError: for samples that cannot be read.
    """
    return data.digests


def check_samples(shape: Shape, kind: np.dtype[Any] | None = None) -> None:
    """Refuse what is no array of samples.

    Args:
        shape: of all samples together.
        kind: of their values.

    Raises:
        DataError: for no samples axis, samples without values, or values that are no numbers.
    """
    if len(shape) < 2:
        raise DataError(f"data must have the shape (samples, ...); this array has {shape}")
    if kind is not None and kind.kind not in "buif":
        name = {"O": "objects", "U": "text", "S": "text", "c": "complex numbers"}.get(kind.kind, str(kind))
        raise DataError(f"data must be numbers, not {name}")
    if 0 in shape[1:]:
        raise DataError(f"samples of the shape {shape[1:]} hold no values")
