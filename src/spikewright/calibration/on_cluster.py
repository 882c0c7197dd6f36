"""A pass of calibration cut into parts that run on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.gathering import Calibration, Counts
from spikewright.calibration.parts import gather_part
from spikewright.cluster import Cluster, for_worker
from spikewright.data import Dataset
from spikewright.data.dataset import keep_digests
from spikewright.graph import Graph
from spikewright.parts import cut


@dataclass(frozen=True)
class Pass:
    """What all parts of a pass share.

    Attributes:
        graph: the folded graph.
        counts: what is counted in this pass, empty yet.
        with_inputs: whether inputs and labels are looked at.
        batch_size: samples that run side by side.
        device: a torch device.
    """

    graph: Graph
    counts: Counts
    with_inputs: bool
    batch_size: int
    device: str


def counted_part(shared: Pass, data: Dataset, start: int) -> tuple[Counts, NDArray[np.uint64]]:
    """Count a part on a worker.

    Args:
        shared: by all parts.
        data: the samples.
        start: the place of the first one in the whole data set.

    Returns:
        what was counted, and the digests of the samples, so that nobody reads them once more.
    """
    counts = deepcopy(shared.counts).fresh(slice(start, start + len(data)), shared.with_inputs)
    gather_part(counts, shared.graph, data, batch_size=shared.batch_size, device=shared.device)
    return counts, data.digests


def count_pass(
    calibration: Calibration,
    cluster: Cluster,
    batch_size: int,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run one pass of a calibration on the workers of a cluster, up to ``Calibration.finish_pass``.

    Args:
        calibration: at the beginning of a pass.
        cluster: the workers.
        batch_size: samples that run side by side.
        device: a torch device.
        progress: called with (samples done, samples in all).

    Raises:
        SpikewrightError: as ``Counts.add``; ClusterError for a cluster that is gone.
    """
    data = calibration.data
    parts = cut(len(data), batch_size)
    shared = Pass(calibration.graph, calibration.counts(), not calibration.passes, batch_size, device)
    done = [0]

    def moved(number: int) -> None:
        done[0] += len(parts[number])
        if progress is not None:
            progress(done[0], len(data))

    def arguments(number: int) -> tuple[Any, ...]:
        part = parts[number]
        return for_worker(data.between(part.start, part.stop), batch_size), part.start

    calls = [lambda n=number: arguments(n) for number in range(len(parts))]
    digests = []
    for found, seen in cluster.each(counted_part, shared, calls, moved):
        calibration.merge(found)
        digests.append(seen)
    keep_digests(data, np.concatenate(digests))
