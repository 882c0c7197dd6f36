"""Labels and other targets as people have them, handed on as arrays; what they mean is for others to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikewright.data.values import array_of
from spikewright.errors import DataError
from spikewright.graph import Array

WANTED = "the index of each sample's class is wanted, 0, 1, 2 and so on"


def targets_of(values: Any) -> Any:
    """Targets as an array of numbers, or by the names of outputs as several of them.

    Raises:
        DataError: for text, objects, complex numbers, dates, and numbers that are NaN or infinite.
    """
    if isinstance(values, Mapping):
        return {str(name): targets_of(part) for name, part in values.items()}
    found = array_of(values, "labels")
    if found.dtype.kind in "USO" and found.size:
        first = found.reshape(-1)[0]
        looks = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        what = "text" if isinstance(first, str | bytes) else f"{type(first).__name__} objects"
        raise DataError(f"labels are {what}, such as {looks[:40]!r}; {WANTED}")
    if found.dtype.kind not in "buif":
        raise DataError(f"labels are {found.dtype}; {WANTED}")
    if found.ndim == 0:
        raise DataError("labels are a single number; one is wanted for each sample")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0][0])
        raise DataError(f"the label of sample {row} is NaN or infinite; take the sample out, or repair it")
    return found


def collected_targets(labels: Sequence[Any]) -> Array | None:
    """The targets of single samples, put together; None where no sample has one.

    Raises:
        DataError: as ``targets_of``, and for targets that some samples lack, or that differ in shape.
    """
    lacking = [k for k, label in enumerate(labels) if label is None]
    if len(lacking) == len(labels):
        return None
    if lacking:
        raise DataError(f"sample {lacking[0]} has no label, others have; give one to each, or to none")
    if isinstance(labels[0], Mapping):
        names = list(labels[0])
        if any(not isinstance(one, Mapping) or list(one) != names for one in labels):
            raise DataError("the samples have labels by different names")
        return {str(name): collected_targets([one[name] for one in labels]) for name in names}  # type: ignore[return-value]
    parts = [array_of(label, f"the label of sample {k}") for k, label in enumerate(labels)]
    strange = next((k for k, part in enumerate(parts) if part.shape != parts[0].shape), None)
    if strange is not None:
        raise DataError(
            f"the label of sample {strange} has the shape {parts[strange].shape}, that of the first {parts[0].shape}"
        )
    found: Array = targets_of(np.stack(parts))
    return found
