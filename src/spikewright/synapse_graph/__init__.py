"""The synapse graph of a spiking network: one row a synapse, at any scale."""

from spikewright.synapse_graph.paths import Group
from spikewright.synapse_graph.projection import Projection
from spikewright.synapse_graph.stream import Synapses, synapses

__all__ = ["Group", "Projection", "Synapses", "synapses"]
