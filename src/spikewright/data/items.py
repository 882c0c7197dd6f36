"""Data sets of what people have in hand: arrays, pairs, torch Datasets and DataLoaders, lists of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spikewright.data.dataset import ArrayDataset, Dataset, check_samples
from spikewright.data.labels import collected_targets, targets_of
from spikewright.data.layout import Inputs, side_by_side
from spikewright.data.values import array_of, is_picture
from spikewright.errors import DataError, SpikewrightError
from spikewright.graph import Array, Shape

SAMPLE_KEYS = ("x", "image", "images", "img", "pixel_values", "input", "inputs", "data", "sample", "features")
LABEL_KEYS = ("y", "label", "labels", "target", "targets", "class")
GIVE = "give an array, (x, y), a list of (sample, label), or a torch Dataset"


def as_dataset(data: Any, inputs: Inputs | None = None) -> Dataset:
    """A Dataset of what people have in hand.

    Args:
        data: a Dataset; an array ``(N, *shape)``; for several inputs a mapping from their names to arrays; a pair of
            such samples and targets ``(N, ...)``; or a torch Dataset, a DataLoader or a list of samples or of (sample,
            target) pairs, where samples are arrays, tensors or pictures of Pillow. Two arrays of one shape are two
            samples in a list, samples and targets in a tuple.
        inputs: of the network. Arrays with channels elsewhere, or without an axis for the one channel, are then given
            the axes that the network wants; without it they stay as they are.

    Raises:
        DataError: for anything else, or an empty set.
    """
    if isinstance(data, Dataset):
        return data if inputs is None else data.with_axes_for(inputs)
    if isinstance(data, tuple | list) and len(data) == 2 and not _are_items(data):
        x, y = data[0], None if data[1] is None else targets_of(data[1])
    elif isinstance(data, Mapping) or (hasattr(data, "__array__") and not isinstance(data, Sequence)):
        x, y = data, None
    else:
        x, y = _collected(data)
    if isinstance(x, Mapping):
        if inputs is None:
            raise DataError(
                f"a dictionary of {', '.join(map(str, x))[:80]}: arrays by name are for a network with several inputs; "
                "samples and labels are given as (x, y)"
            )
        parts = {str(name): array_of(part, f"the samples of '{name}'") for name, part in x.items()}
        for part in parts.values():
            check_samples(part.shape, part.dtype)
        if len(inputs) == 1 and parts.keys() == set(inputs):
            return ArrayDataset(next(iter(parts.values())), y).with_axes_for(inputs)
        return ArrayDataset(side_by_side(parts, inputs), y)
    made = ArrayDataset(array_of(x), y, classes=_class_names(data))
    return made if inputs is None else made.with_axes_for(inputs)


def _class_names(data: Any) -> tuple[str, ...]:
    """Of a data set that says them, as torchvision's do."""
    names = getattr(data, "classes", ())
    return tuple(names) if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names) else ()


def _are_items(two: Sequence[Any]) -> bool:
    """Whether two things are samples, with their labels or without, rather than all samples and all labels.

    In a list, two arrays of one shape are two samples; in a tuple they are samples and targets.
    """
    if isinstance(two[0], Mapping):
        return isinstance(two[1], Mapping) and not set(map(str, two[1])).isdisjoint(SAMPLE_KEYS)
    if isinstance(two[0], tuple):
        return len(two[0]) == 2
    if isinstance(two[0], list) and len(two[0]) == 2 and _axes(two[0][0]):
        return not _axes(two[0][1])
    if all(is_picture(one) for one in two):
        return True
    return isinstance(two, list) and len(_axes(two[0])) > 1 and _axes(two[0]) == _axes(two[1])


def _axes(value: Any) -> Shape:
    """The shape of an array or tensor; none of anything else."""
    return tuple(getattr(value, "shape", ()))


def _collected(data: Any) -> tuple[Array, Any]:
    """Samples and targets of something that is read one by one, or batch by batch."""
    kinds = {c.__name__ for c in type(data).__mro__}
    if isinstance(data, str | bytes) or "PathLike" in kinds or hasattr(data, "__fspath__"):
        raise DataError(f"cannot read data from a {type(data).__name__}; load_data reads paths, and here {GIVE[5:]}")
    if "DataLoader" in kinds:
        return _of_loader(data)
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise DataError(f"cannot read data from a {type(data).__name__}; {GIVE}")
    items = [_item(data, k) for k in range(_length(data))]
    if not items:
        raise DataError("the data set is empty")
    samples, labels = zip(*(_apart(item, f"item {k}") for k, item in enumerate(items)), strict=True)
    arrays = [array_of(sample, f"item {k}") for k, sample in enumerate(samples)]
    return _stacked(arrays), collected_targets(labels)


def _of_loader(loader: Any) -> tuple[Array, Any]:
    """Batches put together; only of a loader that has an end."""
    _length(loader)
    samples: list[Array] = []
    targets: list[Any] = []
    for k, batch in enumerate(_careful(loader)):
        x, y = _apart(batch, f"batch {k}")
        samples.append(array_of(x, f"batch {k}"))
        targets.append(None if y is None else targets_of(y))
    if not samples:
        raise DataError("the data set is empty")
    if any(part.ndim < 2 or part.shape[1:] != samples[0].shape[1:] for part in samples):
        raise DataError(f"batches hold samples of different shapes, {samples[0].shape[1:]} first; resize them all")
    if any((y is None) != (targets[0] is None) or isinstance(y, Mapping) for y in targets):
        raise DataError("some batches have labels and others have none, or have them by name; give arrays (x, y)")
    return np.concatenate(samples), None if targets[0] is None else np.concatenate(targets)


def _careful(loader: Any) -> Iterator[Any]:
    try:
        yield from loader
    except SpikewrightError:
        raise
    except (Exception, SystemExit) as error:  # the code of whoever wrote the data set
        raise DataError(f"the DataLoader fails: {type(error).__name__}: {_line(error)}") from error


def _length(data: Any) -> int:
    try:
        return len(data)
    except (Exception, SystemExit) as error:  # the code of whoever wrote the data set; a stream has none
        raise DataError(f"this {type(data).__name__} has no length ({_line(error)}); {GIVE}") from error


def _item(data: Any, k: int) -> Any:
    try:
        return data[k]
    except (Exception, SystemExit) as error:  # the code of whoever wrote the data set
        raise DataError(f"item {k} of the {type(data).__name__} cannot be read: {_line(error)}") from error


def _apart(item: Any, where: str) -> tuple[Any, Any]:
    """The sample and the target of an item."""
    if item is None:
        raise DataError(f"{where} is None; leave it out")
    if isinstance(item, Mapping):
        samples, labels = ([key for key in item if key in keys] for keys in (SAMPLE_KEYS, LABEL_KEYS))
        if len(samples) != 1 or len(labels) > 1:
            keys = ", ".join(map(str, item))[:80]
            raise DataError(f"{where} is a dictionary of {keys}; which is the sample cannot be seen: {GIVE}")
        return item[samples[0]], item[labels[0]] if labels else None
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


def _stacked(arrays: Sequence[Array]) -> Array:
    strange = next((k for k, part in enumerate(arrays) if part.shape != arrays[0].shape), None)
    if strange is not None:
        raise DataError(
            f"item {strange} has the shape {arrays[strange].shape}, the first {arrays[0].shape}; make them one size"
        )
    return np.stack(arrays)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
