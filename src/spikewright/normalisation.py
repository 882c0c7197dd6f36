"""The scaling rules: one spike of every population comes to stand for its λ, and the function stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError, SettingsError
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import Add, Input, ReLU

Scales = Mapping[str, NDArray[np.float64]]
"""λ of populations by node name: one number (shape ``()``) or one a channel."""


def normalise(graph: Graph, scales: Scales, *, view: Literal["weights", "thresholds"] = "weights") -> Graph:
    """Scale a folded graph so that one spike stands for λ of its population: still analog, the same function.

    ``W' = W·λ_pre/λ_post`` and ``b' = b/λ_post`` along every projection (Rueckauer et al. 2017, eq. 8); an output
    keeps its scale. With ``view="thresholds"`` the currents keep their unit, ``W' = W·λ_pre`` and ``b' = b``, and λ
    becomes the threshold: the same spikes.

    Args:
        graph: from ``prepare``.
        scales: λ for every ReLU. An Input may have one too: what one of its events stands for, which is stored in the
            node; the network takes its values as they are.
        view: where λ_post goes.

    Raises:
        GraphError: for a ReLU without λ, or a λ that is not positive or fits no channel.
    """
    lam = value_scales(graph, scales, view=view)
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, Input) and node.name in scales:
            node = node.replace(event_value=_event_value(node, scales))
        elif isinstance(node, ReLU):
            node = _scaled_ceiling(node, lam[node.inputs[0]])
        elif node.inputs and node.weighted:
            node = node.rescale(lam[node.inputs[0]], lam[node.name])
        nodes.append(node)
    return graph.with_nodes(nodes)


def value_scales(
    graph: Graph, scales: Scales, *, view: Literal["weights", "thresholds"] = "weights"
) -> dict[str, Array]:
    """What one unit of every value of a normalised graph stands for, by node, in the shape of the node's output.

    Args:
        graph: from ``prepare``.
        scales: λ for every ReLU.
        view: where λ goes, as of ``normalise``.

    Raises:
        GraphError: as ``normalise``.
    """
    if view not in ("weights", "thresholds"):
        raise SettingsError(f"normalise 'weights' or 'thresholds', not {view!r}")
    lam: dict[str, Array] = {}
    for node in graph:
        shape = graph.shapes[node.name]
        before = [lam[name] for name in node.inputs]
        if not node.inputs:
            lam[node.name] = np.ones(shape)
        elif isinstance(node, ReLU):
            lam[node.name] = lambda_of(node, scales, shape)
        elif node.weighted:
            lam[node.name] = _target(graph, node, scales, view)
        else:
            carried = node.carry_scale(*before)
            if carried is None:
                raise GraphError(f"{node}: a {node.type} cannot pass a scale on")
            lam[node.name] = carried
    return lam


def _event_value(node: Input, scales: Scales) -> float:
    """λ of an input: one number, as its events differ in nothing."""
    scale = scale_of(node, scales)
    if scale.size != 1 or not (np.isfinite(scale).all() and (scale > 0).all()):
        raise GraphError(f"{node}: its scale must be one positive and finite number, not {str(scale)[:40]}")
    return float(scale.item())


def lambda_of(relu: ReLU, scales: Scales, shape: Shape) -> Array:
    """λ of every neuron of a population, in the shape of a sample: never above its ceiling."""
    return within_ceiling(relu, spread_scale(relu, scale_of(relu, scales), shape))


def scale_of(node: Node, scales: Scales) -> Array:
    """λ of a node, ``()`` or ``(channels,)``.

    Raises:
        GraphError: if there is none.
    """
    if node.name not in scales:
        raise GraphError(f"{node}: has no scale; calibrate the same graph that is converted")
    return np.asarray(scales[node.name], np.float64)


def spread_scale(node: Node, scale: Array, shape: Shape) -> Array:
    """λ in the shape of a node.

    Raises:
        GraphError: if it is not positive and finite, or of another shape than ``()`` and ``(channels,)``.
    """
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise GraphError(f"{node}: its scale must be positive and finite, not {scale.min()}")
    if scale.shape not in ((), shape[:1]):
        raise GraphError(f"{node}: a scale of shape {scale.shape} fits neither the layer nor its {shape[0]} channels")
    return np.broadcast_to(scale.reshape(-1, *(1 for _ in shape[1:])), shape)


def within_ceiling(relu: ReLU, scale: Array) -> Array:
    """λ never above the ceiling, so that firing at every step is the clip.

    Of trained levels it may be one level above: few-spike neurons reach one unit less than λ (see ``one_level_above``).
    """
    ceiling = relu.ceiling
    if ceiling is None:
        return scale
    if isinstance(ceiling, np.ndarray):
        raise GraphError(f"{relu}: its ceiling is already normalised; normalise the folded graph")
    return np.minimum(scale, ceiling if relu.levels is None else one_level_above(ceiling, relu.levels))


def one_level_above(ceiling: float, levels: int) -> float:
    """One trained level above the ceiling: ``ceiling·(levels + 1)/levels``.

    With ``levels = 2^K − 1`` it is the λ of few-spike neurons that tell the trained levels in K steps: a unit is
    ``λ/2^K = ceiling/levels``, and the highest number is ``2^K − 1``.
    """
    return ceiling * (levels + 1) / levels


def narrowed(values: Array) -> Array:
    """One number, or one a channel, where the positions agree."""
    flat = values.reshape(values.shape[0], -1)
    if not (flat == flat[:, :1]).all():
        return values
    column = flat[:, 0]
    return column[0] if (column == column[0]).all() else column


def _target(graph: Graph, node: Node, scales: Scales, view: str) -> Array:
    """λ that the output of a weighted node must have: that of the ReLU it leads to, else one."""
    shape = graph.shapes[node.name]
    name = node.name
    while len(graph.consumers[name]) == 1:
        reader = graph[graph.consumers[name][0]]
        if isinstance(reader, ReLU) and view == "weights":
            return lambda_of(reader, scales, shape)
        if not isinstance(reader, Add):
            break
        name = reader.name
    return np.ones(shape)


def _scaled_ceiling(relu: ReLU, unit: Array) -> ReLU:
    """The ceiling in the unit of the current that arrives; ``unit`` is what one unit of it stands for."""
    if relu.ceiling is None:
        return relu
    return relu.replace(ceiling=np.asarray(narrowed(relu.ceiling / unit)))
