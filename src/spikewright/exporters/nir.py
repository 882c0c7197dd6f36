"""Graphs out to NIR.

What NIR says is written as NIR says it, so that other simulators run the network. What it has no field for (reset by
subtraction, several spikes a step, an initial potential) is written beside it as metadata, and the frontend reads that
back. What it has no node for is refused, all of it in one error, before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.errors import SettingsError, StorageError
from spikewright.exporters._feedback import with_feedback
from spikewright.exporters._selections import evenly_padded, selections
from spikewright.files import reason, shown, write_bytes
from spikewright.frontends.common.files import missing
from spikewright.frontends.common.refusals import Problems, Refusal, problem_of
from spikewright.frontends.nir.notes import notes
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import (
    IF,
    LIF,
    Add,
    AvgPool,
    ChannelAffine,
    Conv,
    Flatten,
    Input,
    Linear,
    Output,
    ReLU,
    Reshape,
    SumPool,
)
from spikewright.provenance import PROVENANCE, Provenance, descriptions
from spikewright.text import free_name

if TYPE_CHECKING:
    from nir import NIRGraph, NIRNode

UNKNOWN_TO_NIR = {
    "signed": (
        "its neurons take back by −1 what they sent, and no more: no NIR neurons, two for each of them included, "
        "remember that; convert with signed=false (docs/neurons.md)"
    ),
    "no_debt": "its potentials end at zero until the first spike, which no NIR neuron does; convert with no_debt=false",
    "step_bias": "it has a bias for each step; those of NIR stay the same: convert without that correction",
}
"""Settings of a population that would change its spikes if they were left away, and why they cannot be written."""
LIMITS = ("threshold", "v_init")
"""What a population with feedback has in its own unit beside it."""
DENSEST = 1024
"""Channels up to which one factor a channel is written as a diagonal matrix."""


def export_nir(
    graph: Graph,
    path: Path | str,
    *,
    dt: float = 1e-4,
    feedback: bool = False,
    chip: Mapping[str, Any] | None = None,
    provenance: Sequence[Provenance] = (),
    force: bool = False,
) -> None:
    """Write a graph as a NIR file.

    Args:
        graph: most often a spiking one, from ``convert``.
        path: of the file.
        dt: length of a timestep in seconds: what ``r`` and ``tau`` of the neurons are stated in.
        feedback: whether reset by subtraction is written with NIR's own primitives, as neurons whose spikes come back
            to them (``_feedback.py``), so that other simulators that read recurrence send the same spikes.
        chip: what a chip does with it, noted as metadata: plain values, with those of populations by name in "layers".
        provenance: how it was made, noted as metadata; ``export`` knows it.
        force: whether a file that stands there is replaced, once this one is whole.

    Raises:
        UnsupportedModelError: with everything that NIR has no node for; nothing is written then.
        StorageError: when a file stands there, or it cannot be written; what stood there before is untouched.
        SettingsError: for a ``dt`` that is not positive, or settings of a population that there is not.
    """
    written = to_nir(graph, dt=dt, feedback=feedback, chip=chip, provenance=provenance)
    import nir

    made = BytesIO()  # HDF5 itself crashes where a disk is full
    try:
        nir.write(made, written)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise StorageError(f"cannot write {shown(path)}: {reason(error)}; nothing was changed there") from error
    write_bytes(path, made.getbuffer(), force)


def to_nir(
    graph: Graph,
    *,
    dt: float = 1e-4,
    feedback: bool = False,
    chip: Mapping[str, Any] | None = None,
    provenance: Sequence[Provenance] = (),
) -> NIRGraph:
    """The same as a graph in memory, for simulators that take one.

    Args:
        graph: most often a spiking one.
        dt: length of a timestep in seconds.
        feedback: whether reset by subtraction is written as neurons whose spikes come back to them.
        chip: what a chip does with it, noted as metadata: plain values, with those of populations by name in "layers".
        provenance: how it was made, noted as metadata.

    Raises:
        UnsupportedModelError: with everything that NIR has no node for.
        SettingsError: for a ``dt`` that is not positive, or settings of a population that there is not.
    """
    try:
        import nir
    except ImportError:
        raise missing("writing NIR", "nir", "nir") from None
    if not 0 < dt < np.inf:
        raise SettingsError(f"dt must be a positive number of seconds, not {dt}")
    on_chip = {} if chip is None else dict(chip["layers"])
    populations = {node.name for node in graph.populations}
    for name in on_chip.keys() ^ populations if chip is not None else ():
        which = "the chip has no layer" if name in populations else "the network has no population"
        raise SettingsError(f"{which} '{name}': give the settings of this very network, quantised")
    graph = selections(graph)
    names = _names(graph)
    dissolved = {add.name for add in graph.of_type(Add) if _dissolves(graph, add)}
    nodes: dict[str, NIRNode] = {}
    edges: list[tuple[str, str]] = []
    problems = Problems()
    for node in graph:
        if node.name in dissolved:
            continue
        name = names[node.name]
        facts: dict[str, Any] = {} if name == node.name else {"name": node.name}
        if node.name in on_chip:
            facts["chip"] = on_chip[node.name]
        sources = list(node.inputs)
        if isinstance(node, Add):
            facts["sum"] = node.name
        elif sources and sources[0] in dissolved:
            facts["sum"] = sources[0]
            sources = list(graph[sources[0]].inputs)
        back: list[NIRNode] = []
        try:
            if feedback and isinstance(node, IF) and node.reset == "subtract" and node.decay != 0:
                nodes[name], back = _subtracting(node, graph.shapes[node.name], dt, facts)
            else:
                nodes[name] = _written(node, graph, dt, facts)
        except Refusal as refusal:
            problems.add(problem_of(refusal, node.type, f"'{node.name}'"))
            continue
        for k, source in enumerate(sources):
            start = names[source]
            if source in sources[:k]:  # an edge cannot be there twice: a copy brings the value again
                start = free_name(f"{name}_copy{k}", {*names.values(), *nodes})
                nodes[start] = nir.Scale(np.ones(graph.shapes[source], np.float32), metadata=notes(type="copy"))
                edges.append((names[source], start))
            edges.append((start, name))
        if back:
            way = [name]
            for part in back:
                way.append(free_name(f"{name}_back", {*names.values(), *nodes}))
                nodes[way[-1]] = part
            edges += pairwise([*way, name])
    problems.check(purpose="written as NIR")
    more: dict[str, Any] = (
        {} if chip is None else {"chip": {label: value for label, value in chip.items() if label != "layers"}}
    )
    more |= {PROVENANCE: descriptions(provenance)} if provenance else {}
    facts = notes(format=1, dt=float(dt), order=[node.name for node in graph], meta=dict(graph.meta), **more)
    return nir.NIRGraph(nodes, edges, metadata=facts, type_check=False)


def _names(graph: Graph) -> dict[str, str]:
    """Names that HDF5 and torch take, both ways unique."""
    found: dict[str, str] = {}
    for node in graph:
        found[node.name] = free_name(re.sub(r"\W", "_", node.name) or "node", set(found.values()))
    return found


def _dissolves(graph: Graph, add: Add) -> bool:
    """Whether edges into what reads it say the whole of a sum: no sum of sums, nothing twice."""
    return (
        bool(graph.consumers[add.name])
        and len(set(add.inputs)) == len(add.inputs) > 1
        and not any(isinstance(source, Add) for source in graph.sources(add))
        and not any(isinstance(graph[reader], Add) for reader in graph.consumers[add.name])
    )


def _written(node: Node, graph: Graph, dt: float, facts: dict[str, Any]) -> NIRNode:
    """One node with its notes."""
    import nir

    shapes, shape = graph.input_shapes(node), graph.shapes[node.name]
    if isinstance(node, IF):
        return _population(node, shape, dt, facts)
    if isinstance(node, Input):
        made: NIRNode = nir.Input(np.array(shape))
    elif isinstance(node, Output):
        made = nir.Output(np.array(shapes[0]))
        facts |= {key: value for key, value in node.settings.items() if value != getattr(Output, key)}
    elif isinstance(node, Add):
        made = nir.Scale(np.ones(shape, np.float32))
        facts["type"] = "copy"
    elif type(node) in _RULES:
        made = _RULES[type(node)](node, shapes[0], facts)
    else:
        raise Refusal("NIR has no node for it" + ("; convert the network first" if isinstance(node, ReLU) else ""))
    made.metadata = notes(**facts) if facts else {}
    return made


def _population(node: IF, shape: Shape, dt: float, facts: dict[str, Any]) -> NIRNode:
    """A neuron whose Euler step of length dt is ours; what NIR cannot say stands beside it."""
    import nir

    _check_known(node)

    def spread(values: Any, dtype: type = np.float32) -> Array:
        return np.array(node.spread(np.asarray(values, dtype), shape))

    facts |= {"reset": node.reset, "max_spikes": node.max_spikes}
    metadata = {"v_init": spread(node.v_init)}
    if isinstance(node.v_min, np.ndarray):
        metadata["v_min"] = spread(node.v_min)
    elif node.v_min is not None:
        facts["v_min"] = float(node.v_min)
    limits = {"v_threshold": spread(node.threshold), "v_reset": spread(node.v_reset, np.float64)}
    if node.decay == 0:
        metadata |= notes(**facts)
        return nir.Threshold(limits["v_threshold"], metadata=metadata)
    if not isinstance(node, LIF) or node.decay == 1:
        metadata |= notes(**facts)
        return nir.IF(r=spread(1 / dt, np.float64), **limits, metadata=metadata)
    metadata |= notes(**facts, leak=float(node.decay))
    tau = dt / (1 - node.decay)
    return nir.LIF(
        tau=spread(tau, np.float64),
        r=spread(tau / dt, np.float64),
        v_leak=spread(0.0),
        **limits,
        metadata=metadata,
    )


def _check_known(node: IF) -> None:
    """Refuse a population with settings that NIR has no field for and that would change its spikes."""
    if node.schedule != "free":
        raise Refusal(f"its neurons exchange window by window ({node.schedule}); NIR knows neurons that run free alone")
    for label, why in UNKNOWN_TO_NIR.items():
        if getattr(node, label) is not None and getattr(node, label) is not False:
            raise Refusal(why)


def _subtracting(node: IF, shape: Shape, dt: float, facts: dict[str, Any]) -> tuple[NIRNode, list[NIRNode]]:
    """A neuron that resets by subtraction with NIR's own primitives; its exact numbers stand beside it."""
    _check_known(node)
    population, back = with_feedback(node, shape, dt, DENSEST)
    facts |= {"reset": node.reset} | ({} if node.decay == 1 else {"leak": float(node.decay)})
    exact = {label: np.array(node.spread(np.asarray(getattr(node, label), np.float32), shape)) for label in LIMITS}
    population.metadata = exact | notes(**facts)
    return population, back


def _linear(node: Linear, _shape: Shape, _facts: dict[str, Any]) -> NIRNode:
    import nir

    return nir.Affine(weight=node.weight, bias=node.bias)


def _conv(node: Conv, shape: Shape, facts: dict[str, Any]) -> NIRNode:
    axes = len(node.kernel)
    if axes > 2:
        raise Refusal("NIR convolves over one or two axes")
    if node.bias.ndim > 1:
        raise Refusal("its bias differs from position to position; NIR has one a channel")
    even = evenly_padded(node.weight, node.padding, node.dilation)
    if even is None:
        raise Refusal(f"its padding {node.padding} cannot be made even with a dilation of {node.dilation}")
    weight, padding = even
    if weight.shape != node.weight.shape:
        facts["padding"] = [list(pair) for pair in node.padding]
    return _as_conv(weight, node.bias, shape, node.stride, padding, node.dilation, node.groups)


def _as_conv(
    weight: Array, bias: Array, shape: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int = 1
) -> NIRNode:
    import nir

    kind, spatial = (nir.Conv1d, shape[1]) if weight.ndim == 3 else (nir.Conv2d, shape[1:])

    def plain(values: Shape) -> Any:
        return values[0] if weight.ndim == 3 else values

    made: NIRNode = kind(
        input_shape=spatial,
        weight=weight,
        stride=plain(stride),
        padding=plain(padding),
        dilation=plain(dilation),
        groups=groups,
        bias=bias,
    )
    return made


def _affine(node: ChannelAffine, shape: Shape, facts: dict[str, Any]) -> NIRNode:
    """A diagonal matrix over the channels, which every simulator reads; a Scale, which few do, where it must be."""
    import nir

    by_channel = node.scale.ndim == node.bias.ndim == 1
    ones = (1,) * (len(shape) - 1)
    if by_channel and len(shape) <= 3 and shape[0] <= DENSEST:
        facts["type"] = "ChannelAffine"
        matrix = np.diag(node.scale)
        if not ones:
            return nir.Affine(weight=matrix, bias=node.bias)
        return _as_conv(matrix.reshape(*matrix.shape, *ones), node.bias, shape, ones, (0,) * len(ones), ones)
    if not node.bias.any():
        scale = node.scale if node.scale.shape == shape else node.scale.reshape(-1, *ones)
        return nir.Scale(np.array(np.broadcast_to(scale, shape)))
    if by_channel and 1 < len(shape) <= 3:
        facts["type"] = "ChannelAffine"
        kernels = node.scale.reshape(-1, 1, *ones)
        return _as_conv(kernels, node.bias, shape, ones, (0,) * len(ones), ones, shape[0])
    raise Refusal("NIR has no shift for each position; it is one a channel over one or two axes, or a small matrix")


def _pool(node: SumPool, _shape: Shape, _facts: dict[str, Any]) -> NIRNode:
    import nir

    if len(node.kernel) != 2:
        raise Refusal("NIR pools over two axes")
    if any(low != high for low, high in node.padding):
        raise Refusal(f"its padding {node.padding} differs between sides")
    if isinstance(node, AvgPool) and not node.uniform:
        raise Refusal("it leaves padding out of the mean; NIR counts it")
    kind = nir.AvgPool2d if isinstance(node, AvgPool) else nir.SumPool2d
    made: NIRNode = kind(
        kernel_size=np.array(node.kernel),
        stride=np.array(node.stride),
        padding=np.array([low for low, _ in node.padding]),
    )
    return made


def _flatten(node: Flatten | Reshape, shape: Shape, _facts: dict[str, Any]) -> NIRNode:
    import nir

    if isinstance(node, Reshape) and len(node.shape) != 1:
        raise Refusal("NIR can only flatten")
    return nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)


_RULES: dict[type[Node], Callable[[Any, Shape, dict[str, Any]], NIRNode]] = {
    AvgPool: _pool,
    ChannelAffine: _affine,
    Conv: _conv,
    Flatten: _flatten,
    Linear: _linear,
    Reshape: _flatten,
    SumPool: _pool,
}
