"""A pass of calibration cut into parts: that run on the workers of a cluster, or are kept so that it can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.calibration.gathering import Calibration, Counts
from spikewright.calibration.parts import gather_part
from spikewright.calibration.score import StreamScoring
from spikewright.cluster import Cluster, each_part, in_order_only
from spikewright.data import Dataset
from spikewright.data.dataset import keep_digests
from spikewright.graph import Graph
from spikewright.parts import Checkpoint, Part, Stage, cut, fingerprint_of_run
from spikewright.parts.cutting import MOST


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


class Going:
    """A calibration whose passes run in parts.

    Args:
        calibration: at the beginning.
        batch_size: samples that run side by side.
        device: a torch device.
        cluster: workers that run the parts; None for this process.
        checkpoint: where what was counted is kept, and gone on from; None keeps nothing.
        settings: of the calibration, for the checkpoint.

    Raises:
        SettingsError: to go on with another network, other data or settings.
    """

    def __init__(
        self,
        calibration: Calibration,
        batch_size: int,
        device: str,
        cluster: Cluster | None,
        checkpoint: Checkpoint | None,
        **settings: Any,
    ) -> None:
        self.calibration, self.batch_size, self.device = calibration, batch_size, device
        self.cluster, self.done = cluster, 0
        self.digests: list[NDArray[np.uint64]] = []
        self.stage: Stage | None = None
        if checkpoint is None:
            return
        told = {**settings, "batch size": batch_size, "device": device}
        form = calibration.data.form  # which samples it is of is known when they are read
        self.stage = checkpoint.stage("calibrating", fingerprint_of_run(calibration.graph.fingerprint, form, **told))
        if self.stage.state is not None:
            passes, self.done, counted, digests = self.stage.state
            self.digests = [digests]
            seen = calibration.data.between(0, len(digests)).digests
            if len(seen) != len(digests) or (seen != digests).any():
                raise self.stage.differs("other data")
            _restore(calibration, passes, counted)
            if passes:
                keep_digests(calibration.data, digests.copy())

    def run_pass(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Run a pass, or what is left of it, up to ``Calibration.finish_pass``.

        Args:
            progress: called with (samples done, samples in all).

        Raises:
            SpikewrightError: as ``Counts.add``; ClusterError for a cluster that is gone.
        """
        calibration, data = self.calibration, self.calibration.data
        at_once = 1 if in_order_only(data) and self.cluster is None else MOST
        parts = cut(len(data), self.batch_size, at_once, self.done)
        for part, (found, seen) in zip(parts, self._counted(parts, progress), strict=True):
            calibration.merge(found)
            self.done = part.stop
            if not calibration.passes:
                self.digests.append(seen)
            if self.stage is not None:
                self.stage.keep(self._state, self.done, len(data), now=self.done == len(data))
        if not calibration.passes:
            keep_digests(data, np.concatenate(self.digests))
        self.done = 0

    def _state(self) -> Any:
        return self.calibration.passes, self.done, _counted(self.calibration), np.concatenate(self.digests)

    def _counted(
        self, parts: Sequence[Part], progress: Callable[[int, int], None] | None
    ) -> Iterator[tuple[Counts, NDArray[np.uint64]]]:
        """What was counted of each part, and the digests of its samples."""
        calibration, data, samples = self.calibration, self.calibration.data, len(self.calibration.data)
        if self.cluster is not None:
            shared = Pass(calibration.graph, calibration.counts(), not calibration.passes, self.batch_size, self.device)
            yield from each_part(self.cluster, counted_part, shared, data, parts, self.batch_size, progress=progress)
            return
        forward = calibration.forward(self.device)
        for part in parts:
            some = data.between(part.start, part.stop)
            counts = calibration.counts(part.start, len(part))
            move = None if progress is None else lambda count, _, b=part.start: progress(b + count, samples)
            counts.add(forward, some, self.batch_size, move)
            yield counts, some.digests if not calibration.passes else np.zeros(0, np.uint64)


def _counted(calibration: Calibration) -> Any:
    """What all passes have counted so far, for ``_restore``."""
    counts = calibration.merged
    scoring = counts.scoring.counts, counts.scoring.done, getattr(counts.scoring, "targets", None)
    return counts.populations, counts.inputs, counts.samples, scoring


def _restore(calibration: Calibration, passes: int, counted: Any) -> None:
    """Let a calibration go on from what another one of the same settings has counted in so many passes and a bit."""
    counts, calibration.passes = calibration.merged, passes
    counts.populations, counts.inputs, counts.samples, (scores, done, targets) = counted
    counts.scoring.counts, counts.scoring.done = scores, done
    if isinstance(counts.scoring, StreamScoring):
        counts.scoring.targets = targets
