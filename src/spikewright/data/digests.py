"""A short digest of each raw sample: it tells whether two data sets share samples, and keeps none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b, sha256

import numpy as np
from numpy.typing import NDArray

from spikewright.graph import Array

SIZE = 8
"""Bytes of a digest: among a million samples two that differ have the same one with a chance of 3e-8."""
Raw = bytes | memoryview
"""What stands for one sample before preprocessing: the bytes of a file, or values side by side."""


def values_of_each(x: Array) -> Iterator[memoryview]:
    """The values of each sample of a batch ``(B, ...)`` side by side, as float32 and without minus zero."""
    with np.errstate(over="ignore", invalid="ignore"):  # what no float32 holds is refused where it is used
        values = np.ascontiguousarray(x, "<f4").reshape(len(x), -1) + np.float32(0)
    yield from (row.data for row in values)


def digests_of(samples: Iterable[Raw]) -> NDArray[np.uint64]:
    """``(N,)``: of the bytes of each sample."""
    found = bytearray()
    for sample in samples:
        found += blake2b(sample, digest_size=SIZE).digest()
    return np.frombuffer(found, "<u8").astype(np.uint64)


def fingerprint_of(form: str, digests: NDArray[np.uint64]) -> str:
    """The fingerprint of samples: those of parts that follow one another make that of the whole.

    Args:
        form: what their shape and type are, and what is done to them.
        digests: ``(N,)``: of the samples, in their order.
    """
    made = sha256(form.encode() + b"\0")
    made.update(np.ascontiguousarray(digests, "<u8").data)
    return made.hexdigest()
