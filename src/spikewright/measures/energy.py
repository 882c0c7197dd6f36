"""An estimate of energy from counts of operations: arithmetic only, no memory, no chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikewright.graph import Graph
from spikewright.measures.synops import SynOps


@dataclass(frozen=True)
class Energy:
    """Constants of 32-bit floating-point arithmetic at 45 nm (Horowitz, ISSCC 2014), in picojoules.

    Attributes:
        mac: one multiply-accumulate.
        ac: one accumulate.
    """

    mac: float = 4.6
    ac: float = 0.9

    def analog(self, graph: Graph) -> float:
        """The energy of one sample through an analog network, in nanojoules: every multiply-accumulate."""
        return sum(graph.macs(node) for node in graph) * self.mac / 1000

    def spiking(self, layers: Mapping[str, SynOps], timesteps: float) -> float:
        """The energy of one sample through a spiking network, in nanojoules.

        Spikes cost accumulates. Values that layers without neurons hand on cost multiply-accumulates, and an analog
        input those of its layer at every timestep.

        Args:
            layers: synaptic operations per sample over all timesteps.
            timesteps: T; of samples of different length the mean.
        """
        spikes = sum(layer.spikes for layer in layers.values())
        inputs = sum(layer.input_connections for layer in layers.values())
        relayed = sum(layer.relayed for layer in layers.values())
        return (spikes * self.ac + (relayed + inputs * timesteps) * self.mac) / 1000

    def by_layer(self, layers: Mapping[str, SynOps], timesteps: float) -> dict[str, dict[str, float]]:
        """The parts of ``spiking`` by layer: what "spikes", "relayed values" and "the analog input" cost, nanojoules.

        Args:
            layers: as of ``spiking``.
            timesteps: as of ``spiking``.
        """
        return {
            name: {
                "spikes": one.spikes * self.ac / 1000,
                "relayed values": one.relayed * self.mac / 1000,
                "the analog input": one.input_connections * timesteps * self.mac / 1000,
            }
            for name, one in layers.items()
        }
