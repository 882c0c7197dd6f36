"""What a data set says of each sample beside its values: a class, a number, a map; for one output or for several.

Targets flow through untouched; what they mean, their task decides (``spikewright.tasks``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.data.values import array_of, not_finite
from spikewright.errors import DataError
from spikewright.graph import Array

Targets = NDArray[Any] | Mapping[str, NDArray[Any]]
"""``(N, ...)``, whole numbers (int64) or floats; for several outputs one such array of each by name."""


WANTED = "the index of each sample's class is wanted, 0, 1, 2 and so on"


def targets_of(values: Any) -> Targets:
    """Targets as people have them as an array of numbers, or by the names of outputs as several of them.

    Args:
        values: arrays, tensors, lists of numbers, or a mapping of such from the names of outputs.

    Raises:
        DataError: for text, objects, complex numbers, dates, and numbers that are NaN or infinite.
    """
    if isinstance(values, Mapping):
        return {str(name): _array_of_targets(part, f"of output '{name}' ") for name, part in values.items()}
    return _array_of_targets(values, "")


def _array_of_targets(values: Any, owner: str) -> Array:
    found = array_of(values, "labels")
    if found.dtype.kind in "USO" and found.size:
        first = found.reshape(-1)[0]
        shown = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        what = "text" if isinstance(first, str | bytes) else f"{type(first).__name__} objects"
        raise DataError(f"labels {owner}are {what}, such as {shown[:40]!r}; {WANTED}")
    if found.dtype.kind not in "buif":
        raise DataError(f"labels {owner}are {found.dtype}; {WANTED}")
    if found.ndim == 0:
        raise DataError(f"labels {owner}are a single number; one is wanted for each sample")
    if (row := not_finite(found)) is not None:
        raise DataError(f"the label {owner}of sample {row} holds NaN or infinity; take the sample out, or repair it")
    return found


def collected_targets(labels: Sequence[Any], places: Sequence[Any] = ()) -> Targets | None:
    """The targets of single samples, put together; None where no sample has one.

    Args:
        labels: of each sample.
        places: the number of each, where they are some of many.

    Raises:
        DataError: as ``targets_of``, and for targets that some samples lack, or that differ in shape.
    """
    lacking = [k for k, label in enumerate(labels) if label is None]
    numbers = places or range(len(labels))
    if len(lacking) == len(labels):
        return None
    if lacking:
        raise DataError(f"sample {numbers[lacking[0]]} has no label, others have; give one to each, or to none")
    if not isinstance(labels[0], Mapping):
        return targets_of(_stacked(labels, numbers))
    names = list(labels[0])
    if any(not isinstance(one, Mapping) or list(one) != names for one in labels):
        raise DataError("the samples have labels by different names")
    return targets_of({name: _stacked([one[name] for one in labels], numbers) for name in names})


def _stacked(labels: Sequence[Any], numbers: Sequence[Any]) -> Array:
    parts = [array_of(label, f"the label of sample {k}") for k, label in zip(numbers, labels, strict=True)]
    for k, part in zip(numbers, parts, strict=True):
        if part.shape != parts[0].shape:
            raise DataError(f"the label of sample {k} has the shape {part.shape}, that of the first {parts[0].shape}")
    return np.stack(parts)


def as_targets(y: Array | Mapping[str, Array], samples: int) -> Targets:
    """Targets as they are kept: bools and whole numbers as int64, floats as floats, a column of classes as a row.

    Args:
        y: of every sample ``(N, ...)``, or a mapping from the names of outputs to such arrays.
        samples: N.

    Raises:
        DataError: for text and the like, and for more or fewer targets than samples.
    """
    found = targets_of(y)
    if isinstance(found, Mapping):
        if not found:
            raise DataError("labels by the names of outputs hold no output; give an array for each, or None")
        return {name: _kept(part, samples, f"of output '{name}' ") for name, part in found.items()}
    return _kept(found, samples, "")


def rows(targets: Targets | None, part: Any) -> Targets | None:
    """The targets of some samples.

    Args:
        targets: of all, or None.
        part: a slice, or indices ``(n,)``.
    """
    if isinstance(targets, Mapping):
        return {name: one[part] for name, one in targets.items()}
    return None if targets is None else targets[part]


def joined(parts: Sequence[Targets]) -> Targets | None:
    """Targets of batch after batch as one; None without a batch.

    Raises:
        DataError: for batches whose targets are not of one kind.
    """
    if not parts:
        return None
    names = {tuple(part) if isinstance(part, Mapping) else None for part in parts}
    try:
        if len(names) > 1:
            raise ValueError(f"batches have labels of {len(names)} sets of outputs")
        if isinstance(parts[0], Mapping):
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return np.concatenate(parts)  # type: ignore[arg-type]
    except ValueError as error:
        raise DataError(f"the labels of a data set must be of one kind in all batches: {error}") from error


def _kept(y: NDArray[Any], samples: int, owner: str) -> NDArray[Any]:
    if len(y) != samples:
        raise DataError(f"{samples} samples but {len(y)} labels {owner}".rstrip() + "; they must be as many")
    if y.dtype.kind == "f":
        return y
    if y.dtype.kind == "u" and y.size and int(y.max()) > np.iinfo(np.int64).max:
        raise DataError(f"label {int(y.max())} {owner}is too large to be a class")
    whole = y.astype(np.int64)
    return whole[:, 0] if whole.ndim == 2 and whole.shape[1] == 1 else whole
