"""What a data set is to Spikewright."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.layout import Inputs, laid_out, side_by_side
from spikewright.data.preprocessing import Preprocessing
from spikewright.data.targets import Targets, as_targets, joined, rows
from spikewright.errors import DataError
from spikewright.graph import Array, Shape

Batch = tuple[NDArray[np.float32], Targets | None]


class Dataset(ABC):
    """Samples in a fixed order, with or without labels."""

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
    def take(self, count: int) -> Dataset:
        """The first ``count`` samples."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the samples do."""


@dataclass(frozen=True, eq=False)
class ArrayDataset(Dataset):
    """Samples that lie in memory in their own type, and become float32 batch by batch.

    Attributes:
        x: ``(N, *shape)``, channels first.
        y: targets ``(N, ...)``: whole numbers, floats, or by the names of outputs a mapping of such; or None.
        preprocessing: applied to each batch.
    """

    x: Array
    y: Targets | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    def __post_init__(self) -> None:
        if self.x.ndim < 2:
            raise DataError(f"data must have the shape (samples, ...); this array has {self.x.shape}")
        if self.x.dtype.kind not in "buif":
            raise DataError(f"data must be numbers, not {self.x.dtype}")
        if self.y is not None:
            object.__setattr__(self, "y", as_targets(self.y, len(self.x)))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> Shape:
        return tuple(self.x.shape[1:])

    @property
    def has_labels(self) -> bool:
        return self.y is not None

    @property
    def targets(self) -> Targets | None:
        return self.y

    def batches(self, size: int) -> Iterator[Batch]:
        for start in range(0, len(self), size):
            x = self.preprocessing(self.x[start : start + size])
            if not np.isfinite(x).all():
                row = start + int(np.argwhere(~np.isfinite(x))[0][0])
                raise DataError(f"sample {row} holds NaN or infinity; remove or repair it")
            yield x, rows(self.y, slice(start, start + size))

    def take(self, count: int) -> ArrayDataset:
        return ArrayDataset(self.x[:count], rows(self.y, slice(count)), self.preprocessing)

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.x.shape} {self.x.dtype} {self.preprocessing}".encode())
        for start in range(0, len(self.x), 4096):
            digest.update(np.ascontiguousarray(self.x[start : start + 4096]).tobytes())
        return digest.hexdigest()


def as_dataset(data: Any, inputs: Inputs | None = None) -> Dataset:
    """A Dataset of what people have in hand.

    Args:
        data: a Dataset; an array ``(N, *shape)``; for several inputs a mapping from their names to arrays; a pair of
            such samples and targets ``(N, ...)``, for several outputs a mapping from their names to targets; or a
            torch Dataset of (sample, label) pairs.
        inputs: of the network. Arrays with channels last, or without an axis for the one channel, are then given the
            axes that the network wants; without it they stay as they are.

    Raises:
        DataError: for anything else, or an empty set.
    """
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = data[0], _targets(data[1])
    elif isinstance(data, Mapping) or hasattr(data, "__array__"):
        x, y = data, None
    elif isinstance(data, ArrayDataset):
        fitting = _fitting(data.x, inputs)
        return data if fitting is data.x else ArrayDataset(fitting, data.y, data.preprocessing)
    elif isinstance(data, Dataset):
        return data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return as_dataset(_collected(data), inputs)
    else:
        raise DataError(f"cannot read data from a {type(data).__name__}; give an array, (x, y), or a torch Dataset")
    if isinstance(x, Mapping):
        if inputs is None:
            raise DataError("samples by the names of inputs need the network that has these inputs")
        return ArrayDataset(side_by_side({name: _array(part) for name, part in x.items()}, inputs), y)
    return ArrayDataset(_fitting(_array(x), inputs), y)


def _fitting(x: Array, inputs: Inputs | None) -> Array:
    """Laid out for a network with one input, where that is clear; as it is otherwise, for others to judge."""
    found = None if inputs is None or len(inputs) != 1 or x.ndim < 2 else laid_out(x, next(iter(inputs.values())))
    return x if found is None else found


def _targets(y: Any) -> Targets | None:
    if isinstance(y, Mapping):
        return {str(name): _array(part) for name, part in y.items()}
    return None if y is None else _array(y)


def _array(values: Any) -> Array:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _collected(data: Any) -> Dataset:
    """A map-style torch Dataset, read once."""
    if not len(data):
        raise DataError("the data set is empty")
    pairs = [data[i] for i in range(len(data))]
    if isinstance(pairs[0], tuple | list) and len(pairs[0]) == 2:
        return ArrayDataset(np.stack([_array(x) for x, _ in pairs]), np.array([int(y) for _, y in pairs]))
    return ArrayDataset(np.stack([_array(x) for x in pairs]))
