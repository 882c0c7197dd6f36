"""The wiring of a network: groups of neurons, and the paths and projections between them.

All of it follows from what each node says of itself, ``moves`` or ``connections``; whoever needs to know what lies
between two populations (the stream of synapses, the picture of a network, a mapping to a chip) reads it here.
"""

from spikewright.wiring.group import Group, Kind, Pools, has_neurons
from spikewright.wiring.path import Path, groups, groups_and_paths, paths
from spikewright.wiring.projection import Projection, named, projections
from spikewright.wiring.segment import Segment, ends, segments

__all__ = [
    "Group",
    "Kind",
    "Path",
    "Pools",
    "Projection",
    "Segment",
    "ends",
    "groups",
    "groups_and_paths",
    "has_neurons",
    "named",
    "paths",
    "projections",
    "segments",
]
