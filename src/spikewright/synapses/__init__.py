"""The synapse graph of a spiking network: one row a synapse, at any scale."""

from spikewright.synapses.paths import Group
from spikewright.synapses.projection import Projection
from spikewright.synapses.stream import Synapses, synapses

__all__ = ["Group", "Projection", "Synapses", "synapses"]
