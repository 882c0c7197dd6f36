"""Parts of the stream of synapses: stretches of a projection, each of which one file holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikewright.wiring import Projection


@dataclass(frozen=True)
class ProjectionPart:
    """A stretch of a projection that one file holds.

    Attributes:
        first, last: of the output positions along the first axis; 0 and 1 where there is no axis.
        low, high: of the input channels of each group.
        rows: how many synapses.
    """

    first: int
    last: int
    low: int
    high: int
    rows: int


def parts_of(projection: Projection, rows: int) -> tuple[ProjectionPart, ...]:
    """Cut into stretches of about so many synapses: of output positions, then of input channels."""
    channels = projection.connections.channels[0]
    per_position = (projection.arriving * projection.leaving).sum(axis=0)
    along = per_position.reshape(per_position.shape[0] if per_position.ndim else 1, -1).sum(axis=1)
    found: list[ProjectionPart] = []
    first = 0
    ends = np.cumsum(along)
    while first < len(along):
        start = int(ends[first] - along[first])
        last = max(int(np.searchsorted(ends, start + rows, side="right")), first + 1)
        total = int(ends[last - 1]) - start
        cuts = min(-(-total // rows), channels) if last == first + 1 and projection.path.before is None else 1
        for cut in range(max(cuts, 1)):
            low, high = cut * channels // max(cuts, 1), (cut + 1) * channels // max(cuts, 1)
            share = total if cuts <= 1 else total // channels * (high - low)
            if share:
                found.append(ProjectionPart(first, last, low, high, share))
        first = last
    return tuple(found)
