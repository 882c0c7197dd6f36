"""What one event stands for at every node that the events of an input reach unweighted."""

from __future__ import annotations

from spikewright.encoders import Encoder
from spikewright.graph import Graph
from spikewright.nodes import IF, Output, SpikeMaxPool


def event_units(graph: Graph, encoder: Encoder) -> dict[str, float]:
    """The unit of what each node sends; the value of an event of an input, as far as nothing weighs it, else 1.

    Between an input and the first weights all is linear without a shift, so that a network that is given events of 1
    does the same once its first weights are multiplied by the unit: events are events, whatever they stand for.
    Where inputs of different units meet, or a pool sends what it is sent, the unit is 1 everywhere.

    Args:
        graph: a spiking graph.
        encoder: fitted to it.
    """
    if all(value == 1 for value in encoder.event_values.values()):
        return {node.name: 1.0 for node in graph}
    units: dict[str, float] = {}
    for node in graph:
        given = {units[name] for name in node.inputs}
        if not node.inputs:
            units[node.name] = encoder.event_values.get(node.name, 1.0)
        elif node.weighted or node.arrays or isinstance(node, IF | Output):
            units[node.name] = 1.0
        elif len(given) > 1 or (isinstance(node, SpikeMaxPool) and given != {1.0}):
            return {node.name: 1.0 for node in graph}
        else:
            units[node.name] = given.pop()
    return units
