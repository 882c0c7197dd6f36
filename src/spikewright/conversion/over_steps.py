"""A spiking network whose input comes once a frame, over many timesteps: a bias acts once a frame too.

A network that was trained on frames adds ``W·frame + b`` once for each. Where a frame comes event by event over S
timesteps, ``b/S`` at each of them adds up to the same. Written in the unit of the frames: an event of the input stands
for S times as much, and a spike of every population for S·λ, so that over the S steps the mean input is the frame, and
the mean of what outputs receive is the trained network's answer; each population sends a/λ spikes a frame, not a step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikewright.conversion.value import Conversion
from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Add, Input


def conversion_over_steps(conversion: Conversion, steps: float) -> Conversion:
    """A conversion whose λ are those of so many steps a frame: see ``over_steps``."""
    inputs = {node.name for node in conversion.folded.of_type(Input)}
    scales = {name: value if name in inputs else value * steps for name, value in conversion.scales.items()}
    return replace(conversion, scales=scales, spiking=over_steps(conversion.spiking, steps), made=None)


def over_steps(graph: Graph, steps: float) -> Graph:
    """A spiking graph whose biases act once in S steps.

    Args:
        graph: spiking.
        steps: S, above 0; no whole number where frames and timesteps do not fit.

    Raises:
        SettingsError: for neurons that exchange window by window, or whose biases are those of single steps.
        GraphError: where values of a population and of an input meet without weights between.
    """
    for neuron in graph.of_type(IF):
        if neuron.schedule != "free":
            raise SettingsError(f"{neuron}: {neuron.schedule} neurons send window by window, not when events come")
        if neuron.step_bias is not None or neuron.fired_bias is not None:
            raise SettingsError(f"{neuron}: its biases were corrected step by step; convert without that for events")
    units: dict[str, float] = {}
    nodes: list[Node] = []
    for node in graph:
        before = {units[name] for name in node.inputs}
        if isinstance(node, IF):
            units[node.name] = steps
        elif not before:
            units[node.name] = 1.0
        elif node.weighted:
            (given,), wanted = before, steps if _reaches_neurons(graph, node) else 1.0
            shapes = graph.input_shapes(node)[0], graph.shapes[node.name]
            node = node.rescale(np.full(shapes[0], given), np.full(shapes[1], wanted))
            units[node.name] = wanted
        elif len(before) > 1:
            raise GraphError(f"{node}: what it reads has no common unit over the steps of a frame")
        else:
            units[node.name] = before.pop()
        nodes.append(node)
    return graph.with_nodes(nodes)


def back_over_steps(changed: Graph, before: Graph, steps: float) -> Graph:
    """What was changed of a network over S steps, corrected or trained, in the network that it was made of.

    Args:
        changed: ``over_steps(before, steps)`` with some nodes exchanged.
        before: as it was; what nobody exchanged is taken from it, bit for bit.
        steps: S.

    Raises:
        SettingsError: for biases of single steps.
    """
    spread = over_steps(before, steps).by_name
    found = over_steps(changed, 1 / steps)
    same = {node.name for node in changed if node.alike(spread.get(node.name))}
    return found.with_nodes([before[node.name] if node.name in same else node for node in found])


def _reaches_neurons(graph: Graph, node: Node) -> bool:
    """Whether what a weighted node gives is the current of neurons, alone or in a sum."""
    name = node.name
    while len(graph.consumers[name]) == 1:
        reader = graph[graph.consumers[name][0]]
        if isinstance(reader, IF):
            return True
        if not isinstance(reader, Add):
            break
        name = reader.name
    return False
