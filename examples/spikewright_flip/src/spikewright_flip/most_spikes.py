"""The most spikes that any one sample takes: what a chip must be able to carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikewright.engines import BatchRun, Run
from spikewright.graph import Graph
from spikewright.measures.base import Measure, MeasureResult

if TYPE_CHECKING:
    from torch import Tensor


class MostSpikes(Measure):
    """Spikes over all timesteps of the sample that has most, in the network and in each population."""

    def __init__(self, graph: Graph, timesteps: int) -> None:
        super().__init__(graph, timesteps)
        self.network = 0.0
        self.populations: dict[str, float] = {}

    def see(self, x: Tensor, run: BatchRun) -> None:
        by_sample = {name: counts.double().flatten(1).sum(1) for name, counts in run.counts.items()}
        self.network = max(self.network, float(sum(by_sample.values()).max()))
        for name, spikes in by_sample.items():
            self.populations[name] = max(self.populations.get(name, 0.0), float(spikes.max()))

    def result(self, run: Run) -> MeasureResult:
        return MeasureResult("most spikes of a sample", self.network, self.populations)
