"""One look of the native core at a batch: what every calibration counts of activations, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.requests import _native
from spikewright.calibration.requests._largest import LargestValues
from spikewright.calibration.requests.float_bits import INFINITY, patterns
from spikewright.calibration.requests.request import Seen, Values

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 1 << 21
"""Values that are looked at before those that are kept are looked through."""


def can_rectify(x: Tensor) -> bool:
    """Whether ``look_at`` can rectify a batch in its place."""
    import torch

    there = _native.module() is not None and x.device.type == "cpu"
    return there and x.dtype == torch.float32 and x.is_contiguous() and x.numel() > 0


def look_at(values: Values, kept: Sequence[LargestValues], before: int = 0, rectify: bool = False) -> None:
    """Count a batch ``(B, C, ...)`` in one look, where the native core can, and offer the largest values to ``kept``.

    Args:
        values: the batch.
        kept: who wants the largest of them.
        before: how many values of this population they have seen.
        rectify: whether the batch is rectified in its place first, where ``can_rectify`` says so.
    """
    native = _native.module()
    if native is None or values.given.device.type != "cpu" or not values.count:
        return
    count, bits = native.rectify if rectify else native.count, patterns(values.rows).numpy()
    channels = bits.shape[1]
    parts = [Seen.nothing(channels) for _ in range(values.threads)]
    start = 0
    while start < len(bits):
        cutoff = _cutoff(kept, channels)
        # While little was seen, most of what comes is among the largest: looked at in small pieces, less has to be
        # kept until it is clear that others are larger.
        most = max(before + start * bits[0].size, *(2 * largest.room for largest in kept)) if kept else AT_ONCE
        step = max(1, int(min(most, AT_ONCE)) // bits[0].size)
        shares = np.array_split(bits[start : start + step], values.threads)

        def one(item: tuple[NDArray[np.int32], Seen], cutoff: NDArray[np.int32] = cutoff) -> Any:
            share, seen = item
            return count(share, cutoff, seen.largest, seen.positives, seen.histogram)

        for pattern, channel in values.each(one, list(zip(shares, parts, strict=True))):
            for largest in kept:
                largest.offer(pattern, channel)
        start += step
    values.seen = (
        parts[0]
        if len(parts) == 1
        else Seen(
            np.max([part.largest for part in parts], axis=0),
            np.sum([part.positives for part in parts], axis=0),
            np.sum([part.histogram for part in parts], axis=0),
        )
    )


def _cutoff(kept: Sequence[LargestValues], channels: int) -> NDArray[np.int32]:
    """``(channels,)``: the pattern from which somebody wants a channel's values."""
    lowest = np.full(channels, INFINITY)
    for largest in kept:
        lowest = np.minimum(lowest, largest.low + 1)
    return lowest.astype(np.int32)
