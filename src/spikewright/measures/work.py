"""The work that a run took: spikes and synaptic operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikewright.encoders import Encoder
from spikewright.encoders.constant import Constant
from spikewright.engines import Run
from spikewright.graph import Graph
from spikewright.measures.synops import SynOps, synops
from spikewright.nodes import Input


@dataclass(frozen=True)
class Work:
    """What a run took, per sample over all timesteps.

    Attributes:
        synops: by layer.
        firing_rate: spikes per neuron and timestep over the whole network.
    """

    synops: Mapping[str, SynOps]
    firing_rate: float

    @property
    def total_synops(self) -> float:
        """Synaptic operations: of spikes, and of values handed on without neurons between."""
        return sum(layer.total for layer in self.synops.values())


def work_of(graph: Graph, run: Run, encoder: Encoder) -> Work:
    """The work that a run took.

    Args:
        graph: the spiking graph.
        run: with "nonzero" recorded.
        encoder: of the run; all but the constant one send events.
    """
    counts = {name: total / run.samples for name, total in run.sent.items()}
    spikes = sum(float(total.sum()) for total in counts.values())
    neurons = sum(total.size for total in counts.values())
    if not isinstance(encoder, Constant):
        counts |= {node.name: run.nonzero[node.name] / run.samples for node in graph.of_type(Input)}
    active = {name: steps / run.samples for name, steps in run.nonzero.items()}
    rate = spikes / (max(neurons, 1) * run.mean_steps)
    return Work(synops(graph, counts, active, run.timesteps), rate)
