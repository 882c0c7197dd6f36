"""The spiking graph of a folded one: the scaling, the neurons, what the outputs are read by.

Everything here follows from the folded graph, λ, the neurons and two settings, so that a file needs to hold no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from spikewright.conversion.neurons import NeuronsByPopulation
from spikewright.errors import GraphError, Problem, UnsupportedModelError
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import IF, LIF, Add, ChannelAffine, Input, MaxPool, Output, ReLU, SpikeMaxPool
from spikewright.normalisation import Scales, lambda_of, narrowed, normalise, one_level_above
from spikewright.passes import explicit_projections

View = Literal["weights", "thresholds"]
Readout = Literal["potential", "count"]

NO_NEGATIVE_COUNTS = (
    "counts of spikes (readout='count') are never negative, and it needs values that are; take readout='potential', "
    "or answer='drop' (--answer drop), which leaves it away"
)
LARGEST = 1e28
"""The largest weight or bias: a million of them over ten thousand timesteps add up to less than the largest float32."""


def read_out(folded: Graph, readout: Readout) -> Graph:
    """The folded graph with the populations that it has when it spikes: to be counted, an output is one too.

    Raises:
        UnsupportedModelError: for a final softmax, sigmoid or tanh of values that may be negative.
    """
    if readout == "potential":
        return folded
    check_countable(folded)
    graph = folded
    for output in folded.of_type(Output):
        if isinstance(_before(graph, output), ReLU):
            continue
        name, source = graph.fresh_name(f"{output.name}_spikes"), output.inputs[0]
        graph = graph.inserted(ReLU(name=name, inputs=(source,), ceiling=output.ceiling), output.name)
        graph = graph.replaced(output.replace(inputs=(name,), activation=None, ceiling=None))
    return explicit_projections(graph)


def scales_in_use(folded: Graph, scales: Scales, neurons: NeuronsByPopulation, readout: Readout) -> Scales:
    """λ of every population and input as it is used: never above a ceiling, which is a whole number of it where several
    spikes a step are allowed or steps were trained.

    Args:
        folded: from ``prepare``.
        scales: λ of every ReLU; of outputs too where they are counted. Of an input: what one event stands for.
        neurons: of the populations.
        readout: of the outputs.

    Raises:
        GraphError: for a ReLU or a counted output without λ, or a λ that is not positive or fits no channel.
    """
    graph = read_out(folded, readout)
    given = {**scales, **(_output_scales(graph, scales) if readout == "count" else {})}
    given |= _fitted_to_ceilings(graph, given, neurons)
    used = {n.name: np.asarray(given[n.name], np.float64) for n in graph.of_type(Input) if n.name in given}
    for relu in graph.of_type(ReLU):
        used[relu.name] = np.asarray(narrowed(lambda_of(relu, given, graph.shapes[relu.name])), np.float64)
    return used


def spiking_of(
    folded: Graph,
    scales: Scales,
    neurons: NeuronsByPopulation,
    *,
    view: View = "weights",
    readout: Readout = "potential",
) -> Graph:
    """The spiking graph of a folded one.

    Args:
        folded: from ``prepare``.
        scales: from ``scales_in_use``.
        neurons: of the populations.
        view: whether weights or thresholds take the scale.
        readout: of the outputs.

    Raises:
        UnsupportedModelError: with everything that cannot become spikes.
        GraphError: for scales outside their domain.
        SettingsError: for neurons of a population that does not exist.
    """
    graph = read_out(folded, readout)
    neurons.check(node.name for node in graph.of_type(ReLU, MaxPool))
    normalised = normalise(graph, scales, view=view)
    thresholds = scales if view == "thresholds" else {}
    nodes = [_spiking(node, neurons, thresholds) for node in normalised]
    _check_magnitudes(nodes)
    left = [Problem(n.type, f"'{n.name}'", "it has no spiking form") for n in nodes if isinstance(n, ReLU)]
    for pool in normalised.of_type(MaxPool):
        policy = neurons.of(pool.name).max_pool
        if policy != "count_max" and not _spikes(normalised, pool):
            advice = f"{policy} lets spikes through, and it sees none; use count_max, or put a ReLU before it"
            left.append(Problem(pool.type, f"'{pool.name}'", advice))
    if left:
        raise UnsupportedModelError(left)
    return normalised.with_nodes(nodes)


def _check_magnitudes(nodes: Sequence[Node]) -> None:
    """Refuse weights whose sums would overflow, where every engine would do so in another place."""
    for node in nodes:
        for label, array in node.arrays.items():
            if array.size and np.abs(array).max() > LARGEST:
                raise GraphError(
                    f"{node}: {label} reaches {np.abs(array).max():.3g} once scaled, and sums of it would overflow; "
                    "check the trained weights and the calibration data"
                )


def _spiking(node: Node, by_population: NeuronsByPopulation, thresholds: Mapping[str, Array]) -> Node:
    neurons = by_population.of(node.name)
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
            "signed": neurons.signed,
            "no_debt": neurons.no_debt,
            "schedule": neurons.schedule,
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


def _fitted_to_ceilings(graph: Graph, scales: Scales, neurons: NeuronsByPopulation) -> Scales:
    """λ of the populations whose ceiling says what it must be.

    Steps were trained: their ceiling is λ, or one step is, where a neuron may send several spikes at once; of few-spike
    neurons, which tell ``2^K − 1`` steps in K timesteps, λ is one step above, where so many were trained. Of other
    ceilings a whole number of spikes must make up the ceiling where several are allowed; that number then bounds
    them, and the clip is exact. It is one for the layer, so λ is too.
    """
    found = {}
    for relu in graph.of_type(ReLU):
        cap = neurons.of(relu.name).max_spikes
        if relu.levels is not None and neurons.of(relu.name).schedule == "few_spike":
            bits = relu.levels & (relu.levels + 1) == 0
            reached = one_level_above(_ceiling(relu), relu.levels) if bits else relu.ceiling
            found[relu.name] = np.asarray(reached)
            continue
        if relu.ceiling is None or (relu.levels is None and cap == 1):
            continue
        if relu.levels is None:
            wished = lambda_of(relu, scales, graph.shapes[relu.name]).max()
            spikes = int(np.ceil(relu.ceiling / wished - 1e-6))
        else:
            spikes = relu.levels
        found[relu.name] = np.asarray(relu.ceiling / (spikes if cap is None else min(spikes, cap)))
    return found


def _ceiling(relu: ReLU) -> float:
    """The ceiling of a rectifier that was trained in steps and is not normalised."""
    assert isinstance(relu.ceiling, float | int)
    return float(relu.ceiling)


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
