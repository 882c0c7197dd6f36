"""Activations that round, as quantisation-aware training writes them, become a ReLU with levels.

``floor(s·clip(x, 0, c) + t)``, and the same with the clip behind the floor, is a staircase of ``s·c`` steps. QCFS
(Bu et al. 2022) trains with it, since it is what an integrate-and-fire neuron with ``v_init = t·threshold`` counts.
"""

from __future__ import annotations

import numpy as np

from spikewright.errors import Problem
from spikewright.graph import Graph, Node
from spikewright.nodes import BatchNorm, ChannelAffine, Floor, ReLU
from spikewright.passes.rewrite import refusal, rewrite
from spikewright.passes.scale_and_shift import scale_and_shift

NO_STAIRCASE = "rounding is only known from floor(s·clip(x, 0, c) + t) with 0 ≤ t < 1 and whole s·c"
WHOLE = 2e-6
"""How far, as a share, ``s·c`` may be from whole: what the rounding of both to single precision makes."""


@refusal()
def no_staircase(graph: Graph) -> list[Problem]:
    """Every Floor that belongs to no staircase."""
    return [Problem(node.type, f"'{node.name}'", NO_STAIRCASE) for node in graph.of_type(Floor)]


@rewrite("folded", into="before", stage="recognise", after=("drop_identities",))
def quantised_activations(graph: Graph) -> Graph:
    """Recognise staircases; a Floor that belongs to none stays as it is."""
    for floor in graph.of_type(Floor):
        scale, shift, source = _affine(graph, graph.sources(floor)[0])
        if not (scale > 0 and 0 <= shift < 1):
            continue
        readers = graph.consumers[floor.name]
        if _clips(source):
            graph = _stepped(graph, floor, source, source.inputs[0], scale, shift)
        elif len(readers) == 1 and _clips(graph[readers[0]]):
            graph = _stepped(graph, floor, graph[readers[0]], source.name, scale, shift)
    return graph


def _affine(graph: Graph, node: Node) -> tuple[float, float, Node]:
    """The factor and shift that stand before a Floor, and what they apply to."""
    scale, shift = 1.0, 0.0
    while isinstance(node, BatchNorm | ChannelAffine):
        factor, addend = scale_and_shift(node)
        if (factor != factor.flat[0]).any() or (addend != addend.flat[0]).any():
            break  # no staircase has steps that differ from channel to channel
        scale, shift = scale * float(factor.flat[0]), scale * float(addend.flat[0]) + shift
        node = graph.sources(node)[0]
    return scale, shift, node


def _clips(node: Node) -> bool:
    return isinstance(node, ReLU) and isinstance(node.ceiling, float | int) and node.levels is None


def _stepped(graph: Graph, floor: Floor, clip: Node, source: str, scale: float, shift: float) -> Graph:
    """The graph with one ReLU with levels for a clip and a floor, and a factor that makes its steps whole numbers."""
    assert isinstance(clip, ReLU)
    behind = floor.name in clip.inputs
    ceiling = float(np.asarray(clip.ceiling)) / (scale if behind else 1.0)
    levels = round(scale * ceiling)
    if levels < 1 or abs(scale * ceiling - levels) > WHOLE * levels:
        return graph
    highest = np.floor(np.float32(scale) * np.float32(ceiling) + np.float32(shift))
    if not behind and highest != levels:  # by rounding alone the last step is never reached
        return graph
    alone = behind or len(graph.consumers[clip.name]) == 1
    steps = ReLU(
        name=clip.name if alone else graph.fresh_name(f"{clip.name}_steps"),
        inputs=(source,),
        ceiling=ceiling,
        levels=levels,
        shift=shift,
    )
    channels = graph.shapes[floor.name][:1]
    whole = ChannelAffine(
        name=floor.name, inputs=(steps.name,), scale=np.full(channels, scale), bias=np.zeros(channels)
    )
    graph = graph.without(clip.name) if behind else graph
    kept = (whole if node.name == floor.name else node for node in graph if node.name != steps.name)
    return graph.with_nodes([*kept, steps]).needed()
