"""What of a data set travels to a worker: the place of its files where the worker can read them, else its samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikewright.data import ArrayDataset, Dataset
from spikewright.data.labels import joined
from spikewright.data.source import ArraySource
from spikewright.data.streamed import StreamedDataset


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
    pieces = list(part._pieces(size))
    if not pieces:
        return part
    labels = [piece.y for piece in pieces if piece.y is not None]
    x = np.concatenate([piece.x for piece in pieces])
    return replace(pieces[0], x=x, y=joined(labels) if labels else None, first_sample=part.first_sample, places=None)


def sent_bytes(part: Dataset) -> int:
    """How many bytes of samples travel with a part."""
    return part.x.nbytes if isinstance(part, ArrayDataset) else 0
