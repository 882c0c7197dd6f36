"""One look of the native core at a batch: what every calibration counts of activations, all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests._largest import LargestValues
from spikewright.calibration.requests.float_bits import INFINITY, patterns
from spikewright.calibration.requests.request import Seen, Values

AT_ONCE = 1 << 21
"""Values that are looked at before those that are kept are looked through."""


@cache
def _native() -> Callable[..., tuple[NDArray[np.int32], NDArray[np.int32]]] | None:
    """What counts; None where it was not built."""
    try:
        return import_module("spikewright.calibration.requests._activations").count  # type: ignore[no-any-return]
    except ImportError:
        return None


def look_at(values: Values, kept: Sequence[LargestValues]) -> None:
    """Count a batch ``(B, C, ...)`` in one look, where the native core can, and offer the largest values to ``kept``.

    What comes of calibration is the same to the bit without it.
    """
    count = _native()
    if count is None or values.given.device.type != "cpu" or not values.count:
        return
    bits = patterns(values.rows).numpy()
    channels = bits.shape[1]
    parts = [Seen.nothing(channels) for _ in range(values.threads)]
    step = max(1, AT_ONCE // bits[0].size)
    for start in range(0, len(bits), step):
        cutoff = _cutoff(kept, channels)
        shares = np.array_split(bits[start : start + step], values.threads)

        def one(item: tuple[NDArray[np.int32], Seen], cutoff: NDArray[np.int32] = cutoff) -> Any:
            share, seen = item
            return count(share, cutoff, seen.largest, seen.positives, seen.histogram)

        for pattern, channel in values.each(one, list(zip(shares, parts, strict=True))):
            for largest in kept:
                largest.offer(pattern, channel)
    values.seen = Seen(
        np.max([part.largest for part in parts], axis=0),
        np.sum([part.positives for part in parts], axis=0),
        np.sum([part.histogram for part in parts], axis=0),
    )


def _cutoff(kept: Sequence[LargestValues], channels: int) -> NDArray[np.int32]:
    """``(channels,)``: the pattern from which somebody wants a channel's values."""
    lowest = np.full(channels, INFINITY)
    for largest in kept:
        lowest = np.minimum(lowest, largest.low + 1)
    return lowest.astype(np.int32)
