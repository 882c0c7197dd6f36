"""What a data set is to Spikewright."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.labels import Targets, as_targets, joined, rows
from spikewright.data.layout import Inputs, channels_of, laid_out, pictures_laid_out
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.sampling import Choice, Rows, classes_of, draw
from spikewright.errors import DataError
from spikewright.graph import Array, Shape

Batch = tuple[NDArray[np.float32], Targets | None]


class Dataset(ABC):
    """Samples in a fixed order, with or without labels.

    Attributes:
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        preprocessing: what is done to raw samples.
    """

    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preprocessing: Preprocessing = Preprocessing()

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Of one sample, channels first."""

    @property
    @abstractmethod
    def has_labels(self) -> bool: ...

    @abstractmethod
    def batches(self, size: int) -> Iterator[Batch]:
        """Batches ``(B, *shape)`` as float32 with their targets ``(B, ...)``; the last one may be smaller."""

    @property
    def targets(self) -> Targets | None:
        """Of all samples; a data set that knows them without reading its samples says so here."""
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
        """The first ``count`` samples."""
        return self.subset(np.arange(min(max(count, 0), len(self))))

    def sample(self, count: int, seed: int = 0) -> Dataset:
        """A seeded draw of ``count`` samples in proportion to the classes, at least one of each, in their order.

        Without class labels every sample is as likely as any other. No sample is read for it.

        Raises:
            SettingsError: for less than one sample.
        """
        if count >= len(self):
            return self
        return self.subset(draw(self.labels, len(self), count, seed))

    def choice(self, whole: Dataset) -> Choice:
        """What this is of a whole data set that it was taken from."""
        return Choice.of(self.labels, whole.labels, (len(self), len(whole)), whole.classes)

    def fitted(self, inputs: Inputs) -> Dataset:  # noqa: ARG002 - for those that can
        """The same samples with their axes as a network wants them, as far as that is clear."""
        return self

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the samples do."""

    def digests(self) -> NDArray[np.uint64]:
        """``(N,)``: a short digest of each raw sample, before preprocessing, so that samples of two data sets can be
        compared: numbers are equal where their float32 values are, pictures where their files are.

        A data set that says nothing of its raw samples is read once, as its batches are.
        """
        parts = [digests_of(x) for x, _ in self.batches(256)]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False)
class ArrayDataset(Dataset):
    """Samples that lie in memory in their own type, and become float32 batch by batch.

    Attributes:
        x: ``(N, *shape)``, channels first.
        y: targets ``(N, ...)``: whole numbers, floats, or by the names of outputs a mapping of such; or None.
        preprocessing: applied to each batch.
        axis: of ``x`` along which its channels lie.
        classes: the names of the classes, in the order of their indices, where they have names.
        notes: what was left out when the data were found, one line each.
        laid: the shape and the place of channels, as ``Input`` has them, that ``x`` was laid out for; None where it
            lies as it was given.
    """

    x: Array
    y: Targets | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    axis: int = 1
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    laid: tuple[Shape, str] | None = None

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
            if not np.isfinite(x).all():
                row = start + int(np.argwhere(~np.isfinite(x))[0][0])
                raise DataError(f"sample {row} holds NaN or infinity; remove or repair it")
            yield x, rows(self.y, slice(start, start + size))

    def subset(self, rows: Rows) -> ArrayDataset:
        return self._part(rows)

    def take(self, count: int) -> ArrayDataset:
        return self._part(slice(max(count, 0)))

    def _part(self, which: Rows | slice) -> ArrayDataset:
        return replace(self, x=self.x[which], y=rows(self.y, which))

    def fitted(self, inputs: Inputs) -> ArrayDataset:
        if len(inputs) != 1:
            return self
        ((name, shape),) = inputs.items()
        channels = channels_of(inputs, name)
        if self.laid == (shape, channels):  # where axes could be read in two ways, they are turned once
            return self
        given = "first" if self.laid and channels == "moved" else channels
        if not self.preprocessing.spatial:
            x = laid_out(self.x, shape, given)
        elif len(shape) == 3:
            x = pictures_laid_out(self.x, shape[-1] if channels == "last" else shape[0], given)
        else:
            x = None
        if x is None:
            return self
        axis = x.ndim - 1 if channels == "last" and len(shape) > 1 else max(1, x.ndim - len(shape))
        return replace(self, x=x, axis=axis, laid=(shape, channels))

    def digests(self) -> NDArray[np.uint64]:
        return digests_of(self.x)

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.x.shape} {self.x.dtype} {self.axis} {self.preprocessing}".encode())
        for start in range(0, len(self.x), 4096):
            digest.update(np.ascontiguousarray(self.x[start : start + 4096]).tobytes())
        return digest.hexdigest()


def digests_of(samples: Array) -> NDArray[np.uint64]:
    """Of each sample ``(N, ...)``, by its values as float32."""
    with np.errstate(over="ignore"):
        rows = (np.asarray(sample, np.float32) + np.float32(0) for sample in samples)  # not minus zero
        return np.array([short_digest(np.ascontiguousarray(row).data) for row in rows], np.uint64)


def short_digest(content: bytes | memoryview) -> int:
    """64 bits of it."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


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
