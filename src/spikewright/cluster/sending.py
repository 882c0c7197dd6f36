"""What of a data set travels to a worker: the place of its files where the worker can read them, else its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from spikewright.cluster.cluster import Cluster
from spikewright.data import ArrayDataset, Dataset
from spikewright.data.labels import joined
from spikewright.data.source import ArraySource
from spikewright.data.streamed import StreamedDataset
from spikewright.parts import Part


def for_worker(part: Dataset, size: int) -> Dataset:
    """A part of a data set as a worker gets it.

    Arrays that are mapped to a file and pictures in files are read by the worker, where they lie. What cannot be cut or
    opened twice (generators, items of data sets, packed files) is read here, raw, and sent.

    Args:
        part: some samples, laid out for a network.
        size: how many are read at once.
    """
    if not isinstance(part, StreamedDataset):
        return part
    if isinstance(part.source, ArraySource) and part.source.mapped is not None:
        return part
    return _together(list(part._pieces(size)), part.first_sample)


def _together(pieces: list[ArrayDataset], first_sample: int) -> ArrayDataset:
    """Pieces that follow one another, as one data set in memory."""
    labels = [piece.y for piece in pieces if piece.y is not None]
    x = np.concatenate([piece.x for piece in pieces])
    return replace(pieces[0], x=x, y=joined(labels) if labels else None, first_sample=first_sample, places=None)


def parts_for_workers(dataset: Dataset, parts: Sequence[Part], size: int) -> Callable[[int], Dataset]:
    """What gives each part of a data set as a worker gets it; asked for in their order.

    What gives its samples only one after the other is read once, from the first part on.

    Args:
        dataset: laid out for a network.
        parts: consecutive ones, whole batches but for the last.
        size: of a batch.
    """
    if in_order_only(dataset):
        assert isinstance(dataset, StreamedDataset)
        rest = dataset.between(parts[0].start, parts[-1].stop) if parts else dataset
        pieces = rest._pieces(size)
        return lambda number: _together(list(islice(pieces, -(-len(parts[number]) // size))), parts[number].start)
    return lambda number: for_worker(dataset.between(parts[number].start, parts[number].stop), size)


def each_part(
    cluster: Cluster,
    function: Callable[..., Any],
    shared: Any,
    dataset: Dataset,
    parts: Sequence[Part],
    size: int,
    more: Callable[[Part], tuple[Any, ...]] = lambda _: (),
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Any]:
    """What a function gives for each part of a data set on a cluster, in their order.

    Args:
        cluster: the workers.
        function: of a module, called with ``shared``, the samples of a part, the place of the first one, and more.
        shared: by all parts.
        dataset: laid out for a network.
        parts: consecutive ones, up to the end of the data set.
        size: of a batch.
        more: what else a part has.
        progress: called with (samples done, those before the first part with them; samples in all).

    Raises:
        SpikewrightError: as ``Cluster.each``.
    """
    given = parts_for_workers(dataset, parts, size)
    done = parts[0].start if parts else 0

    def moved(number: int) -> None:
        nonlocal done
        done += len(parts[number])
        if progress is not None:
            progress(done, parts[-1].stop)

    calls = [lambda n=n, part=part: (given(n), part.start, *more(part)) for n, part in enumerate(parts)]
    return cluster.each(function, shared, calls, moved)


def in_order_only(dataset: Dataset) -> bool:
    """Whether a part in the middle costs the reading of all that lies before it."""
    return isinstance(dataset, StreamedDataset) and not dataset.source.by_place
