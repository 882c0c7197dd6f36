"""From a trained graph to a spiking one: the passes, the scaling, the neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from spikewright.errors import GraphError, Problem, SettingsError, UnsupportedModelError
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    ChannelAffine,
    GlobalAvgPool,
    GlobalMaxPool,
    Input,
    LeakyReLU,
    MaxPool,
    Output,
    ReLU,
    SpikeMaxPool,
)
from spikewright.nodes.spike_max_pool import Policy
from spikewright.normalisation import Scales, lambda_of, narrowed, normalise
from spikewright.passes import Change, explicit_projections
from spikewright.preparation import prepare
from spikewright.settings import check_choices, check_fields

NO_NEGATIVE_COUNTS = (
    "counts of spikes (readout='count') are never negative, and it needs values that are; take readout='potential', "
    "or answer='drop' (--answer drop), which leaves it away"
)


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

    def __post_init__(self) -> None:
        check_fields(self)
        for label, good, domain in (
            ("max_spikes", self.max_spikes is None or self.max_spikes >= 1, "1 or more, or None"),
            ("v_min", self.v_min is None or self.v_min <= 0, "0 or below, or None"),
            ("leak", 0 <= self.leak <= 1, "in [0, 1]"),
            ("horizon", self.horizon >= 1, "1 timestep or more"),
        ):
            if not good:
                raise SettingsError(f"Neurons: {label} must be {domain}, not {getattr(self, label)}")


def convert(
    graph: Graph,
    scales: Scales,
    neurons: Neurons | None = None,
    *,
    view: Literal["weights", "thresholds"] = "weights",
    readout: Literal["potential", "count"] = "potential",
    answer: Literal["keep", "drop"] = "keep",
    leaky: Literal["refuse", "split"] = "refuse",
) -> Graph:
    """Make a spiking graph of a trained one.

    Args:
        graph: as a frontend made it, or already prepared.
        scales: λ of every population, from ``Statistics.scales``; for ``readout="count"`` of the outputs too. λ of an
            input is what one event of the Poisson encoder stands for (``Input.event_value``).
        neurons: what the populations are like.
        view: whether weights or thresholds take the scale.
        readout: "potential": the output layer adds up its input and never fires. "count": the output is a population
            and its spikes are counted, so that no answer is below zero, nor above the ceiling of a final ReLU.
        answer: what becomes of the activation that the network ends in: "keep" applies it to the readout at every
            timestep, "drop" leaves it away; see ``prepare``.
        leaky: what becomes of leaky rectifiers.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError, SettingsError: for scales or settings outside their domain.
    """
    if not isinstance(scales, Mapping):
        raise SettingsError(f"scales are λ by population, from calibrate(...).scales(method), not {repr(scales)[:40]}")
    neurons = neurons or Neurons()
    check_choices(
        neurons=(neurons, Neurons),
        view=(view, Literal["weights", "thresholds"]),
        readout=(readout, Literal["potential", "count"]),
    )
    if graph.populations:
        raise GraphError(f"{graph.populations[0]}: is spiking already; convert the trained graph")
    folded, _ = prepare(graph, answer=answer, leaky=leaky)
    if readout == "count":
        folded = _with_final_relu(folded)
        scales = {**scales, **_output_scales(folded, scales)}
    scales = {**scales, **_fitted_to_ceilings(folded, scales, neurons.max_spikes)}
    normalised = normalise(folded, scales, view=view)
    thresholds = {name: np.asarray(value) for name, value in normalised.meta["scales"].items()}
    nodes = [_spiking(node, neurons, thresholds if view == "thresholds" else {}) for node in normalised]
    _check_magnitudes(nodes)
    left = [Problem(n.type, f"'{n.name}'", "it has no spiking form") for n in nodes if isinstance(n, ReLU)]
    if neurons.max_pool != "count_max":
        advice = f"{neurons.max_pool} lets spikes through, and it sees none; use count_max, or put a ReLU before it"
        blind = [pool for pool in normalised.of_type(MaxPool) if not _spikes(normalised, pool)]
        left += [Problem(pool.type, f"'{pool.name}'", advice) for pool in blind]
    if left:
        raise UnsupportedModelError(left)
    ceilings = {n.name: np.asarray(n.ceiling).tolist() for n in normalised.of_type(ReLU) if n.ceiling is not None}
    levels = {n.name: [n.levels, n.shift] for n in normalised.of_type(ReLU) if n.levels is not None}
    return normalised.with_nodes(nodes, neurons=asdict(neurons), readout=readout, ceilings=ceilings, levels=levels)


LARGEST = 1e28
"""Of a weight or bias: a million of them over ten thousand timesteps add up to less than the largest float32."""


def _check_magnitudes(nodes: Sequence[Node]) -> None:
    """Refuse weights whose sums would overflow, where every engine would do so in another place."""
    for node in nodes:
        for label, array in node.arrays.items():
            if array.size and np.abs(array).max() > LARGEST:
                raise GraphError(
                    f"{node}: {label} reaches {np.abs(array).max():.3g} once scaled, and sums of it would overflow; "
                    "check the trained weights and the calibration data"
                )


def analog_of(graph: Graph) -> Graph:
    """The analog network that a spiking one stands for: its activations are the rates to be reached.

    Args:
        graph: from ``convert``.

    Raises:
        GraphError: for thresholds that differ within a channel, which no analog network here can stand for, and for
            a record of ceilings that does not fit.
    """
    ceilings: Mapping[str, Any] = graph.meta.get("ceilings", {})
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, IF):
            source, shape = node.inputs[0], graph.shapes[node.name]
            if not (node.threshold == 1).all():
                source = graph.fresh_name(f"{node.name}_in_thresholds")
                scale = narrowed(1 / node.spread(node.threshold, shape))
                if scale.ndim > 1:
                    raise GraphError(f"{node}: its thresholds differ within a channel; no analog network stands for it")
                inverse = np.atleast_1d(scale) + np.zeros(shape[:1])
                nodes.append(ChannelAffine(name=source, inputs=node.inputs, scale=inverse, bias=0 * inverse))
            ceiling = np.asarray(ceilings[node.name]) if node.name in ceilings else None
            if ceiling is not None and ceiling.shape not in ((), shape[:1], shape):
                raise GraphError(
                    f"{node}: its recorded ceiling {ceiling.shape} does not fit; convert the network again"
                )
            if ceiling is not None and graph.meta.get("view") == "thresholds":
                ceiling = np.asarray(narrowed(node.spread(ceiling, shape) / node.spread(node.threshold, shape)))
            levels, shift = graph.meta.get("levels", {}).get(node.name, (None, 0.0))
            nodes.append(ReLU(name=node.name, inputs=(source,), ceiling=ceiling, levels=levels, shift=shift))
        elif isinstance(node, SpikeMaxPool):
            windows = {k: getattr(node, k) for k in ("kernel", "stride", "padding", "dilation")}
            nodes.append(MaxPool(name=node.name, inputs=node.inputs, **windows))
        else:
            nodes.append(node)
    return graph.with_nodes(nodes)


def fates(graph: Graph, changes: Sequence[Change]) -> dict[str, str]:
    """What conversion does with each node of a trained graph: kept, folded, absorbed, replaced by what, applied to the
    readout, or dropped.

    Args:
        graph: as a frontend made it.
        changes: from ``prepare``.
    """
    done = {change.node: change.verb for change in changes if change.verb != "added"}
    found = {}
    for node in graph:
        verb = done.get(node.name, "kept")
        if verb == "applied":
            verb = "applied to the readout"
        elif verb in ("kept", "replaced") and isinstance(node, ReLU):
            verb = "replaced by IF"
        elif verb in ("kept", "replaced") and isinstance(node, MaxPool | GlobalMaxPool):
            verb = "replaced by SpikeMaxPool"
        elif verb == "replaced":
            kind = {GlobalAvgPool: "AvgPool", LeakyReLU: "two IF"}.get(type(node), "ChannelAffine")
            verb = f"replaced by {kind}"
        found[node.name] = verb
    return found


def _spiking(node: Node, neurons: Neurons, thresholds: Mapping[str, Array]) -> Node:
    if isinstance(node, ReLU):
        threshold = thresholds.get(node.name, np.ones(()))
        cap = neurons.max_spikes
        if cap != 1 and node.ceiling is not None:
            cap = round(float(np.max(node.ceiling / threshold)))  # whole: see _fitted_to_ceilings
        settings: dict[str, Any] = {
            "name": node.name,
            "inputs": node.inputs,
            "threshold": threshold,
            "v_init": threshold * (neurons.v_init if node.levels is None else node.shift),
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


def _fitted_to_ceilings(graph: Graph, scales: Scales, cap: int | None) -> Scales:
    """λ of the populations whose ceiling says what it must be.

    Steps were trained: their ceiling is λ, or one step is, where a neuron may send several spikes at once. Of other
    ceilings a whole number of spikes must make up the ceiling where several are allowed; that number then bounds
    them, and the clip is exact. It is one for the layer, so λ is too.
    """
    found = {}
    for relu in graph.of_type(ReLU):
        if relu.ceiling is None or (relu.levels is None and cap == 1):
            continue
        if relu.levels is None:
            wished = lambda_of(relu, scales, graph.shapes[relu.name]).max()
            spikes = int(np.ceil(relu.ceiling / wished - 1e-6))
        else:
            spikes = relu.levels
        found[relu.name] = np.asarray(relu.ceiling / (spikes if cap is None else min(spikes, cap)))
    return found


def _spikes(graph: Graph, node: Node) -> bool:
    """Whether what a node reads comes straight from populations or inputs, without weights or sums between."""
    return all(
        isinstance(source, ReLU | Input)
        or (not source.weighted and not isinstance(source, Add) and _spikes(graph, source))
        for source in graph.sources(node)
    )


def check_countable(graph: Graph) -> None:
    """Whether the answers of a prepared graph can be counts of spikes (``readout="count"``).

    Raises:
        UnsupportedModelError: for a final softmax, sigmoid or tanh of values that may be negative.
    """
    bent = [o for o in graph.of_type(Output) if o.activation not in (None, "relu")]
    problems = [
        Problem(str(output.activation), f"'{output.name}'", NO_NEGATIVE_COUNTS)
        for output in bent
        if not isinstance(_before(graph, output), ReLU)
    ]
    if problems:
        raise UnsupportedModelError(problems)


def _with_final_relu(graph: Graph) -> Graph:
    """Every output reads a population: what rectifies its values at the end, or one that stands there already.

    Raises:
        UnsupportedModelError: for a final softmax, sigmoid or tanh of values that may be negative.
    """
    check_countable(graph)
    for output in graph.of_type(Output):
        if isinstance(_before(graph, output), ReLU):
            continue
        name, source = graph.fresh_name(f"{output.name}_spikes"), output.inputs[0]
        graph = graph.inserted(ReLU(name=name, inputs=(source,), ceiling=output.ceiling), output.name)
        graph = graph.replaced(output.replace(inputs=(name,), activation=None, ceiling=None))
    return explicit_projections(graph)


def _before(graph: Graph, output: Output) -> Node:
    """What an output reads, before its factors."""
    source = graph.sources(output)[0]
    return graph.sources(source)[0] if isinstance(source, ChannelAffine) else source


def _output_scales(graph: Graph, scales: Scales) -> Scales:
    """λ of output populations, one number each, so that the order of the classes stays as it is."""
    found = {}
    for output in graph.of_type(Output):
        population = _before(graph, output)
        given = scales.get(population.name, scales.get(output.name))
        if given is None:
            raise GraphError(f"{output}: counting spikes needs a scale for the output; calibrate with outputs")
        found[population.name] = np.asarray(np.max(given))
    return found
