"""A window as one step: the same network with neurons that send all at once what they would tell in a window."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.engines.windows.layout import schedule_of
from spikewright.engines.windows.trains import levels_of
from spikewright.errors import SettingsError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, BatchNorm, ChannelAffine, Output


def one_step(graph: Graph, timesteps: int) -> Graph:
    """The graph one step of which does what a network does in windows of T steps.

    With S units to λ (``levels_of``: T for "layered", ``2^T`` for "few_spike") it takes S times the mean input of a
    step and has S times the biases; its neurons send the whole number that they tell in a window; its outputs give S
    times the mean that arrives in a step, without their activation. So all of it is exact but for rounding.

    Args:
        graph: a spiking graph of one schedule, "layered" or "few_spike".
        timesteps: T.

    Raises:
        SettingsError: for a graph that runs free or has several schedules.
    """
    schedule = schedule_of(graph)
    if schedule == "free":
        raise SettingsError("a network whose neurons run free has no windows that could be one step")
    units, most = levels_of(schedule, timesteps)
    return graph.with_nodes(_stepped(node, units, most) for node in graph)


def _stepped(node: Node, units: int, most: int) -> Node:
    if isinstance(node, IF):
        return node.replace(schedule="free", max_spikes=most)
    if isinstance(node, Output):
        return node.replace(activation=None, ceiling=None, axis=0, scalar=False)
    if isinstance(node, BatchNorm):
        node = ChannelAffine(name=node.name, inputs=node.inputs, scale=node.scale, bias=node.shift)
    bias: Any = getattr(node, "bias", None)
    return node.replace(bias=bias.astype(np.float64) * units) if isinstance(bias, np.ndarray) else node
