"""Data sets of what people have in hand: arrays, pairs, torch Datasets, DataLoaders, generators, lists of samples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from spikewright.data.columns import Columns, columns_of
from spikewright.data.dataset import ArrayDataset, Dataset, check_samples
from spikewright.data.items import GIVE, ItemSource, StreamSource, class_names, length_of
from spikewright.data.labels import as_targets, collected_targets, targets_of
from spikewright.data.layout import Inputs, channels_of, check_names, fit_axes, side_by_side
from spikewright.data.source import ArraySource, Source
from spikewright.data.streamed import StreamedDataset
from spikewright.data.values import array_of, is_picture
from spikewright.errors import DataError
from spikewright.graph import Array, Shape
from spikewright.npz import SMALL


def as_dataset(data: Any, inputs: Inputs | None = None, columns: Columns | str | None = None) -> Dataset:
    """A Dataset of what people have in hand; no more of it is read than its first sample.

    Args:
        data: a Dataset; an array ``(N, *shape)`` or memory map; for several inputs a mapping from their names to
            arrays; a pair of such samples and targets ``(N, ...)``; a torch Dataset or one of Hugging Face, a
            DataLoader, a Keras ``PyDataset``, a generator or a generator function; or a list of samples or of (sample,
            target) pairs, where samples are arrays, tensors or pictures of Pillow. Two arrays of one shape are two
            samples in a list, samples and targets in a tuple.
        inputs: of the network. Arrays with channels elsewhere, or without an axis for the one channel, are then given
            the axes that the network wants; without it they stay as they are.
        columns: which keys of items that are dictionaries are the sample and its label, ``"image,label"``, where they
            are not called as is usual.

    Raises:
        DataError: for anything else, or an empty set.
    """
    if isinstance(data, Dataset):
        return data if inputs is None else data.with_axes_for(inputs)
    named = columns_of(columns)
    tensors = _tensors_of(data)
    if tensors is not None:
        data = tensors
    if isinstance(data, tuple | list) and len(data) == 2 and not _are_items(data):
        x, y = data[0], None if data[1] is None else targets_of(data[1])
    elif isinstance(data, Mapping) or (hasattr(data, "__array__") and not isinstance(data, Sequence)):
        x, y = data, None
    else:
        return _streamed(_source_of(data, named, inputs), inputs)
    if isinstance(x, Mapping):
        if inputs is None:
            raise DataError(
                f"a dictionary of {', '.join(map(str, x))[:80]}: arrays by name are for a network with several inputs; "
                "samples and labels are given as (x, y)"
            )
        check_names([str(name) for name in x], inputs)
        parts = {str(name): array_of(part, f"the samples of '{name}'") for name, part in x.items()}
        for part in parts.values():
            check_samples(part.shape, part.dtype)
        if len(inputs) == 1 and parts.keys() == set(inputs):
            return ArrayDataset(next(iter(parts.values())), y).with_axes_for(inputs)
        return ArrayDataset(side_by_side(parts, inputs), y)
    array = array_of(x)
    if isinstance(x, np.memmap) and x.nbytes > SMALL:
        check_samples(x.shape, x.dtype)
        return _streamed(ArraySource(x, None if y is None else as_targets(y, len(x))), inputs)
    made = ArrayDataset(array, y, classes=class_names(data, named))
    return made if inputs is None else made.with_axes_for(inputs)


def _streamed(source: Source, inputs: Inputs | None) -> StreamedDataset:
    x = source.head[0]
    if not isinstance(x, Mapping):
        check_samples(x.shape, x.dtype)
    made = StreamedDataset(source, classes=source.classes)
    return made if inputs is None else made.with_axes_for(inputs)


def _tensors_of(data: Any) -> tuple[Any, Any] | None:
    """The samples and labels that a ``TensorDataset`` holds side by side."""
    tensors = getattr(data, "tensors", None)
    if type(data).__name__ != "TensorDataset" or not isinstance(tensors, tuple) or len(tensors) not in (1, 2):
        return None
    return (tensors[0], None if len(tensors) == 1 else tensors[1]) if len(tensors[0]) else None


def _are_items(two: Sequence[Any]) -> bool:
    """Whether two things are samples, with their labels or without, rather than all samples and all labels.

    In a list, two arrays of one shape are two samples; in a tuple they are samples and targets.
    """
    if isinstance(two[0], Mapping):
        from spikewright.data.columns import SAMPLE_KEYS

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


def _source_of(data: Any, columns: Columns, inputs: Inputs | None) -> Source:
    """What is read one by one, or batch by batch."""
    kinds = {c.__name__ for c in type(data).__mro__}
    noun = type(data).__name__
    if isinstance(data, str | bytes) or "PathLike" in kinds or hasattr(data, "__fspath__"):
        raise DataError(f"cannot read data from a {noun}; load_data reads paths, and here {GIVE[5:]}")
    fits = _fits(inputs)
    if "DataLoader" in kinds:
        return _of_loader(data, columns, fits)
    if "PyDataset" in kinds or ("Sequence" in kinds and type(data).__mro__[1].__module__.startswith("keras")):
        return _of_batches(data, columns)
    if inspect.isgeneratorfunction(data):
        return StreamSource(data, "generator", columns, fits=fits)
    if isinstance(data, Iterator):
        known = inspect.isgenerator(data) or noun not in ("str_iterator", "bytes_iterator")
        return StreamSource(lambda: data, noun, columns, repeatable=False, fits=fits) if known else _refused(noun)
    if "IterableDataset" in kinds:
        return _of_iterable(data, columns, fits)
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return _refused(noun)
    found = ItemSource(data, columns, steady=isinstance(data, list | tuple))
    if isinstance(data, list | tuple) and data:
        _ = found.head
        found.targets = _of_list(found)
    return found


def _refused(noun: str) -> Source:
    raise DataError(f"cannot read data from a {noun}; {GIVE}")


def _of_list(source: ItemSource) -> Any:
    """The targets of a list, which is in memory anyway."""
    from spikewright.data.items import apart

    labels = [apart(item, f"item {k}", source.columns)[1] for k, item in enumerate(source.items)]
    found = collected_targets(labels)
    return None if found is None else as_targets(found, len(labels))


def _of_loader(loader: Any, columns: Columns, fits: Callable[[Array], bool] | None) -> Source:
    batched = not (loader.batch_size is None and loader.batch_sampler is None)
    try:
        finite = len(loader) >= 0
    except (Exception, SystemExit):  # the code of whoever wrote the data set; a stream has none
        finite = False
    if finite and not len(loader):
        raise DataError("the data set is empty")
    begin = _Restarted(loader)
    return StreamSource(begin, "DataLoader", columns, batched=batched, finite=finite, fits=fits)


class _Restarted:
    """Begins to read a DataLoader in the same random state each time, so that it shuffles in the same way.

    Args:
        loader: of torch.
    """

    def __init__(self, loader: Any) -> None:
        import torch

        self.loader = loader
        own = getattr(loader, "generator", None)
        self.own = None if own is None else own.get_state()
        self.seed = int(torch.initial_seed() % 2**63)

    def __call__(self) -> Iterator[Any]:
        import torch

        if self.own is not None:
            self.loader.generator.set_state(self.own)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            reader = iter(self.loader)
            first = next(reader, None)
        if first is not None:
            yield first
            yield from reader


def _of_batches(data: Any, columns: Columns) -> Source:
    """A ``PyDataset`` of Keras: batches by their number."""
    number = getattr(data, "num_batches", None)
    if number is None or number == float("inf"):

        def endless() -> Iterator[Any]:
            k = 0
            while True:
                yield data[k]
                k += 1

        return StreamSource(endless, type(data).__name__, columns, batched=True)
    if not length_of(data):
        raise DataError("the data set is empty")
    return StreamSource(partial(_each, data), type(data).__name__, columns, batched=True, finite=True)


def _each(data: Any) -> Iterator[Any]:
    for k in range(len(data)):
        yield data[k]


def _of_iterable(data: Any, columns: Columns, fits: Callable[[Array], bool] | None) -> Source:
    try:
        length = len(data)
    except (Exception, SystemExit):  # the code of whoever wrote the data set; a stream has none
        length = None
    names = class_names(data, columns)
    begin = partial(iter, data)
    how: dict[str, Any] = {"length": length, "finite": length is not None, "classes": names, "fits": fits}
    return StreamSource(begin, type(data).__name__, columns, batched=False, **how)


def _fits(inputs: Inputs | None) -> Callable[[Array], bool] | None:
    """Whether an array is a batch of samples of a network with one input."""
    if inputs is None or len(inputs) != 1:
        return None
    ((name, shape),) = inputs.items()
    channels = channels_of(inputs, name)
    return lambda x: fit_axes(x, shape, channels) is not None


def again(make: Callable[[], Any], first: Any, inputs: Inputs | None, columns: Columns | str | None) -> Dataset | None:
    """A data set of a function that gives an iterator, called anew for each reading; None for another kind of thing.

    Args:
        make: the function.
        first: what it has given already.
        inputs: as of ``as_dataset``.
        columns: as of ``as_dataset``.
    """
    if not isinstance(first, Iterator):
        return None
    waiting = [first]

    def begin() -> Iterator[Any]:
        return waiting.pop() if waiting else iter(make())

    return _streamed(StreamSource(begin, type(first).__name__, columns_of(columns), fits=_fits(inputs)), inputs)
