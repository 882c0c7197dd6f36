"""The synapse graph of a spiking network: one row a synapse, at any scale."""

from spikewright.synapse_graph.cuts import Cut, cut
from spikewright.synapse_graph.graph import Synapses, synapses
from spikewright.wiring import Group, Projection

__all__ = ["Cut", "Group", "Projection", "Synapses", "cut", "synapses"]
