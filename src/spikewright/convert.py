"""From a trained graph to a spiking one: the passes, the scaling, the neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import GraphError, Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    ChannelAffine,
    GlobalAvgPool,
    GlobalMaxPool,
    Input,
    MaxPool,
    Output,
    ReLU,
    SpikeMaxPool,
)
from spikewright.nodes.spike_max_pool import Policy
from spikewright.passes import (
    Change,
    batch_norm_as_affine,
    drop_final_softmax,
    drop_identities,
    explicit_projections,
    fold_batch_norm_backwards,
    fold_batch_norm_forwards,
    keep_final_softmax,
    pool_globally,
    relu_before_max_pool,
    run_passes,
)

Scales = Mapping[str, NDArray[np.float64]]
"""λ of populations by node name: one number (shape ``()``) or one a channel."""


@dataclass(frozen=True)
class Neurons:
    """What the spiking populations are like.

    Attributes:
        reset: "subtract" keeps what is above the threshold; "zero" loses it.
        max_spikes: per neuron and step: 1 single, None any number, else a cap. Unless it is 1, the λ of a ReLU
            with a ceiling is chosen so that a whole number of spikes is the ceiling, and that number is its cap.
        v_init: initial potential as a fraction of the threshold; 0.5 halves the rounding error.
        v_min: lowest potential as a fraction of the threshold (negative), or None.
        leak: decay of the potential per step; 1 is integrate-and-fire.
        max_pool: how max pooling acts on spikes.
        horizon: timesteps of memory for the policies "exp_max" and "fir_max".
    """

    reset: Literal["subtract", "zero"] = "subtract"
    max_spikes: int | None = 1
    v_init: float = 0.5
    v_min: float | None = None
    leak: float = 1.0
    max_pool: Policy = "count_max"
    horizon: int = 16


def prepare(graph: Graph, *, softmax: Literal["drop", "keep"] = "drop") -> tuple[Graph, tuple[Change, ...]]:
    """The folded graph, which computes what the trained one does with weights that can be scaled.

    Args:
        graph: as a frontend made it.
        softmax: what becomes of a final softmax: dropped, or applied to the readout.

    Returns:
        the folded graph, and what became of the nodes that changed.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
    """
    if softmax not in ("drop", "keep"):
        raise SettingsError(f"softmax must be 'drop' or 'keep', not {softmax!r}")
    folded, changes = run_passes(
        graph,
        (
            drop_identities,
            keep_final_softmax if softmax == "keep" else drop_final_softmax,
            pool_globally,
            relu_before_max_pool,
            fold_batch_norm_backwards,
            fold_batch_norm_forwards,
            batch_norm_as_affine,
            explicit_projections,
        ),
    )
    return folded.with_nodes(folded, softmax=softmax), changes


def normalise(graph: Graph, scales: Scales, *, view: Literal["weights", "thresholds"] = "weights") -> Graph:
    """Scale a folded graph so that one spike stands for λ of its population: still analog, the same function.

    ``W' = W·λ_pre/λ_post`` and ``b' = b/λ_post`` along every projection (Rueckauer et al. 2017, eq. 8); an output
    keeps its scale. With ``view="thresholds"`` the currents keep their unit, ``W' = W·λ_pre`` and ``b' = b``, and λ
    becomes the threshold: the same spikes.

    Args:
        graph: from ``prepare``.
        scales: λ for every ReLU. An Input may have one too (1 where none is given): the network then takes its
            values divided by λ.
        view: where λ_post goes.

    Raises:
        GraphError: for a ReLU without λ, or a λ that is not positive or fits no channel.
    """
    if view not in ("weights", "thresholds"):
        raise SettingsError(f"normalise 'weights' or 'thresholds', not {view!r}")
    lam: dict[str, Array] = {}
    nodes: list[Node] = []
    for node in graph:
        shape = graph.shapes[node.name]
        before = [lam[name] for name in node.inputs]
        if not node.inputs:
            lam[node.name] = _spread(node, scales.get(node.name, np.ones(())), shape)
        elif isinstance(node, ReLU):
            lam[node.name] = _limit(node, _spread(node, _scale_of(node, scales), shape))
            node = _scaled_ceiling(node, before[0])
        elif node.weighted:
            lam[node.name] = _target(graph, node, scales, view)
            node = node.rescale(before[0], lam[node.name])
        else:
            lam[node.name] = node.carry_scale(*before)
        nodes.append(node)
    stated = {n.name: _narrow(lam[n.name]).tolist() for n in graph.of_type(ReLU)}
    return graph.with_nodes(nodes, scales=stated, view=view)


def convert(
    graph: Graph,
    scales: Scales,
    neurons: Neurons | None = None,
    *,
    view: Literal["weights", "thresholds"] = "weights",
    readout: Literal["potential", "count"] = "potential",
    softmax: Literal["drop", "keep"] = "drop",
) -> Graph:
    """Make a spiking graph of a trained one.

    Args:
        graph: as a frontend made it, or already prepared.
        scales: λ of every population, from ``Statistics.scales``; for ``readout="count"`` of the outputs too.
        neurons: what the populations are like.
        view: whether weights or thresholds take the scale.
        readout: "potential": the output layer adds up its input and never fires; a ReLU at the very end goes,
            since it only cuts what is below zero. "count": the output is a population and its spikes are counted.
        softmax: what becomes of a final softmax.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError, SettingsError: for scales or settings outside their domain.
    """
    neurons = neurons or Neurons()
    if readout not in ("potential", "count"):
        raise SettingsError(f"readout must be 'potential' or 'count', not {readout!r}")
    if graph.populations:
        raise GraphError(f"{graph.populations[0]}: is spiking already; convert the trained graph")
    folded, _ = prepare(graph, softmax=softmax)
    folded = _without_final_relu(folded) if readout == "potential" else _with_final_relu(folded)
    if readout == "count":
        scales = {**scales, **_output_scales(folded, scales)}
    if neurons.max_spikes != 1:
        scales = {**scales, **_whole_ceilings(folded, scales, neurons.max_spikes)}
    normalised = normalise(folded, scales, view=view)
    thresholds = {name: np.asarray(value) for name, value in normalised.meta["scales"].items()}
    nodes = [_spiking(node, neurons, thresholds if view == "thresholds" else {}) for node in normalised]
    left = [Problem(n.type, f"'{n.name}'", "it has no spiking form") for n in nodes if isinstance(n, ReLU)]
    if neurons.max_pool != "count_max":
        advice = f"{neurons.max_pool} lets spikes through, and it sees none; use count_max, or put a ReLU before it"
        blind = [pool for pool in normalised.of_type(MaxPool) if not _spikes(normalised, pool)]
        left += [Problem(pool.type, f"'{pool.name}'", advice) for pool in blind]
    if left:
        raise UnsupportedModelError(left)
    ceilings = {n.name: np.asarray(n.ceiling).tolist() for n in normalised.of_type(ReLU) if n.ceiling is not None}
    return normalised.with_nodes(nodes, neurons=asdict(neurons), readout=readout, ceilings=ceilings)


def analog_of(graph: Graph) -> Graph:
    """The analog network that a spiking one stands for: its activations are the rates to be reached.

    Args:
        graph: from ``convert``.
    """
    ceilings: Mapping[str, Any] = graph.meta.get("ceilings", {})
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, IF):
            source = node.inputs[0]
            if not (node.threshold == 1).all():
                source = graph.fresh_name(f"{node.name}_in_thresholds")
                scale = 1 / node.spread(node.threshold, graph.shapes[node.name])
                inverse = np.atleast_1d(_narrow(scale)) + np.zeros(graph.shapes[node.name][:1])
                nodes.append(ChannelAffine(name=source, inputs=node.inputs, scale=inverse, bias=0 * inverse))
            ceiling = np.asarray(ceilings[node.name]) if node.name in ceilings else None
            if ceiling is not None and graph.meta.get("view") == "thresholds":
                ceiling = ceiling / node.threshold
            nodes.append(ReLU(name=node.name, inputs=(source,), ceiling=ceiling))
        elif isinstance(node, SpikeMaxPool):
            windows = {k: getattr(node, k) for k in ("kernel", "stride", "padding", "dilation")}
            nodes.append(MaxPool(name=node.name, inputs=node.inputs, **windows))
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


def fates(graph: Graph, changes: Sequence[Change]) -> dict[str, str]:
    """What conversion does with each node of a trained graph: kept, folded, absorbed, or replaced by what.

    Args:
        graph: as a frontend made it.
        changes: from ``prepare``.
    """
    done = {change.node: change.verb for change in changes if change.verb != "added"}
    found = {}
    for node in graph:
        verb = done.get(node.name, "kept")
        if verb in ("kept", "replaced") and isinstance(node, ReLU):
            verb = "replaced by IF"
        elif verb in ("kept", "replaced") and isinstance(node, MaxPool | GlobalMaxPool):
            verb = "replaced by SpikeMaxPool"
        elif verb == "replaced":
            verb = f"replaced by {'AvgPool' if isinstance(node, GlobalAvgPool) else 'ChannelAffine'}"
        found[node.name] = verb
    return found


def _spiking(node: Node, neurons: Neurons, thresholds: Mapping[str, Array]) -> Node:
    if isinstance(node, ReLU):
        threshold = thresholds.get(node.name, np.ones(()))
        cap = neurons.max_spikes
        if cap != 1 and node.ceiling is not None:
            cap = round(float(np.max(node.ceiling / threshold)))  # whole: see _whole_ceilings
        settings: dict[str, Any] = {
            "name": node.name,
            "inputs": node.inputs,
            "threshold": threshold,
            "v_init": threshold * neurons.v_init,
            "reset": neurons.reset,
            "max_spikes": cap,
            "v_min": None if neurons.v_min is None else neurons.v_min * threshold,
        }
        return IF(**settings) if neurons.leak == 1.0 else LIF(**settings, leak=neurons.leak)
    if type(node) is MaxPool:
        return SpikeMaxPool(
            name=node.name,
            inputs=node.inputs,
            kernel=node.kernel,
            stride=node.stride,
            padding=node.padding,
            dilation=node.dilation,
            policy=neurons.max_pool,
            horizon=neurons.horizon,
        )
    return node


def _target(graph: Graph, node: Node, scales: Scales, view: str) -> Array:
    """λ that the output of a weighted node must have: that of the ReLU it leads to, else one."""
    shape = graph.shapes[node.name]
    name = node.name
    while len(graph.consumers[name]) == 1:
        reader = graph[graph.consumers[name][0]]
        if isinstance(reader, ReLU) and view == "weights":
            return _limit(reader, _spread(reader, _scale_of(reader, scales), shape))
        if not isinstance(reader, Add):
            break
        name = reader.name
    return np.ones(shape)


def _scale_of(node: Node, scales: Scales) -> Array:
    if node.name not in scales:
        raise GraphError(f"{node}: has no scale; calibrate the same graph that is converted")
    return np.asarray(scales[node.name], np.float64)


def _spread(node: Node, scale: Array, shape: Shape) -> Array:
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise GraphError(f"{node}: its scale must be positive and finite, not {scale.min()}")
    if scale.shape not in ((), shape[:1]):
        raise GraphError(f"{node}: a scale of shape {scale.shape} fits neither the layer nor its {shape[0]} channels")
    return np.broadcast_to(scale.reshape(-1, *(1 for _ in shape[1:])), shape)


def _limit(relu: ReLU, scale: Array) -> Array:
    """λ never above the ceiling, so that firing at every step is the clip."""
    ceiling = relu.ceiling
    if ceiling is None:
        return scale
    if isinstance(ceiling, np.ndarray):
        raise GraphError(f"{relu}: its ceiling is already normalised; normalise the folded graph")
    return np.minimum(scale, ceiling)


def _whole_ceilings(graph: Graph, scales: Scales, cap: int | None) -> Scales:
    """λ of populations that may send several spikes a step, so that a whole number of them is the ceiling.

    That number then bounds their spikes, and the clip is exact. It is one for the layer, so λ is too.
    """
    found = {}
    for relu in graph.of_type(ReLU):
        if relu.ceiling is not None:
            wished = _limit(relu, _spread(relu, _scale_of(relu, scales), graph.shapes[relu.name])).max()
            spikes = int(np.ceil(relu.ceiling / wished - 1e-6))
            found[relu.name] = np.asarray(relu.ceiling / (spikes if cap is None else min(spikes, cap)))
    return found


def _spikes(graph: Graph, node: Node) -> bool:
    """Whether what a node reads comes straight from populations or inputs, without weights or sums between."""
    return all(
        isinstance(source, ReLU | Input)
        or (not source.weighted and not isinstance(source, Add) and _spikes(graph, source))
        for source in graph.sources(node)
    )


def _scaled_ceiling(relu: ReLU, unit: Array) -> ReLU:
    """The ceiling in the unit of the current that arrives; ``unit`` is what one unit of it stands for."""
    if relu.ceiling is None:
        return relu
    return relu.replace(ceiling=np.asarray(_narrow(relu.ceiling / unit)))


def _narrow(values: Array) -> Array:
    """One number, or one a channel, where the positions agree."""
    flat = values.reshape(values.shape[0], -1)
    if not (flat == flat[:, :1]).all():
        return values
    column = flat[:, 0]
    return column[0] if (column == column[0]).all() else column


def _without_final_relu(graph: Graph) -> Graph:
    for output in graph.of_type(Output):
        relu = graph.sources(output)[0]
        while isinstance(relu, ChannelAffine) and (relu.scale == 1).all() and not relu.bias.any():
            relu = graph.sources(relu)[0]
        if isinstance(relu, ReLU) and relu.ceiling is None and len(graph.consumers[relu.name]) == 1:
            graph = graph.without(relu.name)
    return explicit_projections(graph)


def _with_final_relu(graph: Graph) -> Graph:
    for output in graph.of_type(Output):
        source = graph.sources(output)[0]
        feeds = graph.sources(source)[0] if isinstance(source, ChannelAffine) else source
        if not isinstance(feeds, ReLU):
            graph = graph.inserted(
                ReLU(name=graph.fresh_name(f"{output.name}_spikes"), inputs=(source.name,)), output.name
            )
    return explicit_projections(graph)


def _output_scales(graph: Graph, scales: Scales) -> Scales:
    """λ of output populations, one number each, so that the order of the classes stays as it is."""
    found = {}
    for output in graph.of_type(Output):
        projection = graph.sources(output)[0]
        population = graph.sources(projection)[0]
        given = scales.get(population.name, scales.get(output.name))
        if given is None:
            raise GraphError(f"{output}: counting spikes needs a scale for the output; calibrate with outputs")
        found[population.name] = np.asarray(np.max(given))
    return found
