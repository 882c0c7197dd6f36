"""Memory for the largest values of all populations, from which percentiles are found in the pass that meets them.

What a percentile needs is known only at the end. Before, there are bounds: all values still to come may be positive.
Where all bounds fit, that many values are kept and every percentile is found. Else each population has its part of the
memory in proportion to what it would need by the values seen so far, which is enough in the end if what all need fits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from spikewright.calibration.requests import Quantile, Request
from spikewright.calibration.requests._largest import Largest, LargestValues
from spikewright.calibration.requests.request import Totals
from spikewright.settings import LARGEST, whole

MEMORY = 512
"""MiB where nobody says."""
PART = 4
"""What part of the memory holds values at most: the rest is for those on the way, for selecting and for sorting."""
POSITIVE = 0.5
"""Which part of activations is taken to be positive, to see which percentiles are worth trying."""
DEEP, DEEPEST = 0.011, 4_000_000
"""A deep tail's part of the values, and how many values of such tails are kept at most: reading again is quicker."""
ASSUMED = 10_000
"""How many samples there are taken to be, to see the same, where nobody knows."""


def checked_memory(memory: int) -> int:
    """MiB, as people give them.

    Raises:
        SettingsError: for what is no whole number, or below 1.
    """
    return whole("memory", memory, 1, LARGEST)


def bytes_kept(memory: int) -> int:
    """How many bytes of values may be kept in so many MiB."""
    return (memory << 20) // PART


def worth_keeping(
    asked: Sequence[tuple[Collection[Request[object]], int]], samples: int | None, memory: int
) -> list[tuple[Largest, ...]]:
    """The largest values that are kept in the first pass, of each population: for as high percentiles as fit.

    Where a lower percentile does not fit, or has more than ``DEEPEST`` values above it, samples that can be counted are
    read once more anyway, which finds the higher ones too: then nothing is kept. Of a stream of unknown length as much
    is kept as fits.

    Args:
        asked: of each population what is wanted, and how many values one sample has.
        samples: of the data set; None where nobody knows.
        memory: MiB.
    """
    seen = ASSUMED if samples is None else samples
    percentiles = {request.percentile for requests, _ in asked for request in requests if isinstance(request, Quantile)}
    best: list[tuple[Largest, ...]] = [() for _ in asked]
    for lowest in sorted(percentiles, reverse=True):
        tried = [_kept(requests, lowest) for requests, _ in asked]
        need = deep = 0.0
        for kept, (_, values) in zip(tried, asked, strict=True):
            for one in kept:
                expected = min(one.share * (1 if one.zeros else POSITIVE), POSITIVE) * values * seen
                need += expected * one.bytes
                deep += expected if one.share > DEEP else 0
        if need > bytes_kept(memory) or (samples is not None and deep > DEEPEST):
            return best if samples is None else [() for _ in asked]
        best = tried
    return best


def _kept(requests: Iterable[Request[object]], lowest: float) -> tuple[Largest, ...]:
    """The largest values that some percentiles need, down to the lowest of them, not below another."""
    found: dict[tuple[bool, bool], float] = {}
    for request in requests:
        if isinstance(request, Quantile) and request.percentile >= lowest:
            kind = request.channels, request.zeros
            found[kind] = min(found.get(kind, 100.0), request.percentile)
    return tuple(Largest(percentile, *kind) for kind, percentile in sorted(found.items()))


def share_out(kept: Sequence[tuple[LargestValues, Totals, int | None]], memory: int) -> None:
    """Say of all largest values how many may be kept from now on.

    Args:
        kept: each with the totals of its population, and the values of each of its groups that are still to come; None
            where nobody knows.
        memory: MiB for all of them.
    """
    room = bytes_kept(memory)
    needed = [values.needed(totals, to_come) for values, totals, to_come in kept]
    if sum(float(most.sum()) * values.request.bytes for most, (values, *_) in zip(needed, kept, strict=True)) > room:
        weights = [values.weight(totals) for values, totals, _ in kept]
        whole_weight = sum(
            float(weight.sum()) * values.request.bytes for weight, (values, *_) in zip(weights, kept, strict=True)
        )
        needed = [
            np.minimum(most, (weight * (room / whole_weight)).astype(np.int64))
            for most, weight in zip(needed, weights, strict=True)
        ]
    for most, (values, *_) in zip(needed, kept, strict=True):
        values.allow(most)
