"""Take out what does nothing at inference: dropout, noise, identities."""

from __future__ import annotations

from spikewright.graph import Graph
from spikewright.nodes import Identity
from spikewright.passes.rewrite import rewrite


@rewrite("absorbed", into="before", stage="recognise", after=("scalars_as_rows",))
def drop_identities(graph: Graph) -> Graph:
    """Take out nodes that do nothing when a trained network is used: dropout, noise, identities."""
    return graph.without(*(node.name for node in graph.of_type(Identity)))
