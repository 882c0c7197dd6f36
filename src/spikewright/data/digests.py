"""A short digest of each raw sample: it tells whether two data sets share samples, and keeps none of them."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from spikewright.data.dataset import Dataset, Raw

SIZE = 8
"""Bytes of a digest: among a million samples two that differ have the same one with a chance of 3e-8."""
CACHE = "_sample_digests"


def sample_digests(data: Dataset) -> NDArray[np.uint64]:
    """``(N,)``: the first time each sample is read once, one batch in memory; from then on the data set keeps them.

    What a digest covers is what ``Dataset.raw`` gives, before preprocessing:

    * of arrays the values as float32, whatever their type: the same picture as uint8, as whole floats and of another
      byte order has one digest. The values count in the order in which the data set holds them, so compare data sets
      that are fitted to the same network (``as_dataset(data, graph.inputs)``);
    * of pictures in files the bytes of the file, which is not decoded: a copy under another name has the same digest, a
      picture that was saved anew has not;
    * of a data set of your own what its ``raw`` gives; where it has none, the float32 values of its batches.

    Args:
        data: any data set, with labels or without; they are not part of it.

    Returns:
        BLAKE2b of 8 bytes (RFC 7693), read as a little-endian whole number. The array cannot be written to.

    Raises:
        DataError: for samples that cannot be read.
    """
    kept = vars(data)
    if CACHE not in kept:
        kept[CACHE] = digests_of(data.raw())
        kept[CACHE].flags.writeable = False
    found: NDArray[np.uint64] = kept[CACHE]
    return found


def digests_of(samples: Iterable[Raw]) -> NDArray[np.uint64]:
    """``(N,)``: of the bytes of each sample."""
    found = b"".join(blake2b(sample, digest_size=SIZE).digest() for sample in samples)
    return np.frombuffer(found, "<u8").astype(np.uint64)
