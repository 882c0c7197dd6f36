"""What of a data set travels to a worker: the place of its files where the worker can read them, else its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

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


def in_order_only(dataset: Dataset) -> bool:
    """Whether a part in the middle costs the reading of all that lies before it."""
    return isinstance(dataset, StreamedDataset) and not dataset.source.by_place
